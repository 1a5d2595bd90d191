"""Carry the whole run out, in processes one after the other, and tell how far it is."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator

from .samples import Plan, Sample
from .sink import ROOT

__all__ = ["ROUNDS_A_PROCESS", "WorkerError", "carry_out", "plans"]

ROUNDS_A_PROCESS = 3


class WorkerError(Exception):
    """A process that measures has ended in the middle."""


def plans(*, loops: tuple[str, ...], candidates: tuple[str, ...], rounds: int, visit_ms: int) -> list[Plan]:
    """What each process does; the last weighs live tasks."""
    starts = range(0, rounds, ROUNDS_A_PROCESS)
    return [
        Plan(
            loops=loops,
            candidates=candidates,
            first_round=start,
            rounds=min(ROUNDS_A_PROCESS, rounds - start),
            visit_ms=visit_ms,
            live=start == starts[-1],
        )
        for start in starts
    ]


def carry_out(plan: Plan, tell: Callable[[Sample], None]) -> Iterator[Sample]:
    """The samples of one process, each told when it is there."""
    command = [sys.executable, "-m", "tests.bench.worker", plan.to_json()]
    with subprocess.Popen(command, cwd=ROOT, env=_environment(), stdout=subprocess.PIPE, text=True) as worker:
        assert worker.stdout is not None
        for line in worker.stdout:
            sample = Sample.from_json(line)
            tell(sample)
            yield sample
    if worker.returncode:
        raise WorkerError(f"a process that measures has ended with status {worker.returncode}")


def _environment() -> dict[str, str]:
    """Ours without what would change what is measured."""
    ours = ("OTEL_", "AIOTEL_", "PYTHONASYNCIODEBUG", "PYTHONDEVMODE", "PYTHONHASHSEED", "PYTHONTRACEMALLOC")
    return {name: value for name, value in os.environ.items() if not name.startswith(ours)}
