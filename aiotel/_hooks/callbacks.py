"""Time whatever an event loop of asyncio's calls, in front of `Handle._run` and `_call_soon`.

The hot path of exact timing: every line is paid for by every step of the program. Around the original, never
in its place: what a callback raises is handled inside, so no traceback has a frame of ours. The stacks that
debug mode keeps of futures and timers do have one.
"""

from __future__ import annotations

import time
from asyncio import events
from asyncio.events import TimerHandle
from collections.abc import Callable
from types import BuiltinFunctionType, MethodType
from typing import Any, Final, Protocol

from .._faults import faults
from .._ledger import Ledger
from .._times import TaskTimes
from .loops import Detach
from .steps import PYTHON_STEP, PYTHON_WAKEUP, WAKEUP, step_type

__all__ = ["FLOOR_NS", "Listener", "attach", "call_soon_in_front_of", "hide_our_frames"]

FLOOR_NS = 100_000
"""What takes less is never slow, whatever the loop's `slow_callback_duration` says."""

_clock = time.monotonic_ns
_Handle: Any = events.Handle  # what it calls is not for typeshed
# The files whose frames may be on the stack of the program.
_OURS: Final = frozenset(
    f"{__file__.removesuffix('callbacks.py')}{name}.py" for name in ("callbacks", "tasks", "timing")
)


class Listener(Protocol):
    """Who is asked in the rarer cases."""

    def begin(self, ledger: Ledger, task: Any) -> TaskTimes | None:
        """The times of a task whose first step, of those that are seen, runs now; None for a stranger's."""

    def look(self, ledger: Ledger, handle: Any, callback: Any, task: Any, total_ns: int) -> None:
        """See a callback that took `FLOOR_NS` or more: `callback` was called, as a step of `task` or None."""


def attach(open_ledger: Callable[[Any], Ledger | None], listener: Listener, *, only: Any = None) -> Detach:  # noqa: C901, PLR0915  # the hot path
    """Time the callbacks of all loops, or of one; gives back what undoes it.

    On the class, because handles are made by loops that run already, too; `_ThreadSafeHandle._run` and those
    of timers end up here as well.
    """
    found, original = vars(_Handle)["_run"], _Handle._run
    step = step_type()
    begin, look = listener.begin, listener.look
    attached = True

    def _run(handle: Any) -> None:  # noqa: C901, PLR0912, PLR0915  # the hot path
        times: Any = None
        account = task = callback = loop = None
        ledger: Any = None
        ready_ns = 0
        if attached:
            try:
                loop = handle._loop
                if only is None or loop is only:
                    try:
                        ledger = loop._aiotel_ledger or open_ledger(loop)
                    except AttributeError:  # a stranger's loop; or it was let go of a moment ago
                        ledger = None
                    if type(ledger) is Ledger:
                        times = ledger.times
                if times is not None:
                    if times.inner_ns:  # we were attached in the midst of a step
                        times.inner_ns = times.told_ns = 0
                    callback = handle._callback
                    kind = type(callback)
                    if (
                        kind is step
                        or (kind is BuiltinFunctionType and callback.__name__ == WAKEUP)
                        or (
                            kind is MethodType
                            and (callback.__func__ is PYTHON_STEP or callback.__func__ is PYTHON_WAKEUP)
                        )
                    ):
                        task = callback.__self__
                        account = times.tasks.get(id(task))
                        if account is None:
                            account = begin(ledger, task)
                        if account is not None:
                            ready_ns = account.ready_ns
                            account.ready_ns = 0
                    elif type(handle) is TimerHandle:
                        # By the loop's own clock, which may be a virtual one.
                        times.late_ns = max(0, round((loop.time() - handle.when()) * 1e9))
            except Exception as error:  # noqa: BLE001  # ours, not the program's
                faults.add(error)
        started_ns = _clock()
        try:
            original(handle)
        except BaseException as ends:
            # It ends the loop, and its traceback is for the user to read: without this frame.
            ends.__traceback__ = ends.__traceback__ and ends.__traceback__.tb_next
            raise
        finally:
            if times is not None:
                total_ns = run_ns = _clock() - started_ns
                try:
                    if times.inner_ns:
                        run_ns -= times.inner_ns
                        times.inner_ns = 0
                    if account is not None:
                        # As in `TaskTimes.add`, without the call.
                        account.steps += 1
                        account.run_ns += run_ns
                        if run_ns > account.longest_ns:  # noqa: PLR1730  # `max` is a call
                            account.longest_ns = run_ns
                        if ready_ns:
                            # A task that does not wait is ready again while it still runs.
                            last_ns = account.ended_ns
                            account.scheduled_ns += started_ns - (
                                ready_ns if ready_ns > last_ns else last_ns  # noqa: FURB136  # the same
                            )
                        account.ended_ns = started_ns + total_ns
                    elif times.late_ns:
                        times.late_ns = 0
                    if total_ns >= FLOOR_NS:
                        look(ledger, handle, callback, task, total_ns)
                except Exception as error:  # noqa: BLE001  # ours, not the program's
                    faults.add(error)
            # What was raised inside and is kept holds this frame, which is not to hold what was called.
            handle = callback = task = loop = None

    def detach() -> None:
        nonlocal attached, only
        attached, only = False, None
        if vars(_Handle).get("_run") is _run:
            _Handle._run = found

    _Handle._run = _run
    return detach


def call_soon_in_front_of(original: Callable[..., Any]) -> Callable[..., Any]:
    """A loop's `_call_soon` that notes since when the next step of a task is ready."""
    step = step_type()

    def _call_soon(loop: Any, callback: Any, args: Any, context: Any) -> Any:
        handle = original(loop, callback, args, context)
        try:
            kind = type(callback)
            if (
                kind is step
                or (kind is BuiltinFunctionType and callback.__name__ == WAKEUP)
                or (
                    kind is MethodType
                    and (callback.__func__ is PYTHON_STEP or callback.__func__ is PYTHON_WAKEUP)
                )
            ):
                times = loop._aiotel_ledger.times
                account = times.tasks.get(id(callback.__self__))
                if account is not None:
                    account.ready_ns = _clock() - times.late_ns
        except AttributeError:  # a loop that is not timed, or has run nothing yet
            pass
        except Exception as error:  # noqa: BLE001  # ours, not the program's
            faults.add(error)
        try:
            if handle._source_traceback:
                hide_our_frames(handle)
        except Exception as error:  # noqa: BLE001  # ours, not the program's
            faults.add(error)
        return handle

    return _call_soon


def hide_our_frames(thing: Any) -> None:
    """In debug mode handles and tasks keep the stack that created them: ours is not of the user's making."""
    stack = getattr(thing, "_source_traceback", None)
    if stack:
        stack[:] = [summary for summary in stack if summary.filename not in _OURS]
