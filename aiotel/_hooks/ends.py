"""See every task end: by its done callback, at once where it is eager, at the latest when its loop closes."""

from __future__ import annotations

import time
import weakref
from collections.abc import Callable
from typing import Any

from .._faults import faults
from .._ledger import DURATIONS, Ledger
from .._mailbox import Mailbox
from .._record import (
    CANCELLED,
    DEFERRED,
    PENDING,
    RAISED,
    RECORDED,
    RETURNED,
    AnyRecord,
    Record,
    Rules,
    has_span,
)
from .exceptions import is_failure, message_of, type_of
from .explanations import explain

__all__ = ["Facts", "done_callback", "end_at_once", "register", "settle_all", "settle_gone"]

Facts = Callable[[BaseException], Any]

_clock = time.monotonic_ns


def done_callback(  # noqa: C901, PLR0915
    ledger: Ledger,
    mailbox: Mailbox[Record],
    rules: Rules,
    facts: Facts | None,
    clock: Callable[[], int] = _clock,
) -> Callable[[Any], None]:
    """The done callback of every task of one loop: the other half of the hot path.

    With `facts`, each record of a task that raised gets those of the exception.
    """
    live = ledger.live
    letters = mailbox.queue
    limit = mailbox.limit

    def done(task: Any) -> None:  # noqa: C901, PLR0912, PLR0915  # the hot path
        record: Any = None
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
                    if record.flags & (RECORDED | DEFERRED):
                        explain(ledger, task, record)
                else:
                    outcome = RETURNED
                    durations = function.returned
            else:
                outcome = RAISED
                durations = function.raised
                error_type = type_of(exception)
                if record.flags & (RECORDED | DEFERRED):
                    error = (error_type, message_of(exception))
                    if facts is not None:
                        record.note_raised(facts(exception))
                if is_failure(exception):
                    ledger.remember_failed(task, record, error_type, now_ns)
            if len(durations) < DURATIONS:
                durations.append(now_ns - record.start_ns)
            else:
                ledger.dropped += 1
            if record.flags & (RECORDED | DEFERRED):
                record.end_ns = now_ns
                record.outcome = outcome
                try:
                    record.task_name = task.get_name()
                except Exception:  # noqa: BLE001  # as in `_name_of`, without the call
                    record.task_name = None
                record.error = error
                record.task = None
                if len(letters) < limit:
                    letters.append(record)
                elif rules.bound:
                    ledger.dropped += 1
        except Exception as fault:  # noqa: BLE001  # ours, not the program's
            faults.add(fault)
        except BaseException:  # a signal's handler ends the program: what is left is settled then
            if record is not None:
                live[id(task)] = record
            raise

    done.__qualname__ = "aiotel"  # it shows in the task's repr
    return done


def register(ledger: Ledger, record: Record, task: Any) -> None:
    """Enter a task that is not the loop's newest: it runs already, or has run."""
    record.task = weakref.ref(task, ledger.mourn)
    task.add_done_callback(ledger.done, context=ledger.context)
    ledger.live[id(task)] = record


def end_at_once(ledger: Ledger, record: Record, task: Any) -> None:
    """An eager task that never had to wait: its end is now, not a tick later."""
    record.task = weakref.ref(task, ledger.mourn)
    ledger.live[id(task)] = record
    ledger.done(task)


def settle_gone(ledger: Ledger, mailbox: Mailbox[Record]) -> None:
    """End the records of tasks that were collected before they had ended."""
    for record in ledger.bury():
        _settle(ledger, record, None, mailbox)


def settle_all(ledger: Ledger, mailbox: Mailbox[Record]) -> None:
    """End every record: its loop is closed, or we are; callbacks that did not run will not."""
    settle_gone(ledger, mailbox)
    for key, record in list(ledger.live.items()):
        ledger.live.pop(key, None)
        try:
            _settle(ledger, record, record.alive(), mailbox)
        except Exception as fault:  # noqa: BLE001  # ours, not the program's; the next one is to be told
            faults.add(fault)
    if ledger.times is not None:
        ledger.times.tasks.clear()


def _settle(ledger: Ledger, record: AnyRecord, task: Any, mailbox: Mailbox[Record]) -> None:
    if task is not None and task.done():
        ledger.live[id(task)] = record
        ledger.done(task)
        return
    now_ns = _clock()
    record.function.pending.append(now_ns - record.start_ns)
    if has_span(record):
        record.task = None
        record.conclude(now_ns, PENDING, task_name=None if task is None else _name_of(task), error=None)
        mailbox.put(record)


def _name_of(task: Any) -> str | None:
    """Its name; None for a factory's future that has none, or where it is the program's to tell and fails."""
    try:
        return task.get_name()  # type: ignore[no-any-return]  # a text, or somebody's idea of one
    except Exception:  # noqa: BLE001  # said above
        return None
