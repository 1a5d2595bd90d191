"""See coroutines go that were never awaited, from in front of the function that makes Python's warning.

C calls what is the attribute of `warnings`, in finalizers, on any thread, in the middle of a garbage
collection. The warning names the second Python frame, so that a function of ours in between would be blamed.
Hence it is a chain of C calls that stands there: our frame is gone when the function that was found there
runs, as if nobody had called us.
"""

from __future__ import annotations

import asyncio
import sys
import time
import warnings
from collections.abc import Callable
from contextvars import copy_context
from functools import partial, reduce
from operator import or_
from types import CodeType, FrameType
from typing import Any, Final

from .._borrowed import Borrowed
from .._faults import faults
from .._ledger import Ledger
from .._mailbox import Mailbox
from .._repeats import Repeats
from ..observations import Frame, NeverAwaited, TaskFacts
from .drops import forget_sites, line_of_drop
from .errors import task_facts
from .functions import name_of
from .loops import Detach
from .origins import Origins
from .warning import is_pythons, not_ours, warn_past

__all__ = ["Coroutines"]

FORGIVEN: Final = 1024
"""So many coroutines of tasks that were told of are remembered."""
COLLECTED: Final = 65536
"""So many coroutines that went in a garbage collection may wait to be told."""

_ATTRIBUTE: Final = "_warn_unawaited_coroutine"
_ASYNCIO: Final = asyncio.__file__.removesuffix("__init__.py")

_Place = tuple[str, int, str]
"""File, line and function."""


class Coroutines:
    """Builds a `NeverAwaited` of each; for all loops, or for one only."""

    def __init__(
        self,
        mailbox: Mailbox[Any],
        repeats: Repeats[Any],
        ledger_of: Callable[[Any], Ledger | None],
        wall_ns: Callable[[int], int],
        origins: Origins,
        *,
        only: Any = None,
    ) -> None:
        self._mailbox = mailbox
        self._repeats = repeats
        self._ledger_of = ledger_of
        self._wall_ns = wall_ns
        self._origins = origins
        self._only = only
        self._attached = False
        self._found: object = None
        self._references = 0
        """How many there are to a coroutine that nobody holds any more; in a collection there are more."""
        self._forgiven: dict[int, CodeType] = {}
        self._collected: dict[int, tuple[CodeType, _Place | None, NeverAwaited]] = {}

    def attach(self) -> Detach:
        """Stand in front of what makes the warning; gives back what undoes it."""
        self._found = found = getattr(warnings, _ATTRIBUTE)
        ours = partial(reduce, or_, (_See(self._see), _teller(found)))
        setattr(warnings, _ATTRIBUTE, ours)
        _probe()  # type: ignore[unused-coroutine]  # that is the point: see `_see`
        self._attached = True

        def detach() -> None:
            self._attached = False
            forget_sites()
            if getattr(warnings, _ATTRIBUTE) is ours:
                setattr(warnings, _ATTRIBUTE, found)

        return detach

    def forgive(self, coro: Any) -> None:
        """Tell nothing of this coroutine: its task is told of, just before or just after."""
        if self._collected.pop(id(coro), None) is not None:
            return
        if len(self._forgiven) >= FORGIVEN:
            self._forgiven.clear()
        self._forgiven[id(coro)] = coro.cr_code

    def look(self) -> None:
        """Tell what went in a collection that is over. On the pump's thread.

        Not at once: a collection runs finalizers in any order, and that of the coroutine's task may be next.
        """
        for key in list(self._collected):
            self._tell_collected(key)

    def forget(self) -> None:
        """In a child process: what has not been told is the parent's."""
        self._collected.clear()

    # Where the warning is made.

    def _see(self, coro: Any, frame: FrameType, references: int) -> object:
        """Look at a coroutine that goes; gives what is to be handed on."""
        if coro.cr_code is _PROBE:
            self._references = references
            return _NOBODY
        frame, ours = not_ours(frame)
        if self._attached:
            try:
                self._observe(coro, frame, in_collection=references != self._references)
            except Exception as error:  # noqa: BLE001  # ours, not the program's
                faults.add(error)
        if ours and is_pythons(self._found):
            warn_past(coro, frames=ours + 2)  # and that of `_See`
            return _NOBODY
        return coro

    def _observe(self, coro: Any, frame: FrameType, *, in_collection: bool) -> None:
        loop = asyncio._get_running_loop()
        if self._only is not None and loop is not self._only:
            return
        code = coro.cr_code
        if self._forgiven and self._forgiven.pop(id(coro), None) is code:
            return
        dropped = _origin_of(coro)
        if dropped is None and not in_collection:
            dropped = _drop_in(frame, coro)
        if dropped is None:
            self._origins.begin(loop)
        if in_collection:
            self._collect(coro, dropped)
            return
        repeat = self._repeats.begin((NeverAwaited, code, dropped))
        if repeat is not None:
            repeat.first = never_awaited = self._never_awaited(coro, dropped, loop)
            self._mailbox.put(never_awaited)

    def _collect(self, coro: Any, dropped: _Place | None) -> None:
        self._tell_collected(id(coro))  # one that was there before, in an earlier collection
        if len(self._collected) < COLLECTED:
            # The running task is the collector's victim, and has nothing to do with it.
            self._collected[id(coro)] = coro.cr_code, dropped, self._never_awaited(coro, dropped, None)
        else:
            self._mailbox.dropped += 1

    def _tell_collected(self, key: int) -> None:
        collected = self._collected.pop(key, None)
        if collected is None:
            return
        code, dropped, never_awaited = collected
        repeat = self._repeats.begin((NeverAwaited, code, dropped))
        if repeat is not None:
            repeat.first = never_awaited
            self._mailbox.put(never_awaited)

    def _never_awaited(self, coro: Any, dropped: _Place | None, loop: Any) -> NeverAwaited:
        code = coro.cr_code
        return NeverAwaited(
            function=name_of(coro),
            defined=Frame(file=code.co_filename, line=code.co_firstlineno, function=code.co_qualname),
            dropped=None if dropped is None else Frame(file=dropped[0], line=dropped[1], function=dropped[2]),
            time_ns=self._wall_ns(time.monotonic_ns()),
            task=None if loop is None else self._running(loop),
            context=None if loop is None else Borrowed(copy_context(), loop),
        )

    def _running(self, loop: Any) -> TaskFacts | None:
        """The task that runs on this thread."""
        task = asyncio.current_task(loop)
        if task is None:
            return None
        ledger = self._ledger_of(loop)
        record: Any = None if ledger is None else ledger.live.get(id(task))
        if record is not None and record.alive() is not task:
            record = None
        elif record is None and ledger is not None and task.get_coro() is ledger.starting:
            record = ledger.starting_record  # an eager task in its first step
        return task_facts(task, record)


def _origin_of(coro: Any) -> _Place | None:
    """Where it was made, where somebody has Python keep that: the first line that is not asyncio's."""
    for file, line, function in coro.cr_origin or ():
        if not file.startswith(_ASYNCIO):
            return file, line, function
    return None


def _drop_in(frame: FrameType, coro: Any) -> _Place | None:
    """The line of the running frame that dropped it, where it was that."""
    line = line_of_drop(frame, coro.cr_code, coro.__name__)
    return None if line is None else (frame.f_code.co_filename, line, frame.f_code.co_qualname)


class _See:
    """`coroutine | see` looks at the coroutine, and is the coroutine."""

    __slots__ = ("_look",)

    def __init__(self, look: Callable[[Any, FrameType, int], object]) -> None:
        self._look = look

    def __ror__(self, coro: Any) -> object:
        try:
            frame = sys._getframe(1)
        except ValueError:  # Python has ended, and C lets go of what is left
            return coro
        return self._look(coro, frame, sys.getrefcount(coro))


def _teller(found: Callable[[Any], object]) -> object:
    """`coroutine | tell` calls what was found with the coroutine, from C."""
    return type("Tell", (), {"__slots__": (), "__ror__": staticmethod(found)})()


class _Nobody:
    """`nobody | tell` tells nothing."""

    __slots__ = ()

    def __or__(self, tell: object) -> None:
        return None


_NOBODY: Final = _Nobody()


async def _probe() -> None:
    """Never awaited, to see how many references there are to such a coroutine."""


_PROBE: Final = _probe.__code__
