"""Find pools that are starved: calls wait, all threads are at work, and none has come free for a while.

Not its business: a pool at its limit whose calls end, however long the queue. Such a pool is busy.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final

from .._inspect.owners import is_library
from .._inspect.stacks import Place, stack_of
from .._mailbox import Mailbox
from .._repeats import Repeats
from ..observations import Frame, Occupied, Recovered, Starved
from .pools import View, Watchable

__all__ = ["Starvation"]

DEEP: Final = 500
"""So many frames of a thread are looked at, to tell what is beneath the call from the call."""
STRIDE_NS: Final = 500_000_000
"""So much of the time between two looks counts at most."""
GROUPS: Final = 10
"""How many different stacks are told."""

# What is beneath a call, on the threads of a pool.
_BENEATH: Final = frozenset(
    {
        "threading.Thread._bootstrap",
        "threading.Thread._bootstrap_inner",
        "threading.Thread.run",
        "concurrent.futures.thread._worker",
        "concurrent.futures.thread._WorkItem.run",
        "concurrent.futures.thread.WorkerContext.run",
        "anyio._backends._asyncio.WorkerThread.run",
    }
)
Stack = tuple[Frame, ...]


@dataclass(slots=True)
class _Watched:
    """What earlier looks have seen of a pool."""

    since_ns: int | None = None
    """Calls wait, and none has started, since then."""
    stuck_ns: int = 0
    """For so long; by the time that the looks have seen, for while the process is stopped nobody looks."""
    starved: Starved | None = None
    starved_ns: int = 0
    """For so long it has been starved, though a call may have started now and then."""
    told: bool = False


class Starvation:
    """Looks at pools, in turn; on the pump's thread."""

    def __init__(
        self,
        mailbox: Mailbox[Any],
        repeats: Repeats[Any],
        wall_ns: Callable[[int], int],
        *,
        after_ns: int,
        frames: int,
        clock: Callable[[], int] = time.monotonic_ns,
        stack_of: Callable[[int, int], list[Place]] = stack_of,
    ) -> None:
        self._mailbox = mailbox
        self._repeats = repeats
        self._wall_ns = wall_ns
        self._after_ns = after_ns
        self._frames = frames
        self._clock = clock
        self._stack_of = stack_of
        self._watched: dict[Watchable, _Watched] = {}
        self._looked_ns = clock()

    def look(self, pools: Iterable[Watchable]) -> None:
        """Tell which pools are starved, and which are not any more."""
        now_ns = self._clock()
        watched: dict[Watchable, _Watched] = {}
        for pool in pools:
            view = pool.view(now_ns)
            if view is not None:
                watched[pool] = self._watched.pop(pool, _Watched())
                self._look_at(pool, view, watched[pool], now_ns)
        for gone in self._watched.values():
            self._recovered(gone, now_ns)
        self._watched, self._looked_ns = watched, now_ns

    def forget(self) -> None:
        """In a child process: these are the parent's."""
        self._watched = {}

    def _look_at(self, pool: Watchable, view: View, watched: _Watched, now_ns: int) -> None:
        step_ns = min(now_ns - self._looked_ns, STRIDE_NS)
        watched.starved_ns += step_ns
        if not view.waiting or len(view.busy) < view.limit:
            self._recovered(watched, now_ns)
            watched.since_ns = None
        elif watched.since_ns is None or view.since_ns > watched.since_ns:
            if watched.stuck_ns < self._after_ns:  # not long after the last one
                self._recovered(watched, now_ns)
            watched.since_ns, watched.stuck_ns = now_ns, 0
        else:
            watched.stuck_ns += step_ns
            if watched.starved is None and watched.stuck_ns >= self._after_ns:
                self._starved(pool, view, watched, now_ns)

    def _starved(self, pool: Watchable, view: View, watched: _Watched, now_ns: int) -> None:
        calls = [self._call_of(ident, builtin) for ident, builtin in view.busy.items()]
        stacks = [stack for stack in calls if stack]
        if len(stacks) < view.limit or self._flows(pool, view, now_ns):  # one has come free just now
            return
        groups = Counter(stacks).most_common()
        starved = Starved(
            pool=pool.kind,
            threads=view.threads,
            limit=int(view.limit),
            waiting=view.waiting,
            seconds=watched.stuck_ns / 1e9,
            occupied=tuple(
                Occupied(threads=threads, at=_culprit(stack), frames=stack[: self._frames])
                for stack, threads in groups[:GROUPS]
            ),
            left_out=len(groups[GROUPS:]),
            time_ns=self._wall_ns(now_ns),
        )
        watched.starved, watched.starved_ns = starved, watched.stuck_ns
        repeat = self._repeats.begin(
            (Starved, pool.kind, frozenset(each.at.function for each in starved.occupied))
        )
        watched.told = repeat is not None
        if repeat is not None:
            repeat.first = starved
            self._mailbox.put(starved)

    def _recovered(self, watched: _Watched, now_ns: int) -> None:
        starved, watched.starved = watched.starved, None
        if starved is None or not watched.told:
            return
        recovered = Recovered(
            pool=starved.pool,
            seconds=watched.starved_ns / 1e9,
            at=starved.occupied[0].at,
            time_ns=self._wall_ns(now_ns),
        )
        repeat = self._repeats.begin((Recovered, starved.pool, recovered.at.function))
        if repeat is not None:
            repeat.first = recovered
            self._mailbox.put(recovered)

    def _flows(self, pool: Watchable, before: View, now_ns: int) -> bool:
        """Whether a call has ended or started while the stacks were looked at."""
        view = pool.view(now_ns)
        if view is None or view.since_ns > before.since_ns:
            return True
        return len(view.busy.keys() & before.busy.keys()) < view.limit

    def _call_of(self, ident: int, builtin: str) -> Stack:
        """Where the call of a thread is, innermost first; empty where it has none.

        A builtin has no frame: for it stands its name.
        """
        places = self._stack_of(ident, DEEP)
        while places and places[-1].function in _BENEATH:
            places.pop()
        if not places:
            return (Frame(file="", line=0, function=builtin),) if builtin else ()
        return tuple(place.frame for place in places)


def _culprit(stack: Stack) -> Frame:
    """The innermost function that is the program's own; where there is none, what the thread was given."""
    return next((frame for frame in stack if not is_library(frame.file)), stack[-1])
