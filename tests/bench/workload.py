"""The programs that are measured: tasks that do nothing, steps that do nothing, tasks that only live."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from contextlib import AbstractContextManager

from .clocks import Clock, Lap

__all__ = [
    "FUNCTIONS",
    "GATHERS",
    "STEPPERS",
    "STEPS",
    "TASKS",
    "WIDTH",
    "Around",
    "steps",
    "tasks",
    "wait_in",
]

WIDTH = 100
"""How many tasks one gather holds."""
GATHERS = 9
"""How many gathers one main task runs: its trace is shorter than aiotel lets one grow."""
TASKS = WIDTH * GATHERS
STEPPERS = 10
STEPS = 1000

Around = Callable[[], AbstractContextManager[object]]
"""What the creating task does around its work: a user's span, or nothing."""


async def nothing() -> None:
    """The cheapest coroutine there is."""


async def tasks(clock: Clock, around: Around = contextlib.nullcontext) -> Lap:
    """Create and await tasks; gives what each took."""
    with around():
        since_ns = clock.read_ns()
        for _ in range(GATHERS):
            # By its name in the module, at each call: that is where contrib puts its own.
            await asyncio.gather(*[asyncio.create_task(nothing()) for _ in range(WIDTH)])
        return clock.lap(since_ns, TASKS)


async def steps(clock: Clock) -> Lap:
    """Let tasks step; gives what each step took."""
    go = asyncio.Event()
    steppers = [asyncio.create_task(stepper(go)) for _ in range(STEPPERS)]
    await asyncio.sleep(0)
    since_ns = clock.read_ns()
    go.set()
    await asyncio.gather(*steppers)
    return clock.lap(since_ns, STEPPERS * STEPS)


async def wait_in(alive: list[asyncio.Task[None]], around: Around = contextlib.nullcontext) -> None:
    """Create tasks that live until they are cancelled."""
    forever = asyncio.get_running_loop().create_future()
    with around():
        alive += [asyncio.create_task(waiter(forever)) for _ in range(TASKS)]
        await asyncio.sleep(0)


async def stepper(go: asyncio.Event) -> None:
    """Wait for the start, then do nothing, step by step."""
    await go.wait()
    for _ in range(STEPS):
        await asyncio.sleep(0)


async def waiter(forever: asyncio.Future[None]) -> None:
    """Live until cancelled."""
    await forever


FUNCTIONS = tuple(function.__name__ for function in (nothing, stepper, waiter))
"""What tasks run here, for those who have to be told what to trace."""
