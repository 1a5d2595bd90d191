"""Import a module before anything else, then run a loop."""

import sys
from importlib import import_module

import_module(sys.argv[1])

import asyncio  # noqa: E402 - it must not be the first


async def main() -> None:
    await asyncio.sleep(0)


asyncio.run(main())
