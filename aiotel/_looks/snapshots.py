"""Take a snapshot of all loops, tasks and what they wait for: by the loops themselves where they answer.

A loop that is blocked, or does not run, is looked at from here; whatever is held for that goes back to it
when it is done with.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial
from typing import Any, Final

from .._borrowed import Returns, is_only_ours
from .._faults import faults
from .._inspect.plumbing import is_plumbing
from .._inspect.stacks import stack_of
from .._inspect.waits import look_at
from .._inspect.walks import Walk
from .._ledger import Ledger
from .._snapshot import LoopView, Snapshot, TaskView
from .._visits import ask
from ..observations import Frame
from .settled import Entry
from .views import clock_of, view_of

__all__ = ["Snapshots"]

ANSWER_S: Final = 0.3
"""A loop that has not begun to answer after so long is looked at from outside."""
SLICE_NS: Final = 2_000_000
"""A loop that answers looks for so long at a time."""
FRAMES: Final = 200
MOST: Final = 10_000
"""So many tasks are told, those first that have lived longest."""


class Snapshots:
    """Takes snapshots of the loops of a session; on any thread that may wait, a loop's not among them."""

    def __init__(
        self,
        ledgers: Callable[[], Iterable[Ledger]],
        entries: Callable[[Ledger], dict[int, Entry]],
        returns: Returns,
        wall_ns: Callable[[int], int],
        stuck_ns: Callable[[Ledger], int],
    ) -> None:
        self._ledgers = ledgers
        self._entries = entries
        self._returns = returns
        self._wall_ns = wall_ns
        self._stuck_ns = stuck_ns

    def take(self, *, timeout: float = 2.0, most: int = MOST) -> Snapshot:
        """The snapshot, in `timeout` seconds at most: what there was no time for is `left_out`."""
        now_ns = time.monotonic_ns()
        until_ns = now_ns + int(timeout * 1e9)
        taken = [
            _Taking(number, ledger, self._entries(ledger), most, until_ns)
            for number, ledger in enumerate(self._ledgers())
        ]
        for taking in taken:
            taking.begin(self._returns)
        for taking in taken:
            taking.finish(self._returns)
        views = [taking.loop_view(self._stuck_ns(taking.ledger)) for taking in taken]
        return Snapshot(
            time_ns=self._wall_ns(now_ns),
            now_ns=now_ns,
            loops=tuple(view for view in views if view is not None),
            tasks=tuple(view for taking in taken for view in taking.taken),
            left_out=sum(taking.left_out() for taking in taken),
        )


class _Taking:
    """The part of a snapshot that is of one loop."""

    def __init__(
        self, number: int, ledger: Ledger, entries: dict[int, Entry], most: int, until_ns: int
    ) -> None:
        self.number = number
        self.ledger = ledger
        self.views: dict[int, TaskView] = {}
        self._entries = entries
        self._now_ns = time.monotonic_ns()
        self._until_ns = until_ns
        live = list(ledger.live)
        self._left = live[:most]
        self._total = len(live)
        self._gone = 0
        """So many had ended when it was their turn."""
        self.taken: tuple[TaskView, ...] = ()
        """What there was time for."""
        self._answers, self._done = threading.Event(), threading.Event()
        self._outside = False
        self._about: tuple[str, int, bool] | None = None

    def begin(self, returns: Returns) -> None:
        """Ask the loop."""
        loop: Any = self.ledger.loop()
        if loop is None:
            self._outside = True
            return
        thread = getattr(loop, "_thread_id", None)
        self._about = (f"{type(loop).__module__}.{type(loop).__qualname__}", thread or 0, loop.is_running())
        here = thread == threading.get_ident() or asyncio._get_running_loop() is loop
        self._outside = (
            here or not self._about[2] or not ask(self.ledger, partial(self._answer, returns), returns)
        )
        if is_only_ours(loop):
            returns.leave(loop)

    def finish(self, returns: Returns) -> None:
        """Wait for the answer, or look from outside."""
        self._finish(returns)
        self._outside = True
        # In one step: the loop may be looking at one more just now.
        self.taken = tuple(self.views.values())

    def _finish(self, returns: Returns) -> None:
        if not self._outside and self._answers.wait(ANSWER_S):
            self._done.wait(max(0.0, (self._until_ns - time.monotonic_ns()) / 1e9))
            return
        self._outside = True
        held: list[Any] = []
        loop: Any = self.ledger.loop()
        if loop is None:
            return
        while self._left and time.monotonic_ns() < self._until_ns:
            self._look(self._left.pop(), loop, held)
        held.append(loop)
        try:
            loop.call_soon_threadsafe(held.clear)
        except RuntimeError:  # it is closed
            returns.leave(held)

    def left_out(self) -> int:
        """How many tasks were not looked at."""
        return max(0, self._total - self._gone - len(self.taken))

    def loop_view(self, stuck_ns: int) -> LoopView | None:
        """What is known of the loop itself."""
        if self._about is None:
            return None
        kind, ident, running = self._about
        thread = next((each.name for each in threading.enumerate() if each.ident == ident), "")
        return LoopView(
            number=self.number,
            kind=kind,
            thread=thread,
            running=running,
            stuck_ns=stuck_ns,
            tasks=len(self.ledger.live),
        )

    # On the loop's thread.

    def _answer(self, returns: Returns) -> None:
        self._answers.set()
        loop: Any = self.ledger.loop()
        until_ns = time.monotonic_ns() + SLICE_NS
        while self._left and not self._outside and loop is not None:
            self._look(self._left.pop(), loop, None)
            if time.monotonic_ns() > until_ns:
                if time.monotonic_ns() < self._until_ns and ask(
                    self.ledger, partial(self._answer, returns), returns
                ):
                    return
                break
        self._done.set()

    # On either.

    def _look(self, key: int, loop: Any, held: list[Any] | None) -> None:
        record = self.ledger.live.get(key)
        task = None if record is None else record.alive()
        if record is None or task is None:
            self._gone += 1
            return
        entry = self._entries.get(key)
        since_ns = self._now_ns if entry is None or not entry.waits_still() else entry.since_ns
        walk = Walk(task)
        if held is not None:
            held.append(walk)
        try:
            view = view_of(
                task, record, look_at(walk, clock=clock_of(loop), since_ns=since_ns), loop=self.number
            )
        except Exception as error:  # noqa: BLE001  # one task less is to be seen
            faults.add(error)
            return
        self.views[key] = view
        if view.state == "running":
            self.views[key] = replace(view, stack=self._stack() or view.stack)

    def _stack(self) -> tuple[Frame, ...]:
        """Where the loop's thread is, from the task's step on."""
        if self._about is None:
            return ()
        places = stack_of(self._about[1], FRAMES)
        while places and is_plumbing(places[-1].module):
            places.pop()
        return tuple(place.frame for place in reversed(places))
