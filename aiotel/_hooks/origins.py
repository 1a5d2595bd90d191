"""Have Python note for a minute where coroutines are made, once one went of which that is not known.

The note is kept on the coroutine, costs some 0.1 µs for each, and can be had thread by thread. It shows:
Python's own warning then says where the coroutine was made. Hence only where it is asked for.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from contextvars import Context
from typing import Any, Final

from .._borrowed import Returns, is_only_ours
from .._ledger import Ledger

__all__ = ["Origins"]

LASTS_NS: Final = 60_000_000_000


class _Noted:
    """A thread on which it is noted, by the ledger of the loop that runs there."""

    __slots__ = ("ending", "ledger", "until_ns")

    def __init__(self, ledger: Ledger, until_ns: int) -> None:
        self.ledger = ledger
        self.until_ns = until_ns
        self.ending = False
        """Its loop has been asked to end it."""


class Origins:
    """Has it noted, and ends that, thread by thread."""

    def __init__(
        self,
        ledger_of: Callable[[Any], Ledger | None],
        returns: Returns,
        *,
        wanted: bool,
        clock: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self._ledger_of = ledger_of
        self._returns = returns
        self._wanted = wanted
        self._clock = clock
        self._noted: dict[int, _Noted] = {}

    def begin(self, loop: Any) -> None:
        """Have it noted on this thread, where a loop runs and nobody has it noted already."""
        if not self._wanted or loop is None or sys.get_coroutine_origin_tracking_depth():
            return
        ledger = self._ledger_of(loop)
        if ledger is not None:
            sys.set_coroutine_origin_tracking_depth(1)
            self._noted[threading.get_ident()] = _Noted(ledger, self._clock() + LASTS_NS)

    def look(self) -> None:
        """Have the loops end what has lasted long enough. On the pump's thread."""
        now_ns = self._clock()
        for thread, noted in list(self._noted.items()):
            if now_ns >= noted.until_ns and not noted.ending:
                noted.ending = True
                self._have_ended(thread, noted)

    def end_here(self) -> None:
        """End it on this thread: its minute is over, or its loop is closed."""
        noted = self._noted.pop(threading.get_ident(), None)
        if noted is None:
            return
        if sys.get_coroutine_origin_tracking_depth() == 1:
            sys.set_coroutine_origin_tracking_depth(0)
        elif self._wanted:
            # Debug mode was turned on meanwhile: when that ends, asyncio puts back what was ours.
            noted.until_ns, noted.ending = self._clock() + LASTS_NS, False
            self._noted[threading.get_ident()] = noted

    def close(self) -> None:
        """End it everywhere."""
        self._wanted = False
        self.end_here()
        for thread, noted in list(self._noted.items()):
            self._have_ended(thread, noted)

    def _have_ended(self, thread: int, noted: _Noted) -> None:
        loop = noted.ledger.loop()
        if loop is None:
            self._noted.pop(thread, None)
            return
        try:
            loop.call_soon_threadsafe(self.end_here, context=Context())
        except RuntimeError:  # it is closed, and has ended it
            self._noted.pop(thread, None)
        if is_only_ours(loop):
            self._returns.leave(loop)
