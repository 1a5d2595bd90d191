"""Work in an exit handler, as programs do that say goodbye to their peers."""

import asyncio
import atexit


async def goodbye() -> None:
    await asyncio.sleep(0)


atexit.register(lambda: asyncio.run(goodbye()))
