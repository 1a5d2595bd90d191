"""A task that fails, and that nobody looks at."""

import asyncio


def without_cards(message: str) -> str:
    return message.replace("4111", "****")


async def fails() -> None:
    raise ValueError("card 4111")


async def main() -> None:
    task = asyncio.create_task(fails())
    await asyncio.wait([task])


if __name__ == "__main__":
    asyncio.run(main())
