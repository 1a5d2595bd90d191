"""Print what was received to a terminal, as wide and as colourful as it can take."""

from __future__ import annotations

import io
import sys
from typing import TYPE_CHECKING

from rich.console import Console
from rich.text import Text

from ..series import SeriesBook
from . import logs, metrics, traces
from . import text as words

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ..received import ReceivedLog, ReceivedMetricPoint
    from ..trees import Trace

_HANG = 4
_SHORT_LOG = 3  # lines that need no blank line after them
_MIN_WIDTH, _MAX_WIDTH = 40, 160


class _Console(Console):
    """Lets its user decide what to do when nobody reads any more; rich would end the process."""

    def on_broken_pipe(self) -> None:
        raise  # noqa: PLE0704  # rich calls this while it handles the BrokenPipeError


def new_console() -> Console:
    """A console on stdout; what its encoding cannot write is escaped rather than fatal."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    return _Console(highlight=False, markup=False, emoji=False)


class Screen:
    """A console that shows traces, logs and metrics. Colours and width are the console's business."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or new_console()
        self._glyphs = words.glyphs(self._console.encoding)

    @property
    def width(self) -> int:
        """How many columns are used, which may change from line to line."""
        return max(_MIN_WIDTH, min(_MAX_WIDTH, self._console.width))

    def show_trace(
        self, trace: Trace, *, known: Mapping[str, str] | None = None, is_addition: bool = False
    ) -> None:
        """Show a trace as a tree.

        `is_addition` says that the trace was shown before, and these are spans that came later; `known` has
        the names of the spans shown then, by span id.
        """
        drawing = traces.Drawing(trace, width=self.width, glyphs=self._glyphs, known=known)
        for line in drawing.lines(is_addition=is_addition):
            self._print(line)
        self._console.print()

    def show_log(self, log: ReceivedLog) -> None:
        """Show a log record with its traceback shortened."""
        lines = list(logs.lines(log, glyphs=self._glyphs))
        for indent, text in lines:
            wrapped = text.wrap(self._console, self.width - max(indent, _HANG))
            for number, line in enumerate(wrapped):
                line.rstrip()
                self._print(Text(" " * (indent if number == 0 else max(indent, _HANG))).append(line))
        if len(lines) > _SHORT_LOG:
            self._console.print()

    def show_metrics(self, points: Sequence[ReceivedMetricPoint]) -> None:
        """Show series as a table, each as its last point leaves it; nothing where there are none."""
        book = SeriesBook()
        book.add(points)
        if points:
            self._console.print(metrics.table(book.latest(), width=self.width, glyphs=self._glyphs))
            self._console.print()

    def _print(self, line: Text) -> None:
        self._console.print(line, no_wrap=True, overflow="ignore", crop=False)
