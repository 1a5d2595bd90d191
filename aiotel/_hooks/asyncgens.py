"""See async generators that are open when their loop is closed: what is in their `finally:` never runs.

`asyncio.run` closes them first; who closes a loop by hand has to call `shutdown_asyncgens()`.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from typing import Any
from weakref import WeakSet

from .._mailbox import Mailbox
from .._repeats import Repeats
from ..observations import Frame, NotClosed
from .functions import name_of

__all__ = ["Generators"]


class Generators:
    """Builds a `NotClosed` of each."""

    def __init__(
        self,
        mailbox: Mailbox[Any],
        repeats: Repeats[Any],
        wall_ns: Callable[[int], int],
    ) -> None:
        self._mailbox = mailbox
        self._repeats = repeats
        self._wall_ns = wall_ns

    def loop_closes(self, loop: Any) -> None:
        """Look at its generators just before: after it nothing can be awaited any more."""
        for generator in _generators_of(loop):
            frame = generator.ag_frame
            # One that runs is waited for by a task, which is the one that was left.
            if frame is None or generator.ag_running:
                continue
            repeat = self._repeats.begin((NotClosed, generator.ag_code, frame.f_lasti))
            if repeat is not None:
                code = frame.f_code
                repeat.first = not_closed = NotClosed(
                    function=name_of(generator),
                    suspended=Frame(file=code.co_filename, line=frame.f_lineno, function=code.co_qualname),
                    time_ns=self._wall_ns(time.monotonic_ns()),
                )
                self._mailbox.put(not_closed)


def _generators_of(loop: Any) -> list[Any]:
    """The generators that were begun on this loop; uvloop keeps them where only the collector can see."""
    known = getattr(loop, "_asyncgens", None)
    if known is None:
        known = next((each for each in gc.get_referents(loop) if isinstance(each, WeakSet)), ())
    return list(known)
