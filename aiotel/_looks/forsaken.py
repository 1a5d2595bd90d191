"""Find loops that nothing can wake any more, so that all their tasks wait for ever: a total deadlock.

Not its business: loops whose tasks are all in a deadlock that was told, task by task.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Final

from .idle import is_forsaken, others_are_harmless
from .settled import Settled
from .telling import MOST, Telling, Told
from .views import Owners, see_anew

__all__ = ["Forsaken"]

LOOKS: Final = 2
"""So many looks, an interval apart, have to show the same."""


class _Loop:
    """What is known of one loop."""

    def __init__(self) -> None:
        self.changes = 0
        """Of its tasks, when they were looked at last."""
        self.looks = 0
        self.is_due = False
        self.ident: int | None = None
        """The loop's thread, once the loop has said that it has nothing to wait for."""
        self.told: Told | None = None


class Forsaken:
    """Looks for them in a session."""

    def __init__(self, telling: Telling, owners: Owners, deadlocked: Callable[[Settled], set[int]]) -> None:
        self._telling = telling
        self._owners = owners
        self._deadlocked = deadlocked
        self._loops: dict[int, _Loop] = {}

    def active(self) -> int:
        """How many there are."""
        return sum(loop.told is not None for loop in self._loops.values())

    def look(self, settled: Settled, now_ns: int) -> None:
        """Once a round: see whether a task has moved, and whether to ask."""
        loop = self._loops.setdefault(id(settled), _Loop())
        if settled.changes != loop.changes:
            loop.changes, loop.looks, loop.is_due = settled.changes, 0, False
            if loop.told is not None:
                told, loop.told = loop.told, None
                self._telling.resolve(told, told.moved(settled.entries), settled.ledger, now_ns)
        elif settled.entries and loop.told is None and len(settled.entries) == len(settled.ledger.live):
            loop.is_due = not set(settled.entries) <= self._deadlocked(settled)

    def consider(self, settled: Settled, now_ns: int) -> Callable[[Any], None] | None:
        """Judge what the loop has answered; gives the question to it, where there is one."""
        loop = self._loops.setdefault(id(settled), _Loop())
        ident, loop.ident = loop.ident, None
        if ident is not None:
            loop.looks = loop.looks + 1 if others_are_harmless(ident) else 0
            if loop.looks >= LOOKS:
                entries = {key: entry for key, entry in settled.entries.items() if entry.view is not None}
                loop.told = self._telling.tell_total(entries, len(settled.entries), now_ns)
        if not loop.is_due:
            return None
        loop.is_due = False
        return partial(self._ask, loop, settled)

    def conclude(self, settled: Settled, now_ns: int) -> None:
        """The loop was closed."""
        loop = self._loops.pop(id(settled), None)
        if loop is not None and loop.told is not None:
            self._telling.resolve(loop.told, [], None, now_ns)

    def forget(self) -> None:
        """In a child process: they are the parent's."""
        self._loops = {}

    # On the loop's thread.

    def _ask(self, loop: _Loop, settled: Settled, running: Any) -> None:
        if is_forsaken(running):
            see_anew(list(settled.entries.values())[:MOST], running, self._owners)
            loop.ident = running._thread_id
        else:
            loop.looks = 0
