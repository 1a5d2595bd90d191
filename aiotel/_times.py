"""Where the time of tasks went, kept with exact timing only: running, ready to run, or waiting.

All times are in ns, written by the loop's thread.
"""

from __future__ import annotations

import time

__all__ = ["FunctionTimes", "LoopTimes", "TaskTimes"]

_clock = time.monotonic_ns


class TaskTimes:
    """The times of one task."""

    __slots__ = ("ended_ns", "longest_ns", "ready_ns", "run_ns", "scheduled_ns", "steps")

    def __init__(self, ready_ns: int) -> None:
        self.ready_ns = ready_ns
        """Since when the next step is ready; 0 where none is, or where it was not seen to become so."""
        self.ended_ns = 0
        """When the last step ended."""
        self.steps = 0
        self.longest_ns = 0
        self.run_ns = 0
        self.scheduled_ns = 0

    def add(self, run_ns: int, ended_ns: int) -> None:
        """Count a step."""
        self.steps += 1
        self.run_ns += run_ns
        self.longest_ns = max(self.longest_ns, run_ns)
        self.ended_ns = ended_ns

    def waiting_ns(self, lifetime_ns: int) -> int:
        """For how much of its life the task waited for something else than its turn."""
        return max(0, lifetime_ns - self.run_ns - self.scheduled_ns)


class FunctionTimes:
    """Of the tasks of one function that have ended: what each ran, was ready and waited for."""

    __slots__ = ("run", "scheduled", "waiting")

    def __init__(self) -> None:
        self.run: list[int] = []
        self.scheduled: list[int] = []
        self.waiting: list[int] = []


class LoopTimes:
    """What is timed on one loop."""

    __slots__ = ("ended_ns", "inner_ns", "late_ns", "tasks", "told_ns")

    def __init__(self) -> None:
        self.tasks: dict[int, TaskTimes] = {}
        """By the id of the task, from its first step to its end."""
        self.inner_ns = 0
        """For how long eager tasks have run inside the step that runs now: that time is theirs."""
        self.told_ns = 0
        """The part of it that was counted as slow already."""
        self.late_ns = 0
        """How late the timer is that runs now: what it wakes could have run so much sooner."""
        self.ended_ns = 0
        """When the task that is told to have ended did so; 0 where that is not known."""

    def end(self) -> int:
        """The clock for the ends of tasks: a done callback is called a tick late."""
        return self.ended_ns or _clock()
