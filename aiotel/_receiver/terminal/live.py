"""Show what comes as it comes: a trace in one piece when it looks complete, of metrics what has changed."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from ..assembly import Assembly, Piece
from ..series import SeriesBook
from .screen import Screen

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..store import Contents


class Live:
    """Prints to a screen what it is given, at once or when `next_due` says so. For one thread."""

    def __init__(self, screen: Screen | None = None, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._screen = screen or Screen()
        self._clock = clock
        self._assembly = Assembly()
        self._series = SeriesBook()

    def show(self, contents: Contents) -> None:
        """Take what was received, and print what is due; contents may be empty."""
        now = self._clock()
        self._assembly.add(contents.spans, now)
        self._print(self._assembly.due(now))
        for log in contents.logs:
            self._screen.show_log(log)
        self._series.add(contents.metrics)
        self._screen.show_metrics(self._series.changes())

    def next_due(self) -> float | None:
        """In how many seconds to call `show` again even if nothing comes; None while nothing is held back."""
        due = self._assembly.next_due()
        return None if due is None else max(0.0, due - self._clock())

    def finish(self) -> None:
        """Print what was held back."""
        self._print(self._assembly.rest())

    def _print(self, pieces: list[Piece]) -> None:
        for piece in pieces:
            self._screen.show_trace(piece.trace, known=piece.known, is_addition=piece.is_addition)
