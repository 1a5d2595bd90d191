"""See calls that block a loop before they hurt: by the audit events that Python raises in front of them.

This runs inside calls of the program's, on the loop's thread. What it raised would fail them.
"""

from __future__ import annotations

import asyncio
import sys
import threading
import time
from collections.abc import Callable
from contextvars import copy_context
from types import FrameType
from typing import Any, Final

from .._borrowed import Borrowed
from .._complaints import complaints
from .._faults import faults
from .._ledger import Ledger
from .._mailbox import Mailbox
from .._repeats import Repeats
from ..observations import BlockingCall, TaskFacts
from .audit import listen
from .callers import Callers, function_of_frame, place_of
from .calls import CALLS, WIDE, does_not_block
from .errors import live_record_of, task_facts
from .loops import Detach
from .permits import is_allowed
from .tasks import eager_record

__all__ = ["BlockingCalls"]

_running_loop: Final[Callable[[], Any]] = asyncio._get_running_loop


class BlockingCalls:
    """Builds a `BlockingCall` of each; for all loops, or for one only."""

    def __init__(
        self,
        mailbox: Mailbox[Any],
        repeats: Repeats[Any],
        ledger_of: Callable[[Any], Ledger | None],
        wall_ns: Callable[[int], int],
        *,
        only: Any = None,
        allowed: tuple[str, ...] = (),
    ) -> None:
        self._mailbox = mailbox
        self._repeats = repeats
        self._ledger_of = ledger_of
        self._wall_ns = wall_ns
        self._only = only
        self._callers = Callers(allowed)
        self._looking = _Looking()

    def attach(self) -> Detach:
        """Begin to hear of calls; gives back what ends it."""
        detach = listen(CALLS, self._hear)
        if detach is None:
            complaints.add(
                "audit", "blocking calls are not told: an audit hook of the program's refuses others"
            )
            return lambda: None
        return detach

    def _hear(self, call: str, arguments: tuple[Any, ...]) -> None:
        try:
            loop = _running_loop()
            if (
                loop is None
                or (self._only is not None and loop is not self._only)
                or self._looking.now
                or is_allowed()
                or does_not_block(call, arguments)
            ):
                return
            self._looking.now = True
            try:
                self._look(call, loop)
            finally:
                self._looking.now = False
        except RecursionError:  # the program is at its limit, and is to find out by itself
            pass
        except Exception as error:  # noqa: BLE001  # ours, not the program's
            try:  # noqa: SIM105  # to call `suppress` may fail as well
                faults.add(error)
            except Exception:  # noqa: BLE001, S110  # said above
                pass

    def _look(self, call: str, loop: Any) -> None:
        task = asyncio.current_task(loop)
        found = self._callers.of(sys._getframe(3), speaks=call in WIDE, bottom=_bottom(loop, task))
        if found is None:
            return
        site, caller = found
        repeat = self._repeats.begin((BlockingCall, call, _line(site), _line(caller)))
        if repeat is not None:
            repeat.first = blocking_call = BlockingCall(
                call=call,
                function=function_of_frame(site),
                site=place_of(site),
                caller=None if caller is None else place_of(caller),
                time_ns=self._wall_ns(time.monotonic_ns()),
                task=self._facts_of(task, loop),
                context=Borrowed(copy_context(), loop),
            )
            self._mailbox.put(blocking_call)

    def _facts_of(self, task: Any, loop: Any) -> TaskFacts | None:
        ledger = self._ledger_of(loop)
        if task is None or ledger is None:
            return None
        return task_facts(task, live_record_of(ledger, task) or eager_record(ledger, task))


class _Looking(threading.local):
    """Whether this thread looks already: what it asks for may be the program's, and block."""

    now = False


def _bottom(loop: Any, task: Any) -> FrameType | None:
    """The outermost frame of a task, where the loop has none: uvloop's is compiled."""
    if task is None or isinstance(loop, asyncio.BaseEventLoop):
        return None
    return getattr(task.get_coro(), "cr_frame", None)


def _line(frame: FrameType | None) -> tuple[str, int | None] | None:
    """Not the code: equal ones of two files are equal."""
    return None if frame is None else (frame.f_code.co_filename, frame.f_lineno)
