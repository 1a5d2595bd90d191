"""Which locks are held and which semaphores there are, by their ids; none of them is kept alive.

What has gone is forgotten once there are twice as many as were left then, and by whoever comes by: not on a
thread of ours, where a lock that is looked at might be let go of last.
"""

from __future__ import annotations

from typing import Any, Final

from .holds import Hold
from .semaphores import Permits

__all__ = ["KNOWN", "Followed"]

KNOWN: Final = 65536
"""So many locks, semaphores and waits are followed at once."""
FEW: Final = 1024
"""Up to so many, nobody looks which of them are no more."""


class Followed:
    """The tables; changed on the threads of loops."""

    def __init__(self) -> None:
        self.held: dict[int, Hold] = {}
        self.permits: dict[int, Permits] = {}
        self.full = 0
        """How often there was no place."""
        self._look_at = FEW
        self._skip = 0
        """So many times it is not looked again which are no more: nearly all are not."""

    def born(self, key: int) -> None:
        """What had this id before is no more."""
        self.held.pop(key, None)
        self.permits.pop(key, None)

    def room(self, table: dict[int, Any]) -> bool:
        """Whether one more can be followed, once those are forgotten that are no more."""
        if len(table) < self._look_at:
            return True
        if self._skip:
            self._skip -= 1
        else:
            self._bury()
            self._skip = FEW if self._look_at == KNOWN else 0
        if len(table) < self._look_at:
            return True
        self.full += 1
        return False

    def _bury(self) -> None:
        for key, hold in list(self.held.items()):
            if hold.primitive() is None:
                self.held.pop(key, None)
        for key, permits in list(self.permits.items()):
            if permits.primitive() is None:
                self.permits.pop(key, None)
        self._look_at = min(KNOWN, max(FEW, 2 * len(self.held), 2 * len(self.permits)))
