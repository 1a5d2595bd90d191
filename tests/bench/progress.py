"""Say how far a run is: one line that changes on a terminal, a line for each round elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TextIO

from .candidates import named
from .samples import Plan, Sample

__all__ = ["Progress"]


class Progress:
    """Counts the samples that come against those that are to come."""

    def __init__(self, plans: Sequence[Plan], stream: TextIO) -> None:
        self._expected = sum(_samples_of(plan) for plan in plans)
        self._rounds = sum(plan.rounds for plan in plans)
        self._stream = stream
        self._terminal = stream.isatty()
        self._came = 0
        self._said = ""

    def tell(self, sample: Sample) -> None:
        """Another sample is there."""
        self._came += 1
        what = "live tasks" if sample.measure == "live" else f"round {sample.round + 1} of {self._rounds}"
        if self._terminal:
            part = f"{100 * self._came // self._expected:3} %"
            self._stream.write(f"\r{part}  {what}, {sample.loop}, {sample.candidate}\x1b[K")
        elif what != self._said:
            self._stream.write(f"{what}\n")
        self._said = what
        self._stream.flush()

    def end(self) -> None:
        """Leave the line clean."""
        if self._terminal:
            self._stream.write("\r\x1b[K")
            self._stream.flush()


def _samples_of(plan: Plan) -> int:
    candidates = [named(name) for name in plan.candidates]
    a_round = len(candidates) + sum(each.steps for each in candidates)
    live = sum(not each.exports for each in candidates) if plan.live else 0
    return len(plan.loops) * (plan.rounds * a_round + live)
