"""Handle orders: list them, take the money for them, export them."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Sequence
from dataclasses import dataclass

from .http import Request, Response
from .stock import Stock

CUSTOMERS = ("ada", "bob", "cy", "dee", "eve")
ADDRESSES = {name: f"{name}@shop.example" for name in CUSTOMERS[:-1]}

_ITEMS = ("book", "lamp", "tea", "vase")
_OPEN = 12
_PAGE = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """Who wants what."""

    number: int
    customer: str
    items: tuple[str, ...]

    @property
    def price(self) -> int:
        """What it costs, in cents."""
        return 990 * len(self.items)


class Orders:
    """The open orders. For each that is paid, the same customer's next one comes in."""

    def __init__(self, stock: Stock) -> None:
        self.paid: asyncio.Queue[Order] = asyncio.Queue()
        self._stock = stock
        self._numbers = itertools.count(1)
        self._open: dict[int, Order] = {}
        self._receipts: set[asyncio.Task[None]] = set()
        for customer in itertools.islice(itertools.cycle(CUSTOMERS), _OPEN):
            self._take(customer)

    async def list(self, request: Request) -> Response:
        """GET /orders: the open ones, or those of one customer."""
        customer = request.query.get("customer")
        found = [order for order in self._open.values() if customer in (None, order.customer)]
        return Response.of([{"number": order.number, "customer": order.customer} for order in found])

    async def pay(self, request: Request, number: str) -> Response:
        """POST /orders/7/pay: reserve and charge at once, then pack and send a receipt in the background."""
        order = self._open.pop(int(number), None)
        if order is None:
            return Response.of(f"there is no open order {number}", 404)
        self._take(order.customer)
        if "voucher" in request.query:
            # The first mistake: it is called, and not awaited. The customer pays in full.
            self.redeem_voucher(order, request.query["voucher"])  # type: ignore[unused-coroutine]
        async with asyncio.TaskGroup() as group:
            group.create_task(self._stock.reserve(order.items))
            group.create_task(self.charge(order))
        await self.paid.put(order)
        # The second mistake: nobody looks at what becomes of it.
        receipt = asyncio.create_task(self.send_receipt(order))
        self._receipts.add(receipt)
        receipt.add_done_callback(self._receipts.discard)
        return Response.of({"paid": order.price})

    async def export(self, request: Request) -> Response:
        """GET /orders/export: all open orders, page by page, as CSV or PDF."""
        pages = range(0, len(self._open), _PAGE)
        rows = await asyncio.gather(*(self.read_page(first) for first in pages))
        text = "".join(itertools.chain.from_iterable(rows))
        if request.query.get("format") == "pdf":
            return Response(body=render_pdf(text), content_type="application/pdf")
        return Response(body=text.encode(), content_type="text/csv")

    async def charge(self, order: Order) -> None:
        """Ask the bank for the money."""
        await asyncio.sleep(0.012 + 0.002 * len(order.items))

    async def redeem_voucher(self, order: Order, voucher: str) -> None:
        """Take a voucher off the price."""
        await asyncio.sleep(0.005)

    async def send_receipt(self, order: Order) -> None:
        """Write to the customer."""
        await asyncio.sleep(0.008)
        compose_receipt(order)

    async def read_page(self, first: int) -> Sequence[str]:
        """Some orders as lines of CSV."""
        await asyncio.sleep(0.003)
        page = itertools.islice(self._open.values(), first, first + _PAGE)
        return [f"{order.number},{order.customer},{order.price}\n" for order in page]

    def _take(self, customer: str) -> None:
        number = next(self._numbers)
        items = _ITEMS[: 1 + number % len(_ITEMS)]
        self._open[number] = Order(number=number, customer=customer, items=items)


def compose_receipt(order: Order) -> str:
    """The letter, address and all."""
    return f"To: {address_of(order.customer)}\n\nYou have paid {order.price / 100:.2f}."


def address_of(customer: str) -> str:
    """Where to write to."""
    address = ADDRESSES.get(customer)
    if address is None:
        raise ValueError(f"{customer} has no e-mail address")
    return address


def render_pdf(text: str) -> bytes:
    """A document; the third mistake: it takes its time, and the event loop's with it."""
    time.sleep(0.4)
    return b"%PDF-1.4\n" + text.encode()
