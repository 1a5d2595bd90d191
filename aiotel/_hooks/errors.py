"""See every failure that asyncio gives up on, from within `call_exception_handler`.

This runs anywhere: in a finalizer, on any thread, in the middle of a garbage collection, perhaps
while that thread holds a lock. So it looks, builds plain data and appends it; nothing else.
"""

from __future__ import annotations

import contextvars
import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, Final

from .._borrowed import Borrowed
from .._duplicates import Duplicates
from .._faults import faults
from .._inspect.facts import facts_of_record
from .._ledger import TOLD, UNRETRIEVED, Failed, Ledger
from .._mailbox import Mailbox
from .._record import AnyRecord
from .._repeats import Repeats
from ..observations import Failure, Source, TaskFacts
from .exceptions import Identity, facts_of, fingerprint_of, is_failure, type_of
from .owners import beneath
from .sources import context_of_handle, coroutine_of, function_of_handle, future_of, said, source_of

__all__ = ["Errors", "Handler", "context_of", "live_record_of", "task_facts"]

Handler = Callable[..., Any]
"""`(loop, context)`: what a loop's class has, and what an exception handler is."""

_LATELY: Final = 64
"""How many exceptions are remembered as told: one may be raised again, and end the program."""

_handled: set[int] = set()
"""The exceptions that are being handled just now, by their ids.

Not their contexts: a handler that overrides another may add to one, and hand on a copy."""


class Errors:
    """Builds a `Failure` of what a loop reports."""

    def __init__(
        self,
        mailbox: Mailbox[Any],
        repeats: Repeats[Any],
        ledger_of: Callable[[Any], Ledger | None],
        wall_ns: Callable[[int], int],
        duplicates: Duplicates,
        *,
        frames: int,
        without: Callable[[Any, Mapping[str, Any]], bool],
    ) -> None:
        self._mailbox = mailbox
        self._repeats = repeats
        self._duplicates = duplicates
        self._closed = False
        self._ledger_of = ledger_of
        self._wall_ns = wall_ns
        self._frames = frames
        self._without = without
        """Looks at what has no exception, and says whether it knows it."""
        self._told: deque[Identity] = deque(maxlen=_LATELY)

    def in_front_of(self, original: Handler) -> Handler:
        """A `call_exception_handler` that does what `original` does, and tells us."""
        observe, begin, end = self.observe, self._duplicates.begin, self._duplicates.end

        def call_exception_handler(loop: Any, context: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
            if self._closed:  # somebody has wrapped this one, so it is still here
                return original(loop, context, *args, **kwargs)
            key = told = 0
            try:
                key = id(context["exception"]) if "exception" in context else id(context)
                if key in _handled:  # another handler of ours is in front of this one, and has seen it
                    key = 0
                else:
                    _handled.add(key)
                    if observe(loop, context):
                        told = begin(context.get("exception"))
            except Exception as error:  # noqa: BLE001  # ours, not the program's
                faults.add(error)
            try:
                return beneath(original)(loop, context, *args, **kwargs)
            finally:
                _handled.discard(key)
                end(told)

        return call_exception_handler

    def close(self) -> None:
        """Do nothing any more, wherever we still stand."""
        self._closed = True

    def observe(self, loop: Any, context: Mapping[str, Any]) -> bool:
        """Put the failure into the mailbox; False where there is none that we tell."""
        exception = context.get("exception")
        if exception is None:
            return self._without(loop, context) or self._observe_words(loop, context)
        if not isinstance(exception, BaseException) or not is_failure(exception):
            return False
        self._told.append(Identity(exception))
        task = future_of(context)
        ledger = self._ledger_of(loop)
        failed = None if ledger is None else failed_of(ledger, task, exception)
        counted = failed is not None and bool(failed.told & UNRETRIEVED)
        if failed is not None:
            failed.told |= TOLD
        words, source = said(context)
        repeat = self._repeats.begin(fingerprint_of(exception, source, counted))
        if repeat is not None:
            record = failed.record if failed is not None else live_record_of(ledger, task)
            who = task if failed is None or hasattr(task, "get_name") else failed()
            repeat.first = failure = Failure(
                source=source_of(words, source, loop, context),
                message=words,
                exception=facts_of(exception, frames=self._frames),
                time_ns=self._wall_ns(time.monotonic_ns() if failed is None else failed.ended_ns),
                task=None if who is None and record is None else task_facts(who, record),
                function=function_of_handle(context.get("handle"), loop),
                counted=counted,
                context=context_of(loop, who, context.get("handle")),
            )
            self._mailbox.put(failure)
        return True

    def _observe_words(self, loop: Any, context: Mapping[str, Any]) -> bool:
        """Somebody gives up, and has no exception to show for it."""
        words, source = said(context)
        repeat = self._repeats.begin((words, source))
        if repeat is not None:
            task = future_of(context)
            repeat.first = failure = Failure(
                source=source,
                message=words,
                exception=None,
                time_ns=self._wall_ns(time.monotonic_ns()),
                task=None if task is None else task_facts(task, live_record_of(self._ledger_of(loop), task)),
                context=context_of(loop, task, context.get("handle")),
            )
            self._mailbox.put(failure)
        return True

    def tell(
        self,
        exception: BaseException,
        source: Source,
        words: str,
        *,
        failed: Failed | None,
        fatal: bool = False,
    ) -> None:
        """Tell what no loop reports, of the task that has failed with it; unless the same was told."""
        if (failed is not None and failed.told & TOLD and _raised(failed, exception)) or any(
            each.is_of(exception) for each in list(self._told)
        ):
            return
        self._told.append(Identity(exception))
        counted = failed is not None and bool(failed.told & UNRETRIEVED)
        if failed is not None:
            failed.told |= TOLD
        repeat = self._repeats.begin(fingerprint_of(exception, source, counted))
        if repeat is None:
            return
        task = None if failed is None else failed()
        repeat.first = failure = Failure(
            source=source,
            message=words,
            exception=facts_of(exception, frames=self._frames),
            time_ns=self._wall_ns(time.monotonic_ns() if failed is None else failed.ended_ns),
            task=None if failed is None else task_facts(task, failed.record),
            fatal=fatal,
            counted=counted,
            context=None if task is None else context_of(task.get_loop(), task, None),
        )
        self._mailbox.put(failure)


def _raised(failed: Failed, exception: BaseException) -> bool:
    """Whether the task is still there and has this exception: another may have its address by now."""
    return getattr(failed(), "_exception", None) is exception


def failed_of(ledger: Ledger, task: Any, exception: BaseException | None) -> Failed | None:
    """What is remembered of a task that has failed; where the report names none, by what it raised.

    Servers, `gather` and callbacks that ask for a result hand on what a task has raised.
    """
    failed = ledger.failed.get(id(task))
    if failed is not None and _is_or_was(failed(), task):
        return failed
    failed = None if exception is None else ledger.raised.get(id(exception))
    return (
        failed
        if exception is not None and failed is not None and failed.error_type == type_of(exception)
        else None
    )


def live_record_of(ledger: Ledger | None, task: Any) -> AnyRecord | None:
    """The record of a task that has not ended."""
    record = None if ledger is None or task is None else ledger.live.get(id(task))
    return record if record is not None and _is_or_was(record.alive(), task) else None


def _is_or_was(referred: object, task: object) -> bool:
    # The collector has emptied the reference of a task whose finalizer tells of it, and of no other task.
    return referred is task or referred is None


def task_facts(task: Any, record: AnyRecord | None) -> TaskFacts | None:
    """Who failed; None where it was a future, and no task. A task that is no more has its record's name."""
    get_name = getattr(task, "get_name", None)
    if record is None:
        return None if get_name is None else TaskFacts(name=get_name(), function=_qualname(task))
    if get_name is not None:
        return facts_of_record(get_name(), record)
    if task is None:
        return facts_of_record(getattr(record, "task_name", None) or record.function.name, record)
    return None


def _qualname(task: Any) -> str:
    name = getattr(coroutine_of(task), "__qualname__", None)
    return name if isinstance(name, str) else "asyncio.task"


def context_of(loop: Any, task: Any, handle: Any) -> Borrowed | None:
    """The context in which it happened: the task's (3.12+) or the callback's."""
    get_context = getattr(task, "get_context", None)
    context = get_context() if get_context is not None else context_of_handle(handle)
    return Borrowed(context.copy(), loop) if isinstance(context, contextvars.Context) else None
