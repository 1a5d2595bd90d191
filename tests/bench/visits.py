"""Measure one candidate on one loop: put it on, run the program, check what came out, take it off."""

from __future__ import annotations

import asyncio
import gc
import statistics
import time
import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from . import workload
from .candidates import Candidate
from .clocks import Clock, Lap
from .samples import Sample
from .sink import Sink

__all__ = ["LoopFactory", "visit_live", "visit_steps", "visit_tasks"]

LoopFactory = Callable[[], asyncio.AbstractEventLoop]

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
        with asyncio.Runner(loop_factory=loop_factory) as runner, Clock() as clock:
            instrument.prepare(runner.get_loop())

            def main() -> Lap:
                lap = runner.run(workload.tasks(clock, instrument.around))
                if candidate.exports:  # each time, or the batch processor's queue overflows
                    instrument.flush()
                return lap

            laps, process_us = _laps(main, instrument.flush, visit_ms)
        mains = WARM_UP + len(laps)
        faults = instrument.faults(tasks=mains * workload.TASKS, mains=mains)
    sample = Sample(
        measure="task",
        loop=loop,
        round=number,
        candidate=candidate.name,
        tasks=len(laps) * workload.TASKS,
        faults=tuple(faults),
    )
    return sample if faults else _with_times(sample, laps, process_us / workload.TASKS)


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
        with asyncio.Runner(loop_factory=loop_factory) as runner, Clock() as clock:
            instrument.prepare(runner.get_loop())
            laps, _ = _laps(lambda: runner.run(workload.steps(clock)), instrument.flush, visit_ms)
        mains = WARM_UP + len(laps)
        faults = instrument.faults(tasks=mains * workload.STEPPERS, mains=mains)
    sample = Sample(
        measure="step",
        loop=loop,
        round=number,
        candidate=candidate.name,
        tasks=len(laps) * workload.STEPPERS,
        faults=tuple(faults),
    )
    return sample if faults else _with_times(sample, laps)


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


def _laps(main: Callable[[], Lap], flush: Callable[[], None], visit_ms: int) -> tuple[list[Lap], float]:
    """What each main task said, and the process's CPU time for one of them, in µs."""
    for _ in range(WARM_UP):
        main()
    flush()
    gc.collect()
    laps: list[Lap] = []
    begin_ns = time.process_time_ns()
    until_ns = time.thread_time_ns() + visit_ms * 1_000_000
    while len(laps) < LEAST or time.thread_time_ns() < until_ns:
        laps.append(main())
    flush()
    return laps, (time.process_time_ns() - begin_ns) / len(laps) / 1000


def _with_times(sample: Sample, laps: list[Lap], process_us: float | None = None) -> Sample:
    return replace(
        sample,
        thread_us=statistics.fmean(lap.us for lap in laps),
        full_us=statistics.fmean(lap.full_us for lap in laps),
        process_us=process_us,
    )


async def _cancel(alive: list[asyncio.Task[None]], around: workload.Around) -> None:
    with around():
        for task in alive:
            task.cancel()
        await asyncio.gather(*alive, return_exceptions=True)
    alive.clear()
