"""Programs of locks made from a seed, run for real on a clock of their own.

Nothing is there but tasks, locks, semaphores and timers. So a loop that has nothing to run and no timer left
can never go on: whatever is left then is deadlocked, and nothing else is.
"""

from __future__ import annotations

import asyncio
import contextlib
import selectors
from collections.abc import Callable, Iterator
from random import Random
from typing import Any, NamedTuple

__all__ = ["Program", "StuckError", "VirtualLoop", "program"]


class StuckError(Exception):
    """The loop is about to wait for ever."""


class _Selector(selectors.SelectSelector):
    """Nobody waits: the time that would pass has passed."""

    def __init__(self, idle: Callable[[], None]) -> None:
        super().__init__()
        self.now = 0.0
        self._idle = idle

    def select(self, timeout: float | None = None) -> Any:
        if timeout is None or timeout > 0:
            self._idle()
        if timeout is None:
            raise StuckError
        self.now += max(0.0, timeout)
        return super().select(0)


class VirtualLoop(asyncio.SelectorEventLoop):
    """Calls `idle` whenever it has nothing to run."""

    def __init__(self, idle: Callable[[], None]) -> None:
        self._virtual = _Selector(idle)
        super().__init__(self._virtual)

    def time(self) -> float:
        """As the selector has it."""
        return self._virtual.now


class _Step(NamedTuple):
    """One thing that a task does, and the steps that it does within it."""

    kind: str
    argument: Any = None
    parts: tuple[tuple[_Step, ...], ...] = ()


_KINDS = ("lock", "lock", "lock", "semaphore", "sleep", "gather", "group", "timeout", "await")


def program(seed: int) -> Program:
    """The program of this seed: always the same."""
    random = Random(seed)
    tasks = random.randint(2, 6)
    bodies = [_body(random, number, 0) for number in range(tasks)]
    return Program(bodies, locks=3, limits=[random.randint(1, 3) for _ in range(2)])


def _body(random: Random, number: int, depth: int) -> tuple[_Step, ...]:
    return tuple(_step(random, number, depth) for _ in range(random.randint(1, 3 - depth // 2)))


def _step(random: Random, number: int, depth: int) -> _Step:
    kind = random.choice(_KINDS) if depth < 4 else "sleep"
    seconds = random.randint(1, 20) / 10
    if kind == "sleep" or (kind == "await" and number == 0):
        return _Step("sleep", seconds)
    if kind == "await":
        # Only those before: tasks that do nothing but await each other cannot even be cancelled.
        return _Step("await", random.randrange(number))
    size = random.randint(1, 3) if kind in ("gather", "group") else 1
    parts = tuple(_body(random, number, depth + 1) for _ in range(size))
    argument = {"lock": random.randrange(3), "semaphore": random.randrange(2)}.get(kind, seconds * 4)
    return _Step(kind, argument, parts)


class Program:
    """Bodies of tasks, and the locks and bounded semaphores that they use."""

    def __init__(self, bodies: list[tuple[_Step, ...]], *, locks: int, limits: list[int]) -> None:
        self.cancelled: set[asyncio.Task[Any]] = set()
        """Those that were."""
        self._bodies = bodies
        self._locks = [asyncio.Lock() for _ in range(locks)]
        self._semaphores = [asyncio.BoundedSemaphore(limit) for limit in limits]
        self._tasks: list[asyncio.Task[None]] = []

    async def main(self) -> None:
        """Run it to its end, if it has one."""
        for body in self._bodies:
            self._tasks.append(asyncio.create_task(self._run(body)))
        await asyncio.wait(self._tasks)

    async def _run(self, body: tuple[_Step, ...]) -> None:
        await asyncio.sleep(0)
        for step in body:
            with self._noting():
                await getattr(self, f"_{step.kind}")(step)

    @contextlib.contextmanager
    def _noting(self) -> Iterator[None]:
        try:
            yield
        except asyncio.CancelledError:
            task = asyncio.current_task()
            assert task is not None
            self.cancelled.add(task)
            raise

    async def _lock(self, step: _Step) -> None:
        async with self._locks[step.argument]:
            await self._run(step.parts[0])

    async def _semaphore(self, step: _Step) -> None:
        async with self._semaphores[step.argument]:
            await self._run(step.parts[0])

    async def _sleep(self, step: _Step) -> None:
        await asyncio.sleep(step.argument)

    async def _gather(self, step: _Step) -> None:
        await asyncio.gather(*map(self._run, step.parts))

    async def _group(self, step: _Step) -> None:
        async with asyncio.TaskGroup() as group:
            for part in step.parts:
                group.create_task(self._run(part))

    async def _timeout(self, step: _Step) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(step.argument):
                with self._noting():
                    await self._run(step.parts[0])

    async def _await(self, step: _Step) -> None:
        await self._tasks[step.argument]
