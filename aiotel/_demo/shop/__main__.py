"""Open the shop for some seconds: `python -m aiotel._demo.shop [SECONDS]`."""

from __future__ import annotations

import asyncio
import sys
from contextlib import suppress

from .background import pack_orders, refresh_rates
from .customers import come_and_go, tell
from .orders import Orders
from .server import Server
from .stock import Stock

_WORKERS = 3
_PACKING_SECONDS = 1.0


async def main(seconds: float) -> None:
    """Serve, work in the background, and let customers come."""
    stock = Stock()
    orders = Orders(stock)
    server = await Server(
        {
            ("GET", "/orders"): orders.list,
            ("GET", "/orders/export"): orders.export,
            ("POST", r"/orders/(\d+)/pay"): orders.pay,
            ("POST", "/stock/move"): stock.move,
        }
    ).listen()
    background = [
        *(asyncio.create_task(pack_orders(orders.paid), name=f"worker-{n + 1}") for n in range(_WORKERS)),
        asyncio.create_task(refresh_rates({})),
    ]
    port = server.sockets[0].getsockname()[1]
    tell(f"the shop is open at http://127.0.0.1:{port}/orders")
    try:
        await come_and_go(port, seconds=seconds)
    finally:
        # Without wait_closed(): it would wait for those whom a mistake holds up.
        server.close()
        with suppress(TimeoutError):
            async with asyncio.timeout(_PACKING_SECONDS):
                await orders.paid.join()
        for task in background:
            task.cancel()
        await asyncio.gather(*background, return_exceptions=True)


if __name__ == "__main__":
    try:
        asyncio.run(main(float(sys.argv[1]) if len(sys.argv) > 1 else 8.0))
    except KeyboardInterrupt:
        tell("the shop closes early")
