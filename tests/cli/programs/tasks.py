"""A service in little: a main task, workers in a group, one of which fails and is looked after."""

import asyncio
import sys


async def fetch(number: int) -> int:
    await asyncio.sleep(0)
    if number == 2:
        raise ValueError("no such order")
    return number


async def main() -> None:
    results = await asyncio.gather(*(fetch(number) for number in range(3)), return_exceptions=True)
    print(results, sys.argv[1:])


if __name__ == "__main__":
    asyncio.run(main())
