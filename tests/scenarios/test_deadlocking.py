"""What is said of programs that really run, against what becomes of them."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import Iterable
from typing import Any, NamedTuple

import pytest

from aiotel._detectors.deadlock import check
from aiotel._inspect.deadlines import Clock
from aiotel._inspect.waits import look_at
from aiotel._inspect.walks import Walk
from aiotel._snapshot import Deadlock, Snapshot, TaskView
from aiotel.observations import TaskFacts

from .deadlocking import Program, StuckError, VirtualLoop, program

EAGER = [False, True] if sys.version_info >= (3, 12) else [False]


class Claim(NamedTuple):
    """A deadlock that was told, and what its tasks waited for then."""

    deadlock: Deadlock
    waiters: dict[asyncio.Task[Any], Any]

    def is_over(self) -> bool:
        return any(_waiter(task) is not waiter for task, waiter in self.waiters.items())


class Watched:
    """A program that is looked at whenever its loop has nothing to do."""

    def __init__(self, running: Program, *, eager: bool) -> None:
        self.claims: dict[Deadlock, Claim] = {}
        self.wrong: list[Deadlock] = []
        self.stuck: set[asyncio.Task[Any]] = set()
        """Those that were left when nothing could run any more."""
        self.told: set[asyncio.Task[Any]] = set()
        """Those that were said to be deadlocked then."""
        self._done = False
        self._program = running
        self._loop = VirtualLoop(self._look)
        if eager:
            self._loop.set_task_factory(asyncio.eager_task_factory)  # type: ignore[attr-defined,unused-ignore]  # 3.12

    def run(self) -> None:
        try:
            self._loop.run_until_complete(self._program.main())
        except StuckError:
            self.stuck = asyncio.all_tasks(self._loop)
            self.told = {task for claim in self.claims.values() for task in claim.waiters}
        finally:
            self._clean_up()

    def _look(self) -> None:
        if self._done:
            return
        for claim in list(self.claims.values()):
            if claim.is_over():
                del self.claims[claim.deadlock]
                if not self._program.cancelled.intersection(claim.waiters):
                    self.wrong.append(claim.deadlock)
        tasks = {id(task): task for task in asyncio.all_tasks(self._loop)}
        for deadlock in check(_snapshot(tasks.values(), self._loop.time())):
            members = [tasks[each] for each in (*deadlock.cycle, *deadlock.victims)]
            self.claims.setdefault(deadlock, Claim(deadlock, {task: _waiter(task) for task in members}))

    def _clean_up(self) -> None:
        self._done = True
        for task in asyncio.all_tasks(self._loop):
            task.cancel()
        with contextlib.suppress(StuckError, asyncio.CancelledError):
            self._loop.run_until_complete(asyncio.sleep(100))
        self._loop.close()


def _waiter(task: Any) -> Any:
    return task._fut_waiter


def _snapshot(tasks: Iterable[asyncio.Task[Any]], now: float) -> Snapshot:
    now_ns = int(now * 1e9)
    views = []
    for task in tasks:
        look = look_at(Walk(task), clock=Clock(now, now_ns), since_ns=0)
        views.append(
            TaskView(
                id=id(task),
                loop=0,
                task=TaskFacts(name=task.get_name(), function=""),
                state=look.state,
                created_ns=0,
                waiting=look.waiting,
                holds=look.holds,
            )
        )
    return Snapshot(time_ns=0, now_ns=now_ns, tasks=tuple(views))


@pytest.mark.slow
@pytest.mark.parametrize("eager", EAGER)
@pytest.mark.parametrize("part", range(4))
def test_what_is_told_never_moves_and_all_that_is_stuck_is_told(part: int, *, eager: bool) -> None:
    stuck = 0
    for seed in range(part * 100, part * 100 + 100):
        watched = Watched(program(seed), eager=eager)
        watched.run()

        assert ([], set()) == (watched.wrong, watched.stuck ^ watched.told), f"seed {seed}"
        stuck += bool(watched.stuck)
    assert 10 < stuck < 95, "there are programs of both kinds"
