"""Tell what the time of each task went into, on its span and by function: exactly, step by step."""

from __future__ import annotations

import sys
import time
from asyncio import BaseEventLoop, isfuture
from collections.abc import Callable
from typing import Any, Final

from .._complaints import complaints
from .._faults import faults
from .._ledger import DURATIONS, Ledger
from .._record import DEFERRED, RECORDED, AnyRecord, Function, Record
from .._times import FunctionTimes, LoopTimes, TaskTimes
from . import callbacks
from .callbacks import FLOOR_NS
from .loops import Detach, Method
from .slow import Slow
from .steps import begun
from .tasks import Create

__all__ = ["Timing"]

Done = Callable[[Any], None]

_clock = time.monotonic_ns
REFUSAL: Final = (
    "exact_timing does not reach {}, whose callbacks are not called by asyncio: no step is timed there, so "
    "spans do not say how long a task ran, was ready and waited, and slow callbacks are those that the "
    "watchdog sees; one task in 16 is timed up to its first step. Loops of asyncio's own are timed exactly"
)


class Timing:
    """What is timed on the loops of one session, where that is wanted."""

    def __init__(self, slow: Slow) -> None:
        self._slow = slow
        self._refused = False

    def attach(self, open_ledger: Callable[[Any], Ledger | None], *, only: Any) -> Detach:
        """Stand in front of whatever loops call; gives back what undoes it."""
        if only is not None and not isinstance(only, BaseEventLoop):
            return _nothing
        return callbacks.attach(open_ledger, self, only=only)

    def in_front_of(self, only: Any) -> dict[str, Callable[[Method], Method]]:
        """What is to stand in front of methods of loops, or of the only one."""
        if only is not None and not isinstance(only, BaseEventLoop):
            return {}
        return {"_call_soon": callbacks.call_soon_in_front_of}

    def open(self, loop: Any, ledger: Ledger, make_done: Callable[[Callable[[], int]], Done]) -> Done:
        """Time this loop, if that can be; gives the done callback of its tasks."""
        if not isinstance(loop, BaseEventLoop):
            self._refuse(loop)
            return make_done(_clock)
        times = ledger.times = LoopTimes()
        ledger.overflow.times = FunctionTimes()
        ledger.until_timed = sys.maxsize  # each task is, up to its first step
        return _ending(ledger, times, make_done(times.end))

    def begin(self, ledger: Ledger, task: Any) -> TaskTimes | None:
        """See `callbacks.Listener`."""
        times = ledger.times
        record = ledger.live.get(id(task))
        if times is None or record is None or record.alive() is not task:
            return None
        if begun(task.get_coro()):  # older than we are
            return _open(times, record, task, ready_ns=0)
        _note_wait(record, _clock() - record.start_ns)
        return _open(times, record, task, ready_ns=record.start_ns)

    def look(self, ledger: Ledger, handle: Any, callback: Any, task: Any, total_ns: int) -> None:
        """See `callbacks.Listener`."""
        times, loop = ledger.times, handle._loop
        if times is None:
            return
        total_ns -= times.told_ns
        times.told_ns = 0
        if not self._slow.is_slow(loop, total_ns):
            return
        if task is None:
            self._slow.add_callback(loop, handle, callback)
        else:
            self._slow.add_step(ledger, task)

    # Eager tasks.

    def creating_in_front_of(self, original: Create) -> Create:
        """What makes a task, timed: the first step of an eager one is inside, in the midst of another's."""

        def create_within(
            context: Any, make: Callable[..., Any], loop: Any, coro: Any, kwargs: dict[str, Any]
        ) -> Any:
            ledger: Ledger | None = getattr(loop, "_aiotel_ledger", None)
            times = None if ledger is None else ledger.times
            outer_ns = told_ns = 0
            if times is not None:
                outer_ns, told_ns = times.inner_ns, times.told_ns
                times.inner_ns = times.told_ns = 0
            task = None
            since_ns = _clock()
            try:
                task = original(context, make, loop, coro, kwargs)
                return task
            finally:
                # In `finally`, as what an eager task raised is held by it, and holds this frame.
                if ledger is not None and times is not None:
                    try:
                        self._created(ledger, times, task, coro, since_ns)
                    except Exception as error:  # noqa: BLE001  # ours, not the program's
                        faults.add(error)
                    times.inner_ns += outer_ns
                    times.told_ns += told_ns
                task = coro = None

        return create_within

    def _created(self, ledger: Ledger, times: LoopTimes, task: Any, coro: Any, since_ns: int) -> None:
        """Enter the first step of an eager task, if that is what has run."""
        now_ns = _clock()
        record: AnyRecord = ledger.starting_record
        if not (isfuture(task) and hasattr(task, "_exception") and (begun(coro) or task.done())):
            return
        known = times.tasks.get(id(task))
        if known is not None:  # another `create_task` of ours, below this one, has seen to it
            _note_times(record, known)
            return
        total_ns = now_ns - since_ns
        # What waits for nothing is scheduled again; when that was, inside the step, does not matter.
        scheduled = not task.done() and getattr(task, "_fut_waiter", None) is None
        _note_wait(record, since_ns - record.start_ns)
        account = _open(times, record, task, ready_ns=now_ns if scheduled else 0)
        account.add(total_ns - times.inner_ns, now_ns)
        times.inner_ns = total_ns
        if total_ns >= FLOOR_NS and self._slow.is_slow(task.get_loop(), total_ns - times.told_ns):
            self._slow.add(record.function.name, "task")
            times.told_ns = total_ns

    def _refuse(self, loop: Any) -> None:
        """Say once what there is instead."""
        if not self._refused:
            self._refused = True
            complaints.add(
                "exact_timing", REFUSAL.format(f"{type(loop).__module__}.{type(loop).__qualname__}")
            )


def _nothing() -> None:
    """What undoes nothing."""


def _open(times: LoopTimes, record: AnyRecord, task: Any, *, ready_ns: int) -> TaskTimes:
    account = times.tasks[id(task)] = TaskTimes(ready_ns)
    _note_times(record, account)
    return account


def _note_times(record: AnyRecord, account: TaskTimes) -> None:
    if isinstance(record, Record) and record.flags & (RECORDED | DEFERRED):
        record.note_times(account)


def _note_wait(record: AnyRecord, wait_ns: int) -> None:
    waits = record.function.waits
    if len(waits) < DURATIONS:
        waits.append(wait_ns)
    if isinstance(record, Record) and record.flags & (RECORDED | DEFERRED):
        record.note_wait(wait_ns)


def _ending(ledger: Ledger, times: LoopTimes, original: Done) -> Done:
    """A done callback that enters what the task's time went into, and has it end with its last step."""
    live, tasks = ledger.live, times.tasks

    def done(task: Any) -> None:
        try:
            account = tasks.pop(id(task), None)
            record = live.get(id(task))
            if account is not None and record is not None:
                times.ended_ns = account.ended_ns
                _enter(record.function, account, account.ended_ns - record.start_ns)
        except Exception as error:  # noqa: BLE001  # ours, not the program's
            faults.add(error)
        try:
            original(task)
        finally:
            times.ended_ns = 0
            task = None  # as in `callbacks`

    done.__qualname__ = "aiotel"  # it shows in the task's repr
    return done


def _enter(function: Function, account: TaskTimes, lifetime_ns: int) -> None:
    times = function.times
    if times is None:
        times = function.times = FunctionTimes()
    if len(times.run) < DURATIONS:
        times.run.append(account.run_ns)
        times.scheduled.append(account.scheduled_ns)
        times.waiting.append(account.waiting_ns(lifetime_ns))
