"""Histograms as arrays of buckets, one for each set of attributes: their boundaries, and what they hold."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Mapping
from typing import Final

from .._measured import Example
from . import names

__all__ = ["BOUNDS", "Series", "description_of"]

_LIFETIMES: Final = (
    *(0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0),
    *(300.0,),
)
_TURNS: Final = (
    *(0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0),
    *(2.5, 5.0, 10.0),
)
BOUNDS: Final[Mapping[str, tuple[float, ...]]] = {
    names.TASK_DURATION: _LIFETIMES,
    names.EVENTLOOP_DELAY: (
        *(0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0),
        10.0,
    ),
    names.EVENTLOOP_STALL_DURATION: (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0),
    names.TASK_SCHEDULE_DURATION: _TURNS,
    names.TASK_RUN_DURATION: _TURNS,
    names.TASK_SCHEDULED_DURATION: _TURNS,
    names.TASK_WAITING_DURATION: _LIFETIMES,
    names.LOCK_WAIT_DURATION: (*_TURNS, 30.0, 60.0),
    names.LOCK_HOLD_DURATION: (*_TURNS, 30.0, 60.0),
    names.EXECUTOR_QUEUE_DURATION: (*_TURNS, 30.0, 60.0),
}
"""Bucket boundaries of our histograms, in seconds."""

_DESCRIPTIONS: Final = {
    names.EVENTLOOP_DELAY: "How long a callback that is ready may have to wait: one iteration of the loop.",
    names.EVENTLOOP_STALL_DURATION: "How long event loops were blocked, where that was for too long.",
    names.TASK_DURATION: "How long tasks lived, from their creation to their end.",
    names.TASK_SCHEDULE_DURATION: (
        "How long tasks waited for their first step (of 1 task in 16, of all with exact timing)."
    ),
    names.TASK_RUN_DURATION: "How long tasks ran, all their steps together.",
    names.TASK_SCHEDULED_DURATION: "How long tasks were ready to run and had to wait for the loop.",
    names.TASK_WAITING_DURATION: "How long tasks waited for something else than the loop.",
    names.LOCK_WAIT_DURATION: "How long tasks waited for a lock or a semaphore that they got (opt-in).",
    names.LOCK_HOLD_DURATION: "How long tasks held a lock, or a permit of a semaphore (opt-in).",
    names.EXECUTOR_QUEUE_DURATION: "How long calls waited for a thread, from run_in_executor to their start.",
}


class Series:
    """One histogram with one set of attributes, since the beginning; values in seconds."""

    __slots__ = ("_examples", "_intervals", "attributes", "buckets", "high", "low", "name", "total")

    def __init__(self, name: str, attributes: Mapping[str, str]) -> None:
        self.name = name
        self.attributes = dict(attributes)
        self.buckets = [0] * (len(BOUNDS[name]) + 1)
        self.total = 0.0
        self.low = float("inf")
        self.high = 0.0
        self._intervals: dict[int, tuple[float, float]] = {}
        self._examples: dict[int, Example] = {}

    def add(self, durations_ns: list[int]) -> None:
        """Count these durations; sorting them first takes a tenth of what one search each does."""
        bounds = BOUNDS[self.name]
        self.total += sum(durations_ns) / 1e9
        low, high = min(durations_ns) / 1e9, max(durations_ns) / 1e9
        self.low, self.high = min(self.low, low), max(self.high, high)
        for reader, (lowest, highest) in self._intervals.items():
            self._intervals[reader] = (min(lowest, low), max(highest, high))
        if len(durations_ns) < 8:
            for duration_ns in durations_ns:
                self.buckets[bisect_left(bounds, duration_ns / 1e9)] += 1
            return
        durations_ns.sort()
        below = 0
        for index, bound in enumerate(bounds):
            upto = bisect_right(durations_ns, round(bound * 1e9), below)
            self.buckets[index] += upto - below
            below = upto
        self.buckets[-1] += len(durations_ns) - below

    def add_short(self, count: int, total_ns: int) -> None:
        """Count values that are within the first bucket; the least is not known, but their mean is."""
        self.total += total_ns / 1e9
        self.buckets[0] += count
        mean = total_ns / count / 1e9
        self.low, self.high = min(self.low, mean), max(self.high, mean)
        for reader, (lowest, highest) in self._intervals.items():
            self._intervals[reader] = (min(lowest, mean), max(highest, mean))

    def exemplify(self, example: Example) -> None:
        """Give the last value of its bucket a span."""
        self._examples[bisect_left(BOUNDS[self.name], example.seconds)] = example

    @property
    def examples(self) -> list[Example]:
        """The last of each bucket, where there is one."""
        return list(self._examples.values())

    def extremes_since(self, reader: int) -> tuple[float, float]:
        """The least and the greatest value since this reader, by its id, asked last."""
        extremes = self._intervals.get(reader, (self.low, self.high))
        self._intervals[reader] = (float("inf"), 0.0)
        return extremes


def description_of(name: str) -> str:
    """What a histogram of ours tells."""
    return _DESCRIPTIONS[name]
