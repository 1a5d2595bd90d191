"""Find who had the GIL while a loop wanted it: the other thread that used most of a CPU."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Final

from .._inspect.stacks import stack_of
from .culprits import innermost
from .evidence import Rival
from .kernel import cpu_ns_of

__all__ = ["Rivals"]

MOST: Final = 500
"""So many threads are looked at."""
OURS: Final = "aiotel-"


class Rivals:
    """All threads of the process, and the CPU time of each a while ago."""

    def __init__(self, clock: Callable[[], int] = time.monotonic_ns) -> None:
        self._clock = clock
        self._before: dict[int, int] = {}
        self._before_ns = 0

    def remember(self) -> None:
        """Remember the CPU time of every thread, for what is asked in the next second."""
        found = {thread.native_id or 0: cpu_ns_of(thread.native_id or 0) or 0 for thread in _threads()}
        self._before, self._before_ns = found, self._clock()

    def busiest(self, besides: int) -> Rival | None:
        """The thread that has used most CPU time since, besides this one (by ident) and ours."""
        best: threading.Thread | None = None
        most_ns = 0
        for thread in _threads():
            if thread.ident == besides or thread.name.startswith(OURS) or not thread.native_id:
                continue
            used_ns = (cpu_ns_of(thread.native_id) or 0) - self._before.get(thread.native_id, 0)
            if used_ns > most_ns:
                best, most_ns = thread, used_ns
        if best is None or best.ident is None:
            return None
        place = innermost(tuple(reversed(stack_of(best.ident, 100))))
        share = most_ns / max(1, self._clock() - self._before_ns)
        return Rival(best.name, None if place is None else place.function, share)


def _threads() -> list[threading.Thread]:
    """Those that Python knows; without the lock that `enumerate` takes."""
    return list(threading._active.values())[:MOST]  # type: ignore[attr-defined]  # as said
