"""Say what goes wrong around aiotel, seldom and from its own thread: a line a minute for each kind."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Final

__all__ = ["Complaints", "complaints"]

EVERY_S: Final = 60.0
KINDS: Final = 50

# Not the one that reports are told through: who reads of failures there may want to be spared this.
_log = logging.getLogger("aiotel.complaints")


class Complaints:
    """What is to be said, the latest of each kind. Adding is safe anywhere; `say` is for our thread."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._waiting: dict[str, str] = {}
        self._said: dict[str, float] = {}

    def add(self, kind: str, text: str) -> None:
        """Have this said, in place of what waits of the same kind."""
        if kind in self._waiting or len(self._waiting) < KINDS:
            self._waiting[kind] = text

    def say(self) -> None:
        """Log what waits, unless the same kind was logged less than a minute ago."""
        now = self._clock()
        for kind in list(self._waiting):
            # A kind is said again after a minute; what waits then is the latest.
            if now - self._said.get(kind, -EVERY_S) >= EVERY_S:
                self._said[kind] = now
                _log.warning("aiotel: %s", self._waiting.pop(kind))

    def clear(self) -> None:
        """Forget what waits and what was said."""
        self._waiting.clear()
        self._said.clear()


complaints = Complaints()
"""Of this process."""
