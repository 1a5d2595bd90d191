"""See who cancels a task, from within what cancels tasks: timeouts, task groups, `gather`, runners.

`Task.cancel` itself cannot be replaced, but these are written in Python. Before each cancels we look whom,
why, and which tasks go with them because they are waited for. Only cancelled tasks pay.
"""

from __future__ import annotations

import asyncio
import functools
import sys
import threading
from asyncio import CancelledError, runners, tasks, timeouts
from collections.abc import Callable
from typing import Any, Final

from .._faults import faults
from .._inspect.plumbing import is_plumbing
from .._ledger import Ledger
from .._record import Record
from ..observations import Cancellation
from .chains import above, below, name_of_frame, pending, told
from .deadlines import deadline_of
from .exceptions import type_of
from .explanations import by_message, function_of_task, record_of, through
from .loops import LEDGER
from .unfinished import Unfinished

__all__ = ["Cancellations"]

LATE_S: Final = 0.1
"""A timeout that comes so late is told to have: something has blocked the loop."""

Observe = Callable[..., None]


class Cancellations:
    """Notes on the records of tasks who cancelled them, and has those watched that do not end."""

    def __init__(self, unfinished: Unfinished) -> None:
        self._unfinished = unfinished
        self._replaced: list[tuple[Any, str, Any, Any]] = []
        self._attached = False
        # The threads in which one of ours is at work: what that cancels in turn is known.
        self._busy: set[int] = set()

    def attach(self) -> Callable[[], None]:
        """Put ours in front of each canceller; gives back what undoes it."""
        if not self._attached:
            self._attached = True
            gathering: Any = tasks._GatheringFuture  # type: ignore[attr-defined]  # asyncio's own
            self._replace(timeouts.Timeout, "_on_timeout", self._timed_out)
            self._replace(asyncio.TaskGroup, "_abort", self._aborted)
            self._replace(gathering, "cancel", self._gather_cancelled)
            self._replace(tasks, "_cancel_and_wait", self._wait_for_cancels)
            self._replace(runners, "_cancel_all_tasks", self._shut_down)
            self._replace(runners.Runner, "_on_sigint", self._interrupted)
        return self.detach

    def detach(self) -> None:
        """Put back what was found; what somebody has wrapped meanwhile stays, and does nothing."""
        self._attached = False
        while self._replaced:
            owner, name, found, ours = self._replaced.pop()
            if vars(owner).get(name) is ours:
                setattr(owner, name, found)

    def _replace(self, owner: Any, name: str, observe: Observe) -> None:
        found = vars(owner).get(name)
        if found is None:  # a Python that does it in another way
            return
        busy = self._busy
        quick = name != "_cancel_all_tasks"

        @functools.wraps(found)
        def ours(*args: Any, **kwargs: Any) -> Any:
            here = threading.get_ident()
            if not self._attached or here in busy:
                return found(*args, **kwargs)
            busy.add(here)
            try:
                try:
                    observe(sys._getframe(1), *args, **kwargs)
                except Exception as error:  # noqa: BLE001  # ours, not the program's
                    faults.add(error)
                if quick:
                    return found(*args, **kwargs)
            finally:
                busy.discard(here)
            return found(*args, **kwargs)  # runs the loop: others cancel meanwhile

        del ours.__wrapped__  # by it, a handle's repr would tell of a line that it did not tell of
        setattr(owner, name, ours)
        self._replaced.append((owner, name, found, ours))

    # What each of them is about to do.

    def _timed_out(self, _: Any, timeout: Any) -> None:
        task = timeout._task
        ledger = _ledger_of(task)
        if ledger is None or task.done():
            return
        function, seconds = deadline_of(timeout, task)
        where = f" in {function or function_of_task(ledger, task)}"
        late = task.get_loop().time() - timeout.when()
        after = f", {late:.1f} s late" if late >= LATE_S else ""
        cause = (
            Cancellation(by="timeout", reason=f"timeout{where}{after}")
            if seconds is None
            else Cancellation(by="wait_for", reason=f"wait_for of {seconds:g} s{where}{after}")
        )
        self._note_owner(ledger, task, cause)

    def _aborted(self, frame: Any, group: Any) -> None:
        parent = group._parent_task
        ledger = _ledger_of(parent)
        if ledger is None:
            return
        cause, takes_parent = self._cause_of_abort(ledger, frame, parent)
        for task in list(group._tasks):
            if not task.done():
                self._note(ledger, task, cause)
                self._note_below(ledger, task, cause)
        if takes_parent and not parent.done():
            self._note_owner(ledger, parent, cause)

    def _cause_of_abort(self, ledger: Ledger, frame: Any, parent: Any) -> tuple[Cancellation, bool]:
        """Why the group cancels its tasks, and whether it cancels the task that waits for them too."""
        caller = frame.f_code.co_name
        if caller == "_on_task_done":
            sibling = frame.f_locals["task"]
            failure = type_of(sibling._exception)
            words = f"sibling {function_of_task(ledger, sibling)} raised {failure}"
            return Cancellation(by="task_group", reason=words), True
        if caller == "cancel":  # of 3.15
            at = _place_of(frame.f_back)
            return Cancellation(by="task_group", reason="its task group was cancelled", at=at), True
        error = sys.exception()
        name = function_of_task(ledger, parent)
        if isinstance(error, CancelledError) and pending(parent):
            return self._with(ledger, parent, str(error)), False
        failure = "CancelledError" if error is None else type_of(error)
        words = f"the body of its task group in {name} raised {failure}"
        return Cancellation(by="task_group", reason=words), False

    def _gather_cancelled(self, frame: Any, gathering: Any, msg: Any = None) -> None:
        if gathering.done():
            return
        ledger = _ledger_of(gathering)
        if ledger is None:
            return
        first = above(gathering)
        at = _place_of(frame)
        message = msg if isinstance(msg, str) else None
        cause = by_message(message)
        if cause is None and first is not None:
            if at is not None:
                self._note(ledger, first, Cancellation(by="explicit", reason="cancel() was called", at=at))
            cause = self._with(ledger, first, message)
            if cause.by == "shutdown":  # of all tasks, and noted on each
                return
            if cause.by == "parent":
                words = f"gather() in {cause.origin} was cancelled"
                cause = Cancellation(by="gather", reason=words, origin=cause.origin, at=at)
            self._note_below(ledger, first, cause)
        if cause is None:
            cause = Cancellation(by="gather", reason="gather() was cancelled", at=at)
        for child in gathering._children:
            self._note(ledger, child, cause)
            self._note_below(ledger, child, cause)

    def _wait_for_cancels(self, frame: Any, task: Any, *args: Any, **kwargs: Any) -> None:
        ledger = _ledger_of(task)
        if ledger is None or frame.f_code is not asyncio.wait_for.__code__:
            return
        waiter = frame.f_locals.get("waiter")  # of 3.11
        caller = frame.f_back
        waits = asyncio.current_task()
        if waiter is not None and waiter.cancelled():
            cause = self._with(ledger, waits, None)
        else:
            seconds = frame.f_locals["timeout"]
            where = "" if caller is None else f" in {name_of_frame(caller)}"
            origin = function_of_task(ledger, waits)
            cause = Cancellation(by="wait_for", reason=f"wait_for of {seconds:g} s{where}", origin=origin)
        self._note(ledger, task, cause)
        self._note_below(ledger, task, cause)

    def _shut_down(self, _: Any, loop: Any) -> None:
        ledger = _ledger_on(loop)
        if ledger is None:
            return
        cause = Cancellation(by="shutdown", reason="the event loop is being shut down")
        for record in list(ledger.live.values()):
            task = record.alive()
            if task is not None and not task.done():
                self._note(ledger, task, cause)

    def _interrupted(self, _: Any, runner: Any, signum: int, frame: Any, main_task: Any) -> None:
        ledger = _ledger_of(main_task)
        if ledger is None or main_task.done() or runner._interrupt_count:
            return
        cause = Cancellation(by="signal", reason="Ctrl-C (SIGINT)")
        self._note(ledger, main_task, cause)
        self._note_below(ledger, main_task, cause)

    # Notes.

    def _note(self, ledger: Ledger, task: Any, cause: Cancellation) -> None:
        """Note it, unless the task is being cancelled already: the first reason is the reason."""
        record = record_of(ledger, task)
        if record is None:
            return
        if isinstance(record, Record) and (record.cancellation is None or not pending(task)):
            record.note_cancellation(cause)
        self._unfinished.add(ledger, task, cause)

    def _note_owner(self, ledger: Ledger, task: Any, cause: Cancellation) -> None:
        """Of a task that takes the cancellation back before it ends: it is not why it ends."""
        if record_of(ledger, task) is not None:
            self._unfinished.add(ledger, task, cause)
        self._note_below(ledger, task, cause)

    def _note_below(self, ledger: Ledger, task: Any, cause: Cancellation) -> None:
        waited = through(function_of_task(ledger, task), cause)
        for other in below(task):
            self._note(ledger, other, waited)

    def _with(self, ledger: Ledger, task: Any, message: str | None) -> Cancellation:
        """The cause of what is cancelled together with this task."""
        record = record_of(ledger, task)
        known = getattr(record, "cancellation", None) or self._unfinished.cause_of(ledger, task)
        return through(function_of_task(ledger, task), known or by_message(message))


def _ledger_of(task: Any) -> Ledger | None:
    get_loop = getattr(task, "get_loop", None)
    return None if get_loop is None else _ledger_on(get_loop())


def _ledger_on(loop: Any) -> Ledger | None:
    ledger = getattr(loop, LEDGER, None)
    return ledger if isinstance(ledger, Ledger) else None  # a mock has whatever it is asked for


def _place_of(frame: Any) -> Any:
    """The line that called `cancel()`, where the program did and no library."""
    return None if frame is None or is_plumbing(frame.f_globals.get("__name__")) else told(frame)
