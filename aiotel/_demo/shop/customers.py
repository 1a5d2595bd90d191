"""Come to the shop over real sockets: a steady few customers, and one for each of its mistakes."""

from __future__ import annotations

import asyncio
import itertools
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from .http import Response, read_response, write_request

_REGULARS = ("ada", "bob", "cy")
_PAUSE_SECONDS = 0.15
_PATIENCE_SECONDS = 1.0


class Visit:
    """A connection to the shop."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def ask(self, method: str, target: str) -> Response:
        """Send a request and wait for the answer."""
        await write_request(self._writer, method, target)
        return await read_response(self._reader)

    async def pay(self, customer: str, *, query: str = "") -> Response:
        """Pay the customer's oldest order."""
        found = json.loads((await self.ask("GET", f"/orders?customer={customer}")).body)
        return await self.ask("POST", f"/orders/{found[0]['number']}/pay{query}")


@asynccontextmanager
async def visit(port: int) -> AsyncIterator[Visit]:
    """Come in, and leave again."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield Visit(reader, writer)
    finally:
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()


async def regular_customer(port: int, name: str) -> None:
    """Come again and again; every third time, take the books along."""
    for number in itertools.count(1):
        async with visit(port) as shop:
            await shop.pay(name)
            if number % 3 == 0:
                await shop.ask("GET", "/orders/export")
        await asyncio.sleep(_PAUSE_SECONDS)


async def pay_with_a_voucher(port: int) -> None:
    """Meet the coroutine that is never awaited."""
    async with visit(port) as shop:
        await shop.pay("dee", query="?voucher=SPRING")


async def pay_without_an_address(port: int) -> None:
    """Meet the background task that fails."""
    async with visit(port) as shop:
        await shop.pay("eve")
        await shop.ask("GET", "/orders/export")


async def export_as_pdf(port: int) -> None:
    """Meet the handler that blocks the loop."""
    async with visit(port) as shop:
        await shop.ask("GET", "/orders/export?format=pdf")


async def move_stock_both_ways(port: int) -> None:
    """Meet the two tasks that deadlock, and give up waiting for an answer."""
    await asyncio.gather(
        move_stock(port, "harbour", "airport"),
        move_stock(port, "airport", "harbour"),
    )


async def move_stock(port: int, here: str, there: str) -> None:
    """Ask for a move; wait, but not for ever."""
    with suppress(TimeoutError):
        async with asyncio.timeout(_PATIENCE_SECONDS), visit(port) as shop:
            await shop.ask("POST", f"/stock/move?from={here}&to={there}")


# When, as a share of the time there is, and what is said about it.
_MISTAKES = (
    (0.15, "a voucher is used: a coroutine is never awaited", pay_with_a_voucher),
    (0.3, "a receipt has no address: a background task fails", pay_without_an_address),
    (0.45, "a PDF is made: the handler blocks the loop", export_as_pdf),
    (0.6, "stock moves both ways: two tasks deadlock", move_stock_both_ways),
    (0.75, "customers come and go; two tasks still wait", None),
)


async def come_and_go(port: int, *, seconds: float) -> None:
    """Keep the shop busy for so long, and meet its mistakes one by one."""
    clock = asyncio.get_running_loop().time
    opened = clock()
    inside = [asyncio.create_task(regular_customer(port, name), name=name) for name in _REGULARS]
    tell("customers list, pay and export orders")
    try:
        for share, words, customer in _MISTAKES:
            await asyncio.sleep(opened + share * seconds - clock())
            tell(words)
            if customer is not None:
                inside.append(asyncio.create_task(customer(port)))
        await asyncio.sleep(opened + seconds - clock())
    finally:
        for task in inside:
            task.cancel()
        await asyncio.gather(*inside, return_exceptions=True)


def tell(words: str) -> None:
    """Say what happens, on stdout."""
    sys.stdout.write(f"{words}\n")
    sys.stdout.flush()
