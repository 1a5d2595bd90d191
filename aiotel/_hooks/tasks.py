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
from typing import Any, Final

from .._faults import faults
from .._ledger import DURATIONS, Ledger
from .._mailbox import Mailbox
from .._record import (
    DEFERRED,
    FOREIGN,
    RAISED,
    RECORDED,
    SAMPLED,
    UNBOUND,
    AnyRecord,
    Birth,
    Function,
    Record,
    Rules,
    Unrecorded,
)
from .callbacks import hide_our_frames
from .ends import end_at_once, register, settle_gone
from .functions import function_of
from .makers import PLAIN, TASK, state_by_uvloop
from .sites import site

__all__ = ["Create", "CreateTask", "Tasks", "create_within", "eager_record"]

CreateTask = Callable[..., Any]
"""`(loop, coro, **kwargs) -> task`: what a loop's class has, and what a task factory is."""
Create = Callable[[Context | None, CreateTask, Any, Any, dict[str, Any]], Any]
"""Has a task made within a context: see `create_within`."""

EVERY: Final = 16
"""One task in so many is timed from its creation to its first step."""

# Constants of the module, not variables of the closure: each of those is copied at every call.
_new = object.__new__
_reference = weakref.ref
_unrecorded_new: Any = Unrecorded
_asyncio_tasks = asyncio.tasks
_clock = time.monotonic_ns
_running_loop: Callable[[], Any] = asyncio._get_running_loop
# On 3.11 `current_task` is a Python function around this table.
_current_task: Callable[[Any], Any] = (
    asyncio.tasks._current_tasks.get if sys.version_info < (3, 12) else asyncio.current_task  # type: ignore[attr-defined]
)


class _NotOursError(Exception):
    """The task is none of our business."""


class Tasks:
    """Gives each task a record, for the loops of one session."""

    def __init__(
        self,
        rules: Rules,
        mailbox: Mailbox[Record],
        open_ledger: Callable[[Any], Ledger | None],
        patterns: tuple[str, ...] = (),
        *,
        within: Create | None = None,
    ) -> None:
        self._within = within or create_within
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
        create = self._create
        bury = self._bury
        plain = original is PLAIN
        uvloops = None if plain else state_by_uvloop(original)

        def create_task(loop: Any, /, coro: Any, **kwargs: Any) -> Any:  # noqa: C901, PLR0912, PLR0915  # the hot path
            context = origin = None
            try:
                ledger = loop._aiotel_ledger or open_ledger(loop)
            except AttributeError:  # we were detached a moment ago, by another thread
                ledger = None
            # The second: another `create_task` of ours is in front of this one, and has seen to it.
            if ledger is None or ledger.starting is coro:
                return original(loop, coro, **kwargs)
            try:
                try:
                    function = ledger.functions[coro.__qualname__]
                    if function.code is not coro.cr_code or function.see_through:
                        function = function_of(ledger, coro, patterns)
                except Exception:  # noqa: BLE001  # not seen before, or a stranger's coroutine
                    function = function_of(ledger, coro, patterns)
                if ledger.gone:
                    bury(ledger)  # so that no id in the table is that of a task that is no more
                task = _current_task(loop)
                parent: Any = ledger.live.get(id(task))
                if parent is None:
                    parent = eager_record(ledger, task)
                now_ns = _clock()
                otel = current()
                begun: Any = None
                flags = DEFERRED
                if not function.special and (not kwargs or kwargs.get("context") is None):
                    if otel:
                        begun = rules.begin_under(otel, function, parent, now_ns)
                    elif parent is not None:
                        flags = parent.flags
                if begun is not None:
                    record, context, origin = begun
                    if record is None:
                        flags = FOREIGN
                    else:
                        record.site_code, record.site_instruction = site(2)
                elif not flags or (flags & UNBOUND and not rules.bound):
                    record = None
                    origin = parent.origin
                    flags = flags and UNBOUND
                elif (
                    flags & (SAMPLED | FOREIGN) == SAMPLED
                    and rules.inherited
                    and (tree := parent.origin).count < rules.max_tasks
                    and now_ns - tree.start_ns < rules.max_age_ns
                ):
                    tree.count += 1
                    record = _new(rules.span_class)
                    record.function = function
                    record.origin = tree
                    record.parent_id = parent.span_id
                    record.flags = flags
                    record.span_id = rules.span_id()
                    record.start_ns = now_ns
                    record.end_ns = 0
                    record.site_code, record.site_instruction = site(2)
                elif (
                    flags & (SAMPLED | FOREIGN) == SAMPLED
                    and rules.inherited
                    and (record := rules.begin_apart(function, parent, now_ns)) is not None
                ):
                    record.site_code, record.site_instruction = site(2)
                else:
                    begun = begin(ledger, loop, function, parent, task, now_ns, kwargs)
                    if begun is None:
                        raise _NotOursError  # noqa: TRY301  # out of all that follows
                    record, context = begun
                ledger.until_timed -= 1
                if ledger.until_timed < 0:
                    _time_first_step(loop, ledger, function, record, now_ns, kwargs)
            except _NotOursError:
                pass
            except Exception as error:  # noqa: BLE001  # ours, not the program's
                faults.add(error)
            else:
                task = None  # what is raised below holds this frame, which is not to hold the running task
                if (
                    _asyncio_tasks.Task is not TASK
                    or (kwargs and len(kwargs) != ("name" in kwargs) + ("context" in kwargs))
                    or (
                        loop._task_factory is not None or loop._debug or loop._closed
                        if plain
                        else uvloops is None
                        or uvloops.task_factory(loop) is not None
                        or uvloops.debug(loop)
                        or uvloops.closed(loop)
                    )
                ):
                    if record is None:
                        record = _unrecorded(function, origin, flags, now_ns)
                    try:
                        return create(ledger, record, context, original, loop, coro, kwargs)
                    except BaseException:
                        coro = None  # as above: uvloop has no frame that would hold the coroutine
                        raise
                # All that `original` does then; a call less makes up for a part of what we add.
                try:
                    if not kwargs:
                        task = TASK(coro, loop=loop, context=context)
                    else:
                        if context is not None:
                            kwargs["context"] = context
                        if plain:
                            task = TASK(coro, loop=loop, **kwargs)
                        else:
                            task = TASK(coro, loop=loop, context=kwargs.get("context"))
                            # Not any sooner: every task of uvloop's uses up a number for its name.
                            if kwargs.get("name") is not None:
                                task.set_name(kwargs["name"])
                except BaseException:
                    task = None
                    self._abandon(record)
                    raise
                try:
                    if record is None:
                        record = _unrecorded_new(task, ledger.mourn)
                        record.function = function
                        record.origin = origin
                        record.flags = flags
                        record.start_ns = now_ns
                    else:
                        record.task = _reference(task, ledger.mourn)
                    ledger.live[id(task)] = record
                    task.add_done_callback(ledger.done, context=ledger.context)
                except Exception as error:  # noqa: BLE001  # ours, not the program's
                    faults.add(error)
                return task
            # Not where one of ours is handled: what `original` raises would have that as its context.
            return original(loop, coro, **kwargs)

        return create_task

    def _create(  # noqa: PLR0917  # the hot path's variables
        self,
        ledger: Ledger,
        record: Record,
        context: Context | None,
        original: CreateTask,
        loop: Any,
        coro: Any,
        kwargs: dict[str, Any],
    ) -> Any:
        """Have the task made by whoever makes tasks on this loop; it may have ended when that returns."""
        before = ledger.starting, ledger.starting_record
        ledger.starting, ledger.starting_record = coro, record
        try:
            task = self._within(context, original, loop, coro, kwargs)
        except BaseException:
            self._abandon(record)
            coro = None  # as in `create_task`
            raise
        finally:
            ledger.starting, ledger.starting_record = before
        try:
            hide_our_frames(task)
            if not (asyncio.isfuture(task) and hasattr(task, "_exception")):
                self._abandon(record)  # a factory may return anything
            elif task.done():
                end_at_once(ledger, record, task)
                if sys.version_info < (3, 13):  # the name is set when we have returned
                    loop.call_soon(_take_name, record, task, context=ledger.context)
            elif (inner := ledger.live.get(id(task))) is not record:
                if inner is not None:  # somebody in between has wrapped the coroutine: ours is the program's
                    self._abandon(inner)
                register(ledger, record, task)
        except Exception as error:  # noqa: BLE001  # ours, not the program's
            faults.add(error)
        try:
            return task
        finally:
            del task  # an eager task's exception holds this frame, which is not to hold the task

    def _begin(  # noqa: PLR0917  # the hot path's variables
        self,
        ledger: Ledger,
        loop: Any,
        function: Function,
        parent: AnyRecord | None,
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
            site=site(3),
        )
        return self._rules.begin(birth)

    def _bury(self, ledger: Ledger) -> None:
        settle_gone(ledger, self._mailbox)

    def _abandon(self, record: AnyRecord | None) -> None:
        """The record has no task. Who was told that its span has started is told that it ended."""
        if isinstance(record, Record) and record.flags & RECORDED and not self._rules.inherited:
            record.conclude(_clock(), RAISED, task_name=None, error=None)
            self._mailbox.put(record)

    def _adopt(self, ledger: Ledger, task: Any) -> Record | None:
        """A record for a running task that nobody has seen being created, with this moment as its start."""
        function = function_of(ledger, task.get_coro(), self._patterns)
        begun = None if function.skip else self._rules.begin(Birth(function, _clock()))
        if begun is None:
            return None
        register(ledger, begun[0], task)
        return begun[0]


def eager_record(ledger: Ledger, task: Any) -> Record | None:
    """The record of an eager task that creates something in its first step, before anybody knows it."""
    if task is None or ledger.starting is None or task.get_coro() is not ledger.starting:
        return None
    record: Record = ledger.starting_record
    register(ledger, record, task)
    return record


def create_within(
    context: Context | None, original: CreateTask, loop: Any, coro: Any, kwargs: dict[str, Any]
) -> Any:
    """Create the task so that it runs in this context: neither a factory nor an override may take one."""
    try:
        if context is None:
            return original(loop, coro, **kwargs)
        return context.run(partial(original, loop, coro, **kwargs))
    except BaseException:
        coro = None  # as in `create_task`
        raise


def _time_first_step(  # noqa: PLR0917  # the hot path's variables
    loop: Any, ledger: Ledger, function: Function, record: Any, now_ns: int, kwargs: dict[str, Any]
) -> None:
    """Queue a note just before the task's first step: the loop runs what is ready in order."""
    if _running_loop() is not loop:  # the main task: its first step is the program's to begin
        ledger.until_timed = 0
        return
    ledger.until_timed = EVERY - 1
    if loop.get_task_factory() is None and not kwargs.get("eager_start"):
        loop.call_soon(_first_step, function, record, now_ns, context=ledger.context)


def _first_step(function: Function, record: Record | None, start_ns: int) -> None:
    wait_ns = _clock() - start_ns
    if len(function.waits) < DURATIONS:
        function.waits.append(wait_ns)
    if record is not None and record.flags & (RECORDED | DEFERRED):
        record.note_wait(wait_ns)


def _unrecorded(function: Function, origin: Any, flags: int, now_ns: int) -> Record:
    record = object.__new__(Record)
    record.function = function
    record.origin = origin
    record.flags = flags
    record.start_ns = now_ns
    return record


def _take_name(record: Record, task: Any) -> None:
    if record.flags & (RECORDED | DEFERRED):
        record.task_name = task.get_name()
