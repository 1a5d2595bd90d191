"""Show what happens now, on one line of stderr that goes away; where there is no terminal, line by line."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import Progress, ProgressColumn, Task, TextColumn
from rich.progress_bar import ProgressBar
from rich.table import Column
from rich.text import Text

__all__ = ["progress"]

_BAR_WIDTH = 20
_OPENING_SECONDS = 0.7  # about what Python takes to start


@contextmanager
def progress(
    *, seconds: float, say: Callable[[str], None], spans: Callable[[], int]
) -> Iterator[Callable[[str], None]]:
    """While this lasts, what it gives shows a text; `spans` counts those received, `say` says a line."""
    if sys.stderr is None or not sys.stderr.isatty():
        started = time.monotonic()
        yield lambda words: say(f"{time.monotonic() - started:4.1f} s  {words}")
        return
    words = TextColumn("{task.description}", table_column=Column(ratio=1, no_wrap=True, overflow="ellipsis"))
    console = Console(stderr=True, highlight=False)
    with Progress(_Bar(), words, _Received(spans), console=console, transient=True, expand=True) as shown:
        task = shown.add_task("the shop opens", total=seconds + _OPENING_SECONDS)
        yield lambda words: shown.update(task, description=words)


class _Bar(ProgressColumn):
    """How much of the time is over."""

    def render(self, task: Task) -> ProgressBar:
        over = min(task.elapsed or 0.0, task.total or 0.0)
        return ProgressBar(
            total=task.total, completed=over, width=_BAR_WIDTH, style="dim", complete_style="cyan"
        )


class _Received(ProgressColumn):
    """How many spans have come."""

    def __init__(self, spans: Callable[[], int]) -> None:
        super().__init__()
        self._spans = spans

    def render(self, task: Task) -> Text:
        return Text(f"{self._spans():,} spans", "cyan")
