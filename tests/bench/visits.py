"""Measure one candidate on one loop: put it on, run the program, check what came out, take it off."""

from __future__ import annotations

import asyncio
import gc
import statistics
import time
import tracemalloc
from collections.abc import Callable, Coroutine
from typing import Any, Final

from . import workload
from .candidates import Candidate
from .samples import Sample
from .sink import Sink

__all__ = ["LoopFactory", "visit_live", "visit_steps", "visit_tasks"]

LoopFactory = Callable[[], asyncio.AbstractEventLoop]
Main = Callable[[], Coroutine[Any, Any, float]]

WARM_UP: Final = 2
"""How many main tasks run before the clock does: code specialises, tables fill, threads start."""
LEAST: Final = 3
"""How many main tasks are timed at least."""
LIVE_MAINS: Final = 10
"""How many main tasks create the live tasks: a trace each, shorter than aiotel lets one grow."""


def visit_tasks(
    candidate: Candidate,
    loop_factory: LoopFactory,
    sink: Callable[[], Sink],
    *,
    loop: str,
    number: int,
    visit_ms: int,
) -> Sample:
    """What a task costs."""
    with candidate.make(sink) as instrument:
        with asyncio.Runner(loop_factory=loop_factory) as runner:
            instrument.prepare(runner.get_loop())

            def main() -> float:
                us = runner.run(workload.tasks(instrument.around))
                if candidate.exports:  # each time, or the batch processor's queue overflows
                    instrument.flush()
                return us

            mains, thread_us, process_us = _timed(main, instrument.flush, visit_ms)
        tasks = mains * workload.TASKS
        faults = instrument.faults(tasks=tasks, mains=mains)
    timed = (mains - WARM_UP) * workload.TASKS
    return Sample(
        measure="task",
        loop=loop,
        round=number,
        candidate=candidate.name,
        thread_us=None if faults else thread_us,
        process_us=None if faults else process_us / workload.TASKS,
        tasks=timed,
        faults=tuple(faults),
    )


def visit_steps(
    candidate: Candidate,
    loop_factory: LoopFactory,
    sink: Callable[[], Sink],
    *,
    loop: str,
    number: int,
    visit_ms: int,
) -> Sample:
    """What a step of a task costs."""
    with candidate.make(sink) as instrument:
        with asyncio.Runner(loop_factory=loop_factory) as runner:
            instrument.prepare(runner.get_loop())
            mains, thread_us, _ = _timed(lambda: runner.run(workload.steps()), instrument.flush, visit_ms)
        tasks = mains * workload.STEPPERS
        faults = instrument.faults(tasks=tasks, mains=mains)
    return Sample(
        measure="step",
        loop=loop,
        round=number,
        candidate=candidate.name,
        thread_us=None if faults else thread_us,
        tasks=tasks,
        faults=tuple(faults),
    )


def visit_live(
    candidate: Candidate, loop_factory: LoopFactory, sink: Callable[[], Sink], *, loop: str
) -> Sample:
    """What a live task weighs, by what Python allocates for all of them."""
    with candidate.make(sink) as instrument:
        with asyncio.Runner(loop_factory=loop_factory) as runner:
            instrument.prepare(runner.get_loop())
            alive: list[asyncio.Task[None]] = []
            runner.run(workload.wait_in(alive, instrument.around))
            gc.collect()
            warm = len(alive)
            tracemalloc.start()
            try:
                for _ in range(LIVE_MAINS):
                    runner.run(workload.wait_in(alive, instrument.around))
                instrument.flush()
                gc.collect()
                size, _ = tracemalloc.get_traced_memory()
            finally:
                tracemalloc.stop()
            tasks = len(alive)
            runner.run(_cancel(alive, instrument.around))
        instrument.flush()
        faults = instrument.faults(tasks=tasks, mains=LIVE_MAINS + 2)
    return Sample(
        measure="live",
        loop=loop,
        round=0,
        candidate=candidate.name,
        bytes=None if faults else size / (tasks - warm),
        tasks=tasks,
        faults=tuple(faults),
    )


def _timed(main: Callable[[], float], flush: Callable[[], None], visit_ms: int) -> tuple[int, float, float]:
    """How many main tasks ran, the mean of what they said, and the process's CPU time for one, in µs.

    The mean: a full garbage collection falls on one of them, and is a part of what all of them cost.
    """
    for _ in range(WARM_UP):
        main()
    flush()
    gc.collect()
    laps_us: list[float] = []
    begin_ns = time.process_time_ns()
    until_ns = time.thread_time_ns() + visit_ms * 1_000_000
    while len(laps_us) < LEAST or time.thread_time_ns() < until_ns:
        laps_us.append(main())
    flush()
    process_us = (time.process_time_ns() - begin_ns) / len(laps_us) / 1000
    return WARM_UP + len(laps_us), statistics.fmean(laps_us), process_us


async def _cancel(alive: list[asyncio.Task[None]], around: workload.Around) -> None:
    with around():
        for task in alive:
            task.cancel()
        await asyncio.gather(*alive, return_exceptions=True)
    alive.clear()
