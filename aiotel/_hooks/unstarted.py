"""See tasks that were created and never started: their loop never ran, or no longer does, or was closed.

A task on a loop that runs, and is only blocked, is not meant; nor is one that was cancelled before its first
step, nor one whose loop is about to be run.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Any, Final
from weakref import WeakKeyDictionary

from .._inspect.facts import facts_of_record
from .._inspect.glances import has_not_started, is_running, name_of_task
from .._ledger import Ledger
from .._mailbox import Mailbox
from .._record import AnyRecord
from .._repeats import Repeats
from ..observations import NeverStarted, Unstarted

__all__ = ["AFTER_NS", "Starts"]

AFTER_NS: Final = 5_000_000_000
"""So long a loop that does not run may be about to be run."""
TOLD: Final = 65536
"""So many tasks that were told of are remembered."""


class Starts:
    """Builds a `NeverStarted` of each such task, once."""

    def __init__(
        self,
        mailbox: Mailbox[Any],
        repeats: Repeats[Any],
        wall_ns: Callable[[int], int],
        *,
        clock: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self._mailbox = mailbox
        self._repeats = repeats
        self._wall_ns = wall_ns
        self._clock = clock
        self._stopped: WeakKeyDictionary[Ledger, int] = WeakKeyDictionary()
        """Loops that do not run, and when they were looked at last, or first seen."""
        self._told: dict[int, tuple[AnyRecord, Callable[[], Any]]] = {}
        """By the task's id: its record, and its weak reference."""

    def loop_closes(self, ledger: Ledger) -> None:
        """Look just before: what has not started by now never will. On the loop's thread."""
        self._look_at(ledger, "closed", older_ns=0)

    def look(self, ledgers: Iterable[Ledger]) -> None:
        """Look at loops that have not run for a while. On the pump's thread."""
        now_ns = self._clock()
        for ledger in ledgers:
            if ledger.closed or not ledger.live or is_running(ledger.loop) is not False:
                self._stopped.pop(ledger, None)
                continue
            if now_ns - self._stopped.setdefault(ledger, now_ns) >= AFTER_NS:
                self._stopped[ledger] = now_ns
                self._look_at(ledger, "not running", older_ns=AFTER_NS)

    def conclude(self, ledgers: Iterable[Ledger], *, certain: bool) -> None:
        """Look for the last time; where it is `certain` that nothing will run, at the youngest task too."""
        for ledger in ledgers:
            if not ledger.closed and is_running(ledger.loop) is False:
                if certain:
                    self._look_at(ledger, "ended", older_ns=0)
                else:
                    self._look_at(ledger, "not running", older_ns=AFTER_NS)

    def was_told(self, task: Any, record: AnyRecord | None) -> bool:
        """Whether this was told of a task, which has no record any more once its loop was closed."""
        told = self._told.get(id(task))
        if told is None:
            return False
        # The collector has emptied the reference of a task whose finalizer asks.
        return told[0] is record or (record is None and told[1]() in {task, None})

    def _look_at(self, ledger: Ledger, why: Unstarted, *, older_ns: int) -> None:
        now_ns = self._clock()
        for key, record in list(ledger.live.items()):
            reference = record.reference()
            if reference is None or now_ns - record.start_ns < older_ns or not has_not_started(reference):
                continue
            if self._told.get(key, (None,))[0] is not record:
                while len(self._told) >= TOLD:
                    self._told.pop(next(iter(self._told)), None)
                self._told[key] = record, reference
                self._tell(record, name_of_task(reference) or "", why, now_ns)

    def _tell(self, record: AnyRecord, name: str, why: Unstarted, now_ns: int) -> None:
        facts = facts_of_record(name, record)
        site = facts.created_file, facts.created_line
        repeat = self._repeats.begin((NeverStarted, why, facts.function, site))
        if repeat is not None:
            repeat.first = never_started = NeverStarted(
                task=facts,
                why=why,
                after_ns=now_ns - record.start_ns,
                time_ns=self._wall_ns(now_ns),
            )
            self._mailbox.put(never_started)
