"""A process that carries out a plan: every candidate in turn, round by round, a line for each sample.

The run is spread over several such processes. Each has its own layout of memory and its own hash seed, which
alone move a microsecond by a few per cent; and to put an instrument on and take it off changes the loops'
classes, for which CPython gives up its caches after about a thousand times (3.13: MAX_VERSIONS_PER_CLASS).
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import sys
from collections.abc import Callable, Iterator

from .candidates import PLAIN, Candidate, named
from .samples import Plan, Sample
from .sink import Sink
from .visits import LoopFactory, visit_live, visit_steps, visit_tasks

__all__ = ["carry_out"]


def carry_out(plan: Plan) -> Iterator[Sample]:
    """All samples of the plan, each as soon as it is there."""
    with contextlib.ExitStack() as stack:
        started: list[Sink] = []

        def sink() -> Sink:
            if not started:
                started.append(stack.enter_context(Sink()))
            return started[0]

        for number in range(plan.first_round, plan.first_round + plan.rounds):
            for loop in plan.loops:
                yield from _round(plan, loop, number, sink)
        if plan.live:
            for loop in plan.loops:
                yield from _weighing(plan, loop, sink)


def _round(plan: Plan, loop: str, number: int, sink: Callable[[], Sink]) -> Iterator[Sample]:
    """Each candidate once, in an order of this round's own: none always follows the same one."""
    for candidate in _shuffled(plan.candidates, seed=number):
        yield visit_tasks(candidate, factory_of(loop), sink, loop=loop, number=number, visit_ms=plan.visit_ms)
    for candidate in _shuffled(plan.candidates, seed=number):
        if candidate.steps:
            yield visit_steps(
                candidate, factory_of(loop), sink, loop=loop, number=number, visit_ms=plan.visit_ms
            )


def _weighing(plan: Plan, loop: str, sink: Callable[[], Sink]) -> Iterator[Sample]:
    # For nothing: the tables of asyncio's own, of all tasks there are, grow now and stay grown.
    visit_live(named(PLAIN), factory_of(loop), sink, loop=loop)
    for name in plan.candidates:
        candidate = named(name)
        if not candidate.exports:  # weighs what it does where spans are counted
            yield visit_live(candidate, factory_of(loop), sink, loop=loop)


def _shuffled(names: tuple[str, ...], *, seed: int) -> list[Candidate]:
    candidates = [named(name) for name in names]
    random.Random(seed).shuffle(candidates)
    return candidates


def factory_of(loop: str) -> LoopFactory:
    """What makes a loop of this kind."""
    if loop == "uvloop":
        import uvloop

        return uvloop.new_event_loop
    return asyncio.new_event_loop


def main() -> None:
    """The plan is the argument; samples are lines of JSON."""
    for sample in carry_out(Plan.from_json(sys.argv[1])):
        print(sample.to_json(), flush=True)


if __name__ == "__main__":
    main()
