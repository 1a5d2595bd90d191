"""Import the module that lies beside this file."""

import asyncio
import random

asyncio.run(asyncio.sleep(0))
print(random.__file__)
