"""Give tasks to a process that multiprocessing starts anew."""

import asyncio
import multiprocessing


async def work() -> None:
    await asyncio.sleep(0)


def worker() -> None:
    asyncio.run(work())


async def main() -> None:
    process = multiprocessing.get_context("spawn").Process(target=worker)
    process.start()
    await asyncio.to_thread(process.join)


if __name__ == "__main__":
    asyncio.run(main())
