"""What is known of a pool of threads that a loop uses, without holding the pool.

Whoever holds a pool last lets go of what its program has put into it, and that is not to happen on a thread
of ours. So a figure is read by one chain of C calls, in which no other thread can let go of the pool.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator, Mapping
from operator import attrgetter, call, methodcaller
from typing import Any, Final, NamedTuple, Protocol, get_args

from .._mailbox import Mailbox
from ..observations import PoolKind

__all__ = ["KINDS", "Pool", "View", "Watchable"]

KINDS: Final = get_args(PoolKind)
LOOKED_AT: Final = 1000
"""How many calls in a queue are looked at."""

_threads: Final = attrgetter("_threads")
_limit: Final = attrgetter("_max_workers")
_queue: Final = attrgetter("_work_queue")
_shut_down: Final = attrgetter("_shutdown")
_state: Final = attrgetter("_future._state")
_size: Final = methodcaller("qsize")


class View(NamedTuple):
    """A pool at one moment."""

    threads: int
    limit: float
    """How many threads there may be."""
    waiting: int
    """How many calls wait for one."""
    busy: Mapping[int, str]
    """The threads at work for a loop, by their `threading.get_ident()`, and what each was given: the name of
    a builtin, which has no frame that would tell."""
    since_ns: int
    """Nothing has started since; only of interest while all threads are busy."""


class Watchable(Protocol):
    """What can be looked at for starvation."""

    kind: PoolKind

    def view(self, now_ns: int) -> View | None:
        """The pool now; None where it is no more."""


class Pool:
    """A `ThreadPoolExecutor`, and those of its threads that are at work for a loop.

    Its threads write to it, each for itself; any thread reads.
    """

    __slots__ = ("active", "kind", "open", "queued", "reference", "waits")

    def __init__(
        self, executor: Any, kind: PoolKind, waits: Mailbox[int], gone: Callable[[Any], None]
    ) -> None:
        self.kind = kind
        self.waits = waits
        """How long calls have waited, in ns, until that is counted."""
        self.reference = weakref.ref(executor, gone)
        self.active: dict[int, tuple[int, str]] = {}
        """Since when each thread is at work, and at which builtin, if at one; by its ident."""
        self.queued: dict[int, weakref.ref[Any]] = {}
        """What stands in for the futures of calls that no thread has taken yet, by its id."""
        self.open = True
        """False once nobody watches any more."""

    def view(self, now_ns: int) -> View | None:
        """The pool now; None where it is no more, or will never take a call again."""
        active = dict(self.active)
        try:
            if next(map(_shut_down, self._pool())) and not active:
                return None
            return View(
                threads=next(map(len, map(_threads, self._pool()))),
                limit=next(map(_limit, self._pool())),
                waiting=max(0, next(map(_size, map(_queue, self._pool()))) - self._cancelled()),
                busy={ident: builtin for ident, (_, builtin) in active.items()},
                since_ns=max((since_ns for since_ns, _ in active.values()), default=now_ns),
            )
        except AttributeError:  # None has no threads: it is gone
            return None

    def _cancelled(self) -> int:
        """How many of the calls in the queue nobody waits for any more: no thread will make them."""
        count = 0
        for key, reference in list(self.queued.items())[:LOOKED_AT]:
            try:
                count += next(map(_state, map(call, (reference,)))) != "PENDING"
            except AttributeError:  # the pool has let go of it
                self.queued.pop(key, None)
        return count

    def _pool(self) -> Iterator[Any]:
        return map(call, (self.reference,))
