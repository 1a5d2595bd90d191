"""All that one session watches, and what becomes of what is seen."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from .._borrowed import Returns
from .._config import ADAPTIVE, Config
from .._mailbox import Mailbox
from .._measured import Attributes, Example
from .._record import take
from .._repeats import Repeats
from .._signals import names
from ..observations import TaskFacts
from .health import Health
from .pauses import Pauses
from .stalls import Measured, Stalls
from .watchdog import Watchdog

__all__ = ["Measures", "Watch"]


class Measures(Protocol):
    """Where stalls and delays are counted."""

    def count_slow(self, function: str, callback_type: str, times: int) -> None:
        """Count a slow callback, so many times."""

    def measure(self, name: str, attributes: Attributes, durations_ns: list[int]) -> None:
        """Add to a histogram."""

    def exemplify(self, name: str, attributes: Attributes, example: Example) -> None:
        """Say which span a value that was measured belongs to."""

    def measure_short(self, name: str, count: int, total_ns: int) -> None:
        """Add what is within the first bucket."""


class Watch:
    """The watchdog and its loops, for the session."""

    def __init__(
        self,
        config: Config,
        *,
        wall_ns: Callable[[int], int],
        observations: Mailbox[Any],
        repeats: Repeats[Any],
        returns: Returns,
        on_check: Callable[[], None],
    ) -> None:
        pauses = Pauses()
        self._stalls = Stalls(
            observations,
            repeats,
            wall_ns,
            pauses,
            error_after_ns=int(config.stall_error_after * 1e9),
            frames=config.stack_frames,
        )
        after = config.stall_after
        self._watchdog = Watchdog(
            self._stalls,
            returns,
            pauses,
            threshold_ns=int(after * 1e9) if isinstance(after, int | float) else None,
            adaptive=after == ADAPTIVE,
            on_check=on_check,
        )
        self.health = Health(self._watchdog.watched)
        self.watch = self._watchdog.watch
        self.turned = self._watchdog.turned
        self.unwatch = self._watchdog.unwatch
        self.stop = self._watchdog.stop

    def cpu_ns(self) -> int:
        """CPU time of the watchdog's thread."""
        return self._watchdog.cpu_ns

    def dropped(self) -> int:
        """How many stalls there was no place for."""
        return self._stalls.dropped

    def forget(self) -> None:
        """In a child process: the loops are the parent's."""
        self._watchdog.forget()
        self.health.forget()

    def look(self, measures: Measures, identified: Callable[[TaskFacts], TaskFacts]) -> None:
        """See now what has happened, and count it. On the pump's thread, or who flushes.

        `identified` gives a task its ids, where it is only to be decided whether it has a span.
        """
        self._watchdog.revive()
        # Who flushes cannot wait; and where the GIL was held, this thread may have it before the watchdog
        # does, while the stack is still that which held it.
        if self._watchdog.overdue or any(watched.beat.stalls for watched in self._watchdog.watched()):
            self._watchdog.look()
        gone = self._watchdog.take_gone()
        for watched in (*gone, *self._watchdog.watched()):
            if not watched.has_delays():
                continue
            short, short_ns, longs = watched.take_delays()
            if short:
                measures.measure_short(names.EVENTLOOP_DELAY, short, short_ns)
            if longs:
                measures.measure(names.EVENTLOOP_DELAY, (), longs)
        for watched in gone:
            self.health.take_leave(watched)
        for stall in take(self._stalls.measured):
            _count(stall, measures)
            task = None if stall.task is None else identified(stall.task)
            if task is not None and task.trace_id and task.sampled:
                seconds = stall.duration_ns / 1e9
                measures.exemplify(
                    names.EVENTLOOP_DELAY, (), Example(seconds, stall.end_ns, task.trace_id, task.span_id)
                )


def _count(stall: Measured, measures: Measures) -> None:
    attributes = ((names.STALL_CAUSE, stall.cause), (names.CODE_FUNCTION_NAME, stall.function))
    measures.measure(names.EVENTLOOP_STALL_DURATION, attributes, [stall.duration_ns])
    if stall.cause != "crowded" and not stall.exact:
        measures.count_slow(stall.function, stall.callback, 1)
