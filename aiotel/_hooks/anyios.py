"""Look at anyio's worker threads, which are no executor's: each loop has its own, and a limiter in front.

anyio keeps per loop who works and who waits, and a look reads that.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from itertools import chain
from operator import attrgetter, getitem
from typing import Any, Final

from ..observations import PoolKind
from .pools import View

__all__ = ["MODULE", "AnyioThreads"]

MODULE: Final = "anyio._backends._asyncio"
_waiting: Final = attrgetter("_wait_queue")
_tokens: Final = attrgetter("_total_tokens")
_ident: Final = attrgetter("_ident")
_call: Final = attrgetter("_ident", "idle_since", "queue.unfinished_tasks")
"""The thread, when it was idle last, which is another time for every call, and whether it has one.

It has none any more where the loop, which is to hear of that, is blocked.
"""
_BUILTIN: Final = "anyio.to_thread.run_sync"
"""What a thread is in that was given a builtin: of that, nothing is known here."""
_borrowers: Final = attrgetter("_borrowers")


class AnyioThreads:
    """The worker threads of one loop, which a weak reference leads to."""

    kind: PoolKind = "anyio"

    def __init__(self, loop: Any) -> None:
        self._loop = loop
        self._seen: dict[Any, int] = {}
        """Since when the same tasks have a place, and since when each thread is at the same call."""

    def view(self, now_ns: int) -> View | None:
        """The threads now; None where there are none. Chains of C calls, as in `Pool`."""
        module: Any = sys.modules.get(MODULE)
        if module is None:
            return None
        try:
            return self._view(module, now_ns)
        except (
            AttributeError,
            LookupError,
            TypeError,
        ):  # not used yet, gone, or an anyio that does it otherwise
            return None

    def _view(self, module: Any, now_ns: int) -> View:
        limiter, workers, idle = (
            module._default_thread_limiter,
            module._threadpool_workers,
            module._threadpool_idle_workers,
        )
        borrowers = frozenset(map(id, chain.from_iterable(map(_borrowers, self._value(module, limiter)))))
        at_rest = set(map(_ident, chain.from_iterable(self._value(module, idle))))
        calls = list(map(_call, chain.from_iterable(self._value(module, workers))))
        busy = [
            (ident, idle_since)
            for ident, idle_since, unfinished in calls
            if unfinished and ident not in at_rest
        ]
        # In one go: a reader's thread looks, too.
        self._seen = seen = {key: self._seen.get(key, now_ns) for key in (borrowers, *busy)}
        limit = next(map(_tokens, self._value(module, limiter)))
        # Some may be at calls with a limiter of their own; such a call may last.
        longest = sorted(seen[call] for call in busy)[: int(min(limit, len(busy)))]
        return View(
            threads=len(calls),
            limit=limit,
            waiting=next(map(len, map(_waiting, self._value(module, limiter)))),
            busy=dict.fromkeys((ident for ident, _ in busy), _BUILTIN),
            since_ns=max(seen[borrowers], *longest, 0),
        )

    def _value(self, module: Any, variable: Any) -> Iterator[Any]:
        """The value that a variable of anyio's has on the loop."""
        of_loop = map(getitem, (module._run_vars.data,), (self._loop,))
        return map(getitem, of_loop, (variable,))
