"""A coroutine that is lost when the interpreter ends, after nearly everything else has gone."""

import asyncio


async def never() -> None:
    await asyncio.sleep(0)


lost = never()
