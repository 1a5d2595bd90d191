"""Find tasks that have waited for longer than the program says they should.

Not their business: tasks that wait for I/O, for a queue, or for a time, which is what those are for; unless a
pattern names them. Nothing is told where no limit was set.
"""

from __future__ import annotations

from collections.abc import Callable
from fnmatch import fnmatchcase
from typing import Any, Final

from .._mailbox import Mailbox
from .._record import note_on
from .._repeats import Repeats
from .._signals import names
from .._snapshot import WaitKind
from ..observations import Hung
from .settled import Entry, Settled

__all__ = ["HungTasks"]

Limits = float | tuple[tuple[str, float], ...] | None
"""One limit (s) for all, or one for each pattern of functions; the first pattern that matches counts."""

_BY_DESIGN: Final[frozenset[WaitKind]] = frozenset(
    {"io", "queue", "sleep", "subprocess", "event", "condition"}
)


class HungTasks:
    """Tells each hung task once, and counts those that are hung still."""

    def __init__(
        self, limits: Limits, mailbox: Mailbox[Any], repeats: Repeats[Any], wall_ns: Callable[[int], int]
    ) -> None:
        self._limits = limits
        self._mailbox = mailbox
        self._repeats = repeats
        self._wall_ns = wall_ns
        self._told: dict[int, dict[int, Entry]] = {}
        """By the loop's `Settled`, those that are hung still."""

    def look(self, settled: Settled, now_ns: int) -> None:
        """Tell those whose time is over, and forget those that have gone on."""
        if self._limits is None:
            return
        told = self._told.setdefault(id(settled), {})
        for key, entry in list(told.items()):
            if settled.entries.get(key) is not entry:
                del told[key]
        for key, entry in list(settled.entries.items()):
            if key in told or not self._is_late(entry, now_ns):
                continue
            if entry.view is not None and self._is_hung(entry):
                told[key] = entry
                self._tell(entry, now_ns)
            elif not entry.closely:
                entry.closely = True
                settled.fresh.append(entry)

    def active(self) -> int:
        """How many there are."""
        return sum(map(len, self._told.values()))

    def conclude(self, settled: Settled) -> None:
        """The loop was closed."""
        self._told.pop(id(settled), None)

    def forget(self) -> None:
        """In a child process: they are the parent's."""
        self._told = {}

    def _is_late(self, entry: Entry, now_ns: int) -> bool:
        limit_s = self._limit_of(entry)
        return limit_s is not None and now_ns - entry.since_ns >= limit_s * 1e9

    def _is_hung(self, entry: Entry) -> bool:
        waiting = entry.view.waiting
        return waiting is not None and (isinstance(self._limits, tuple) or waiting.kind not in _BY_DESIGN)

    def _limit_of(self, entry: Entry) -> float | None:
        if not isinstance(self._limits, tuple):
            return self._limits
        function = entry.record.function.name
        return next((limit_s for pattern, limit_s in self._limits if fnmatchcase(function, pattern)), None)

    def _tell(self, entry: Entry, now_ns: int) -> None:
        view, waiting = entry.view, entry.view.waiting
        seconds, time_ns = (now_ns - waiting.since_ns) / 1e9, self._wall_ns(now_ns)
        attributes = {names.WAITING_FOR: waiting.kind, names.TASK_WAITING_DURATION: seconds}
        note_on(entry.record, names.TASK_HUNG, attributes, time_ns=time_ns)
        repeat = self._repeats.begin((Hung, view.task.function, waiting.at))
        if repeat is None:
            return
        repeat.first = hung = Hung(
            task=view.task,
            kind=waiting.kind,
            what=waiting.what,
            at=waiting.at,
            seconds=seconds,
            limit_s=self._limit_of(entry) or 0.0,
            stack=view.stack,
            holds=tuple((held.primitive.name, held.at) for held in view.holds),
            time_ns=time_ns,
        )
        self._mailbox.put(hung)
