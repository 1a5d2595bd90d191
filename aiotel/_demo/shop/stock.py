"""Keep stock: reserve goods, and move them between warehouses."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from .http import Request, Response


class Stock:
    """Warehouses with a lock each, which whoever counts or moves goods there has to hold."""

    def __init__(self) -> None:
        self._locks = {name: asyncio.Lock() for name in ("main", "harbour", "airport")}

    async def reserve(self, items: Iterable[str]) -> None:
        """Put goods aside in the main warehouse."""
        async with self._locks["main"]:
            for _ in items:
                await asyncio.sleep(0.001)

    async def move(self, request: Request) -> Response:
        """POST /stock/move?from=harbour&to=airport: the fourth mistake.

        Two moves in opposite directions wait for each other for ever.
        """
        here, there = self._locks[request.query["from"]], self._locks[request.query["to"]]
        async with here:
            await asyncio.sleep(0.05)
            async with there:
                return Response.of("moved")
