"""Two transfers that lock each other out; then, if asked to, block the loop. Says `ready` on stdout."""

import asyncio
import os
import signal
import sys
import threading
from collections.abc import AsyncIterator

import aiotel

mode, *names = sys.argv[1:]


async def transfer(source: asyncio.Lock, target: asyncio.Lock) -> None:
    async with source:
        await asyncio.sleep(0)
        async with target:
            pass


async def amounts() -> AsyncIterator[int]:
    await asyncio.Event().wait()
    yield 1


async def count() -> None:
    async for _ in amounts():
        pass


async def block() -> None:
    await asyncio.sleep(0)
    print("ready", flush=True)
    while os.getppid():  # busy, until it is killed
        pass


async def main() -> None:
    first, second = asyncio.Lock(), asyncio.Lock()
    tasks = [
        asyncio.create_task(transfer(first, second), name=names[0]),
        asyncio.create_task(transfer(second, first), name=names[1]),
        asyncio.create_task(count(), name="counting"),
    ]
    for _ in range(5):
        await asyncio.sleep(0)
    if mode == "busy":
        tasks.append(asyncio.create_task(block(), name="busy"))
    else:
        threading.Timer(0.0, print, ["ready"], {"flush": True}).start()
    await asyncio.gather(*tasks)


if mode == "fragile":  # as a program in a shell pipe may want it
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
if mode != "plain":
    aiotel.instrument(aiotel.Config(export=False))
if "uvloop" in names:
    import uvloop

    uvloop.run(main())
else:
    asyncio.run(main())
