"""Swallow what goes wrong inside aiotel, and count it: a program never fails because of its instrument."""

from __future__ import annotations

from collections import deque
from typing import Final

__all__ = ["Faults", "faults"]

KEPT: Final = 20


class Faults:
    """Exceptions of our own: how many, and the latest in words (never the objects: they hold frames)."""

    __slots__ = ("count", "latest")

    def __init__(self) -> None:
        self.count = 0
        self.latest: deque[str] = deque(maxlen=KEPT)

    def add(self, error: BaseException) -> None:
        """Count the exception. Safe anywhere: takes no lock, calls nobody's code but the class's name."""
        self.count += 1
        traceback = error.__traceback__
        while traceback is not None and traceback.tb_next is not None:
            traceback = traceback.tb_next
        place = "?" if traceback is None else f"{traceback.tb_frame.f_code.co_filename}:{traceback.tb_lineno}"
        try:
            self.latest.append(f"{type(error).__name__}: {error} at {place}")
        except Exception:  # noqa: BLE001  # a `__str__` may raise anything
            self.latest.append(f"{type(error).__name__} at {place}")


faults = Faults()
"""Of this process: hooks run in places where nothing could be handed to them."""
