"""Say what goes wrong around aiotel, from its own thread and seldom: a line a minute for each kind of trouble."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Final

__all__ = ["Complaints", "complaints"]

EVERY_S: Final = 60.0
KINDS: Final = 50

_log = logging.getLogger("aiotel")


class Complaints:
    """What is to be said, by kind. Adding is safe on the loop; `say` is for aiotel's thread."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._waiting: dict[str, tuple[str, int]] = {}
        self._said: dict[str, float] = {}

    def add(self, kind: str, text: str) -> None:
        """Have this said; the latest text of a kind is kept, and how many there were."""
        _, count = self._waiting.get(kind, ("", 0))
        if count or len(self._waiting) < KINDS:
            self._waiting[kind] = (text, count + 1)

    def say(self) -> None:
        """Log what waits, unless the same kind was logged less than a minute ago."""
        now = self._clock()
        for kind in list(self._waiting):
            if now - self._said.get(kind, -EVERY_S) >= EVERY_S:
                text, count = self._waiting.pop(kind)
                self._said[kind] = now
                _log.warning("%s%s", text, f" ({count} times)" if count > 1 else "")

    def clear(self) -> None:
        """Forget what waits and what was said."""
        self._waiting.clear()
        self._said.clear()


complaints = Complaints()
"""Of this process."""
