"""Tell who holds the permits of semaphores, from how their values change.

Not its business: semaphores that signal, which are released by those who have not acquired them. Who holds
what is known only while each permit that is out was seen to go out, and to whom.
"""

from __future__ import annotations

import weakref
from typing import Any, Final

from .holds import Hold

__all__ = ["GRANT", "Permits"]

GRANT: Final = "_wake_up_next"
"""The function of a semaphore in which whoever releases takes the permit for the next that waits."""


class Permits:
    """The permits of one semaphore that are out."""

    __slots__ = ("exact", "free", "holds", "primitive")

    def __init__(self, semaphore: Any, free: int | None, *, exact: bool) -> None:
        self.primitive = weakref.ref(semaphore)
        self.free = free
        """Its value while nobody holds one; None where that is not known."""
        self.exact = exact
        """All that are out were seen to go out."""
        self.holds: list[Hold] = []

    def taken(self, hold: Hold | None) -> None:
        """One goes out; to nobody that is known, where there is no hold."""
        if hold is None:
            self.exact = False
        else:
            self.holds.append(hold)

    def returned(self, task_id: int, value: int) -> Hold | None:
        """One comes back, by this task (0 for none), whoever had it: the hold that is over, where known."""
        over = self._over(task_id)
        if over is None:
            self.exact = False
        else:
            self.holds.remove(over)
        if self.free is not None and value > self.free:  # more than there were: it is a signal
            self.free, self.exact = None, False
        elif value == self.free:
            self.holds.clear()
            self.exact = True
        return over

    def certain(self, value: int) -> bool:
        """Whether the holds are all there are."""
        return self.exact and self.free is not None and self.free - value == len(self.holds)

    def _over(self, task_id: int) -> Hold | None:
        own = [hold for hold in self.holds if hold.task_id == task_id]
        if own:
            return own[-1]
        # By another task than any that holds one: whose it is can be told only where there is one.
        return self.holds[0] if self.exact and len(self.holds) == 1 else None
