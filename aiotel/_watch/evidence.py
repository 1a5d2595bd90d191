"""What was seen of a loop while it was blocked."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from .._inspect.stacks import Place
from .kernel import Call

__all__ = ["Evidence", "Glimpse", "Rival", "Sample", "overlap_ns"]


def overlap_ns(spans: Iterable[tuple[int, int]], from_ns: int, to_ns: int) -> int:
    """How much of these spans of time is between the two moments."""
    return sum(max(0, min(end, to_ns) - max(begin, from_ns)) for begin, end in spans)


class Sample(NamedTuple):
    """One look at the stack: from the callback (outermost) to where the thread was."""

    at_ns: int
    stack: tuple[Place, ...]
    call: Call | None
    task_id: int
    """0 where no task ran."""


class Glimpse(NamedTuple):
    """A cheaper look: which task ran, and how many callbacks were still to be run."""

    at_ns: int
    task_id: int
    waiting: int


class Rival(NamedTuple):
    """A thread, what it does, and how much of the time it was on a CPU."""

    name: str
    function: str | None
    share: float


class Evidence(NamedTuple):
    """All that the cause is told from. Times in ns; None where the system does not tell."""

    duration_ns: int
    samples: Sequence[Sample] = ()
    glimpses: Sequence[Glimpse] = ()
    collecting_ns: int = 0
    """The garbage collector ran for so long."""
    cpu: float | None = None
    """The share of the time that the loop's thread was on a CPU."""
    others_cpu: float | None = None
    """The same of all other threads together."""
    queued: float | None = None
    """The share of the time that it had to wait for a CPU."""
    turns: float | None = None
    """How often it got a CPU, in a second: who waits for the GIL wakes at each switch interval."""
    held_ns: int = 0
    """How long the watchdog had to wait for the GIL."""
    rival: Rival | None = None
    """The other thread that used most of a CPU."""
