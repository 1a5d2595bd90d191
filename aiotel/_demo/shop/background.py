"""Work behind the counter: pack what was paid, keep the exchange rates fresh."""

from __future__ import annotations

import asyncio

from .orders import Order

_CURRENCIES = ("EUR", "GBP", "JPY")
_REFRESH_SECONDS = 0.5


async def pack_orders(paid: asyncio.Queue[Order]) -> None:
    """One of the workers: take the next paid order, fetch its items, all at once."""
    while True:
        order = await paid.get()
        async with asyncio.TaskGroup() as group:
            for item in order.items:
                group.create_task(fetch_item(item))
        paid.task_done()


async def fetch_item(item: str) -> None:
    """Walk to a shelf and back; the longer the name, the farther."""
    await asyncio.sleep(0.002 * len(item))


async def refresh_rates(rates: dict[str, float]) -> None:
    """Ask for the exchange rates again and again."""
    while True:
        found = await asyncio.gather(*(fetch_rate(currency) for currency in _CURRENCIES))
        rates.update(zip(_CURRENCIES, found, strict=True))
        await asyncio.sleep(_REFRESH_SECONDS)


async def fetch_rate(currency: str) -> float:
    """What a dollar costs."""
    await asyncio.sleep(0.01)
    return 1.0 + len(currency) / 10
