"""See every task start and finish, from within `create_task`.

This is the hot path: every line is paid for by every task of the program. Hence two long functions
with their variables in closures; whatever is rare is in functions of its own.
"""

from __future__ import annotations

import asyncio
import sys
import time
import weakref
from collections.abc import Callable
from contextvars import Context
from functools import partial
from itertools import cycle
from types import CodeType
from typing import Any, Final

from .._faults import faults
from .._ledger import Ledger
from .._mailbox import Mailbox
from .._record import (
    CANCELLED,
    DEFERRED,
    FOREIGN,
    PENDING,
    RAISED,
    RECORDED,
    RETURNED,
    UNBOUND,
    Birth,
    Function,
    Record,
    Rules,
)
from .exceptions import summary_of
from .functions import function_of

__all__ = ["CreateTask", "Tasks"]

CreateTask = Callable[..., Any]
"""`(loop, coro, **kwargs) -> task`: what a loop's class has, and what a task factory is."""

EVERY: Final = 16
"""One task in so many is timed from its creation to its first step."""
DURATIONS: Final = 65536
"""How many durations of one function may wait to be counted."""

# Modules whose frames lie between the user's line and `loop.create_task`.
_PLUMBING: Final = frozenset(
    {"asyncio.base_events", "asyncio.runners", "asyncio.taskgroups", "asyncio.tasks", "asyncio.timeouts"}
    | {"anyio._backends._asyncio", "uvloop"}
)

_clock = time.monotonic_ns
_running_loop = asyncio._get_running_loop
# On 3.11 `current_task` is a Python function around this table.
_current_task: Callable[[Any], Any] = (
    asyncio.tasks._current_tasks.get if sys.version_info < (3, 12) else asyncio.current_task  # type: ignore[attr-defined]
)


class Tasks:
    """Gives each task a record, for the loops of one session."""

    def __init__(
        self,
        rules: Rules,
        mailbox: Mailbox[Record],
        open_ledger: Callable[[Any], Ledger | None],
        patterns: tuple[str, ...] = (),
    ) -> None:
        self._rules = rules
        self._mailbox = mailbox
        self._open_ledger = open_ledger
        self._patterns = patterns

    def in_front_of(self, original: CreateTask) -> CreateTask:  # noqa: C901, PLR0915  # the hot path
        """A `create_task` that does what `original` does, and gives the task a record."""
        rules = self._rules
        open_ledger = self._open_ledger
        patterns = self._patterns
        current = rules.current
        begin = self._begin
        marked = cycle([True] + [False] * (EVERY - 1)).__next__
        new = object.__new__
        reference = weakref.ref
        clock = _clock
        current_task = _current_task

        def create_task(loop: Any, coro: Any, **kwargs: Any) -> Any:  # noqa: C901, PLR0912, PLR0915  # the hot path
            context = None
            try:
                ledger = loop._aiotel_ledger or open_ledger(loop)
                # The second: another `create_task` of ours is in front of this one, and has seen to it.
                if ledger is None or ledger.starting is coro:
                    return original(loop, coro, **kwargs)
                try:
                    function = ledger.functions[coro.__qualname__]
                    if function.code is not coro.cr_code or function.see_through:
                        function = function_of(ledger, coro, patterns)
                except Exception:  # noqa: BLE001  # not seen before, or a stranger's coroutine
                    function = function_of(ledger, coro, patterns)
                task = current_task(loop)
                parent: Any = ledger.live.get(id(task))
                if parent is None or parent.task() is not task:
                    parent = _starting(ledger, task)
                now_ns = clock()
                flags = DEFERRED if parent is None or current() or function.special else parent.flags
                if kwargs and kwargs.get("context") is not None:
                    flags = DEFERRED
                if not flags or (flags & UNBOUND and not rules.bound):
                    record = new(Record)
                    record.function = function
                    record.origin = parent.origin
                    record.flags = flags and UNBOUND
                    record.start_ns = now_ns
                elif (
                    flags & (RECORDED | FOREIGN) == RECORDED
                    and rules.inherited
                    and (tree := parent.origin).count < rules.max_tasks
                    and now_ns - tree.start_ns < rules.max_age_ns
                ):
                    tree.count += 1
                    record = new(rules.span_class)
                    record.function = function
                    record.origin = tree
                    record.parent_id = parent.span_id
                    record.flags = flags
                    record.span_id = rules.span_id()
                    record.start_ns = now_ns
                    record.end_ns = 0
                    record.site_code, record.site_instruction = _site(2)
                else:
                    begun = begin(ledger, loop, function, parent, task, now_ns, kwargs)
                    if begun is None:
                        return original(loop, coro, **kwargs)
                    record, context = begun
                if marked() and _running_loop() is loop:
                    _time_first_step(loop, ledger, record, kwargs)
                ledger.starting = coro
                ledger.starting_record = record
            except Exception as error:  # noqa: BLE001  # ours, not the program's
                faults.add(error)
                return original(loop, coro, **kwargs)
            try:
                if context is not None:
                    task = _create_within(context, original, loop, coro, kwargs)
                elif kwargs:
                    task = original(loop, coro, **kwargs)
                else:
                    task = original(loop, coro)
            except BaseException:
                ledger.starting = None
                self._abandon(record)
                raise
            try:
                ledger.starting = None
                if loop.get_debug():
                    _hide_our_frame(task)
                if task.done():
                    _end_at_once(ledger, record, task)
                else:
                    ledger.live[id(task)] = record
                    record.task = reference(task, ledger.gone.append)
                    task.add_done_callback(ledger.done, context=ledger.context)
            except Exception as error:  # noqa: BLE001  # ours, not the program's
                faults.add(error)
            return task

        return create_task

    def callback_for(self, ledger: Ledger) -> Callable[[Any], None]:  # noqa: C901  # the hot path
        """The done callback of every task of one loop."""
        live = ledger.live
        failed = ledger.failed
        letters = self._mailbox.queue
        limit = self._mailbox.limit
        rules = self._rules
        clock = _clock

        def done(task: Any) -> None:
            try:
                record = live.pop(id(task), None)
                if record is None:
                    return
                now_ns = clock()
                function = record.function
                error = None
                # `exception()` would mark the failure as seen, and asyncio would never tell of it.
                exception = task._exception
                if exception is None:
                    if task.cancelled():
                        outcome = CANCELLED
                        durations = function.cancelled
                    else:
                        outcome = RETURNED
                        durations = function.returned
                else:
                    outcome = RAISED
                    durations = function.raised
                    error = summary_of(exception)
                    failed[id(task)] = record
                if len(durations) < DURATIONS:
                    durations.append(now_ns - record.start_ns)
                else:
                    ledger.dropped += 1
                if record.flags & (RECORDED | DEFERRED):
                    record.end_ns = now_ns
                    record.outcome = outcome
                    record.task_name = task.get_name()
                    record.error = error
                    if exception is None:
                        record.task = None
                    if len(letters) < limit:
                        letters.append(record)
                    elif rules.bound:
                        ledger.dropped += 1
            except Exception as fault:  # noqa: BLE001  # ours, not the program's
                faults.add(fault)

        return done

    def _begin(  # noqa: PLR0917  # the hot path's variables
        self,
        ledger: Ledger,
        loop: Any,
        function: Function,
        parent: Record | None,
        task: Any,
        now_ns: int,
        kwargs: Any,
    ) -> tuple[Record, Context | None] | None:
        """The record of a task that is not simply one more child in a task tree."""
        if function.skip:
            return None
        birth = Birth(
            function,
            now_ns,
            parent=parent,
            context=kwargs.get("context"),
            in_callback=task is None and _running_loop() is loop,
            adopt=None if task is None else partial(self._adopt, ledger, task),
            site=_site(3),
        )
        return self._rules.begin(birth)

    def _abandon(self, record: Record) -> None:
        """The task could not be made. Who was told that its span has started is told that it ended."""
        if record.flags & RECORDED and not self._rules.inherited:
            record.conclude(_clock(), RAISED, task_name=None, error=None)
            self._mailbox.put(record)

    def _adopt(self, ledger: Ledger, task: Any) -> Record | None:
        """A record for a running task that nobody has seen being created, with this moment as its start."""
        function = function_of(ledger, task.get_coro(), self._patterns)
        begun = self._rules.begin(Birth(function, _clock()))
        if begun is None:
            return None
        _register(ledger, begun[0], task)
        return begun[0]


def end_all(ledger: Ledger, mailbox: Mailbox[Record], *, closing: bool) -> None:
    """Settle what can no longer call back: tasks that were collected and, on a loop that is closed, all."""
    for record in ledger.bury():
        _settle(ledger, record, None, mailbox)
    if closing:
        for key, record in list(ledger.live.items()):
            ledger.live.pop(key, None)
            _settle(ledger, record, record.task and record.task(), mailbox)


def _settle(ledger: Ledger, record: Record, task: Any, mailbox: Mailbox[Record]) -> None:
    if task is not None and task.done():
        ledger.live[id(task)] = record
        ledger.done(task)
        return
    now_ns = _clock()
    record.function.pending.append(now_ns - record.start_ns)
    record.task = None
    if record.flags & (RECORDED | DEFERRED):
        record.conclude(now_ns, PENDING, task_name=None if task is None else task.get_name(), error=None)
        mailbox.put(record)


def _starting(ledger: Ledger, task: Any) -> Record | None:
    """The record of an eager task that creates something in its first step, before anybody knows it."""
    if task is None or ledger.starting is None or task.get_coro() is not ledger.starting:
        return None
    record: Record = ledger.starting_record
    _register(ledger, record, task)
    return record


def _register(ledger: Ledger, record: Record, task: Any) -> None:
    ledger.live[id(task)] = record
    record.task = weakref.ref(task, ledger.gone.append)
    task.add_done_callback(ledger.done, context=ledger.context)


def _end_at_once(ledger: Ledger, record: Record, task: Any) -> None:
    """An eager task that never had to wait: its end is now, not a tick later."""
    ledger.live[id(task)] = record
    record.task = weakref.ref(task, ledger.gone.append)
    ledger.done(task)


def _create_within(
    context: Context, original: CreateTask, loop: Any, coro: Any, kwargs: dict[str, Any]
) -> Any:
    """Create the task so that it runs in this context; a factory may not take one."""
    if loop.get_task_factory() is None:
        return original(loop, coro, **{**kwargs, "context": context})
    return context.run(partial(original, loop, coro, **kwargs))


# Where a task is created: the code and the instruction, which are made readable later.
if sys.version_info >= (3, 12):

    def _site(depth: int) -> tuple[CodeType, int]:
        module_at = sys._getframemodulename
        while module_at(depth) in _PLUMBING:
            depth += 1
        frame = sys._getframe(depth)
        return frame.f_code, frame.f_lasti

else:

    def _site(depth: int) -> tuple[CodeType, int]:
        frame = sys._getframe(depth)
        while frame.f_globals.get("__name__") in _PLUMBING and frame.f_back is not None:
            frame = frame.f_back
        return frame.f_code, frame.f_lasti


def _time_first_step(loop: Any, ledger: Ledger, record: Record, kwargs: dict[str, Any]) -> None:
    """Queue a note just before the task's first step: the loop runs what is ready in order."""
    if loop.get_task_factory() is None and not kwargs.get("eager_start"):
        loop.call_soon(partial(_first_step, record), context=ledger.context)


def _first_step(record: Record) -> None:
    wait_ns = _clock() - record.start_ns
    if len(record.function.waits) < DURATIONS:
        record.function.waits.append(wait_ns)
    if record.flags & (RECORDED | DEFERRED):
        record.note_wait(wait_ns)


def _hide_our_frame(task: Any) -> None:
    """In debug mode a task keeps the stack that created it: ours is not of the user's making."""
    stack = getattr(task, "_source_traceback", None)
    if stack:
        stack[:] = [summary for summary in stack if summary.filename != __file__]
