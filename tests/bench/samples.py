"""What was measured, as plain data that goes between processes and into a file."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Literal

__all__ = ["Plan", "Sample"]

Measure = Literal["task", "step", "live"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One candidate in one round; where something was lost or wrong, `faults` says so and there is no figure.

    Of a task and a step, `thread_us` is CPU time of the loop's thread without full garbage collections, those
    are `full_us`, and `process_us` is all of the whole process, each for one of them; of live tasks, `bytes`
    is what one takes.
    """

    measure: Measure
    loop: str
    round: int
    candidate: str
    thread_us: float | None = None
    full_us: float | None = None
    process_us: float | None = None
    bytes: float | None = None
    tasks: int = 0
    """In how many tasks, all of which were accounted for."""
    faults: tuple[str, ...] = ()

    def to_json(self) -> str:
        """One line."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, line: str) -> Sample:
        """The sample that `to_json` wrote."""
        fields = json.loads(line)
        return cls(**{**fields, "faults": tuple(fields["faults"])})


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What one process measures: rounds of every candidate in turn, on every loop, then live tasks."""

    loops: tuple[str, ...]
    candidates: tuple[str, ...]
    first_round: int
    rounds: int
    visit_ms: int
    """How much CPU time of the loop's thread a candidate gets in each round."""
    live: bool
    """Weigh live tasks, after the rounds."""

    def to_json(self) -> str:
        """One line."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, line: str) -> Plan:
        """The plan that `to_json` wrote."""
        fields = json.loads(line)
        return cls(**{**fields, "loops": tuple(fields["loops"]), "candidates": tuple(fields["candidates"])})
