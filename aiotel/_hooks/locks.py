"""See who acquires and releases asyncio's locks and semaphores, and how long that takes; opt-in.

A lock is taken where its `_locked` is set, a permit where the `_value` of its semaphore goes down: there we
look, whoever calls whatever way. To wrap `acquire` would put a frame of ours into the program's tracebacks
and into the stacks of its tasks; `sys.monitoring` is not there in 3.11, and costs more.
"""

from __future__ import annotations

import asyncio
import sys
import time
from contextlib import ExitStack
from typing import Any

from .._complaints import complaints
from .followed import KNOWN, Followed
from .holds import Hold, Owner, Wait, hold_by, line_above, task_waiting
from .lock_times import LockTimes
from .long_holds import LongHolds
from .loops import Detach
from .semaphores import GRANT, Permits
from .setters import LookedUp, Setter, place

__all__ = ["Locks"]


class Locks:
    """Who holds which lock, of one session; by the ids of locks and tasks, neither of which is kept alive.

    With `only`, what happens on other loops is not seen. With `measure`, durations are kept to be taken.
    """

    def __init__(
        self, *, only: Any = None, measure: bool = False, long_holds: LongHolds | None = None
    ) -> None:
        self._only = only
        self._times = LockTimes() if measure else None
        self._long = long_holds
        self._known = Followed()
        self._waits: dict[int, Wait] = {}
        """By the id of the task. Of a wait that was cancelled nobody hears: it stays until the next."""
        self._attached = False

    def attach(self) -> Detach:
        """Stand where locks and semaphores change; gives back what undoes it."""
        if self._attached:
            return _nothing
        if not _as_expected():
            complaints.add(
                "locks", "this Python's locks are not made as expected: nobody sees who holds them"
            )
            return _nothing
        self._attached = True
        with ExitStack() as stack:
            stack.callback(self._close)
            seen: list[tuple[Any, str, Any]] = [
                (asyncio.Lock, "_locked", self._lock_changed),
                (asyncio.Semaphore, "_value", self._value_changed),
            ]
            for owner, name, changed in seen:
                waits = LookedUp(owner._get_loop, self._waiting)
                stack.callback(place(owner, "_get_loop", waits))
                stack.callback(place(owner, name, Setter(name, changed)))
            return stack.pop_all().close

    # For those who look for deadlocks; on the thread of the loop.

    def owners_of(self, primitive_id: int) -> tuple[Owner, ...]:
        """Who holds this lock or semaphore: all of them, or none where that is not certain."""
        hold = self._known.held.get(primitive_id)
        if hold is not None:
            return () if hold.primitive() is None else (hold.owner(),)
        permits = self._known.permits.get(primitive_id)
        semaphore = None if permits is None else permits.primitive()
        if permits is None or semaphore is None or not permits.certain(semaphore._value):
            return ()
        return tuple(hold.owner() for hold in permits.holds)

    def held_by(self, task_id: int) -> frozenset[int]:
        """The ids of the locks, and of the semaphores with one permit, that this task holds."""
        holds = list(self._known.held.items())
        for key, permits in list(self._known.permits.items()):
            if permits.free == 1 and permits.exact:
                holds.extend((key, hold) for hold in permits.holds)
        return frozenset(
            key
            for key, hold in holds
            if hold.task_id == task_id and not hold.ended() and hold.primitive() is not None
        )

    # On the pump's thread.

    def take(self) -> tuple[dict[str, list[int]], dict[str, list[int]]]:
        """How long tasks have waited, and held, in ns, by the function that acquired; since the last time."""
        return ({}, {}) if self._times is None else self._times.take()

    def dropped(self) -> int:
        """How much there was no place for."""
        return self._known.full + (0 if self._times is None else self._times.dropped())

    def look(self) -> None:
        """Have loops look at holds that take long while others wait."""
        if self._long is not None:
            waits = [(wait.primitive, wait.since_ns) for wait in list(self._waits.values())]
            self._long.look(list(self._known.held.items()), waits, self._visit)

    def forget(self) -> None:
        """In a child process: the tasks are the parent's."""
        self._known, self._waits = Followed(), {}
        self._times = None if self._times is None else LockTimes()

    # On the thread of a loop.

    def _waiting(self, primitive: Any) -> None:
        """A lock or a semaphore makes the future that a task is to wait for."""
        task, _ = self._here()
        if task is None:
            return
        waits = self._waits
        waits.pop(id(task), None)  # so that the oldest come first
        if len(waits) >= KNOWN:
            waits.pop(next(iter(waits)), None)
        waits[id(task)] = Wait(id(primitive), line_above(sys._getframe(2)))

    def _lock_changed(self, lock: Any, before: Any, locked: Any) -> None:
        key = id(lock)
        if before is None:
            self._known.born(key)
        hold = self._known.held.pop(key, None)
        if hold is not None:
            self._over(hold, lock)
        if not locked:
            return
        task, loop = self._here()
        if task is not None and self._known.room(self._known.held):
            frame = sys._getframe(2)
            wait = self._wait_of(task, key, frame)
            self._known.held[key] = self._hold(task, loop, lock, line_above(frame), wait)

    def _value_changed(self, semaphore: Any, before: Any, value: Any) -> None:
        key = id(semaphore)
        if before is None:
            self._known.born(key)
            if self._known.room(self._known.permits):
                self._known.permits[key] = Permits(semaphore, value, exact=True)
            return
        permits = self._known.permits.get(key)
        if permits is None or permits.primitive() is not semaphore:
            permits = self._met(semaphore, key, before)
            if permits is None:
                return
        frame = sys._getframe(2)
        if abs(value - before) != 1:  # not by asyncio
            permits.free, permits.exact = None, False
        elif value > before:
            task, _ = self._here()
            over = permits.returned(0 if task is None else id(task), value)
            if over is not None and frame.f_code.co_name != "acquire":  # granted to one that was cancelled
                self._over(over, None)
        else:
            permits.taken(self._permit(semaphore, key, frame))

    def _met(self, semaphore: Any, key: int, value: int) -> Permits | None:
        """A semaphore that is older than the session."""
        if not self._known.room(self._known.permits):
            return None
        free = getattr(semaphore, "_bound_value", None)
        permits = self._known.permits[key] = Permits(semaphore, free, exact=free == value)
        return permits

    def _permit(self, semaphore: Any, key: int, frame: Any) -> Hold | None:
        if frame.f_code.co_name != GRANT:
            task, loop = self._here()
            if task is None:
                return None
            wait = self._wait_of(task, key, frame)
            return self._hold(task, loop, semaphore, line_above(frame), wait)
        granted = next((future for future in semaphore._waiters if not future.done()), None)
        task = None if granted is None else task_waiting(granted)
        wait = None if task is None else self._waits.pop(id(task), None)
        if task is None or wait is None or wait.primitive != key:
            return None
        return self._hold(task, task.get_loop(), semaphore, wait.line, wait)

    def _hold(self, task: Any, loop: Any, primitive: Any, line: Any, wait: Wait | None) -> Hold:
        hold = hold_by(task, loop, primitive, line)
        if self._times is not None and line is not None:
            self._times.waited.put((line, 0 if wait is None else hold.since_ns - wait.since_ns))
        return hold

    def _over(self, hold: Hold, lock: Any) -> None:
        if self._times is not None and hold.line is not None:
            self._times.held.put((hold.line, time.monotonic_ns() - hold.since_ns))
        if self._long is not None and lock is not None:
            self._long.over(hold, lock, self._waits)

    def _wait_of(self, task: Any, key: int, frame: Any) -> Wait | None:
        """The wait that is over now, where the task has waited for this in this frame."""
        wait = self._waits.pop(id(task), None) if self._waits else None
        if wait is None or wait.primitive != key or frame.f_locals.get("fut") is None:
            return None
        return wait

    def _here(self) -> tuple[Any, Any]:
        """The task that runs on this thread, and its loop; None where it is none of our business."""
        loop = asyncio._get_running_loop()
        if loop is None or (self._only is not None and loop is not self._only):
            return None, None
        return asyncio.current_task(loop), loop

    def _visit(self, key: int, hold: Hold) -> None:
        """Look whether a hold takes long, on its loop's thread."""
        lock = hold.primitive()
        if self._long is not None and lock is not None and self._known.held.get(key) is hold:
            self._long.visit(hold, lock, self._waits)

    def _close(self) -> None:
        self._attached = False
        full = self._known.full
        self._known, self._waits = Followed(), {}
        self._known.full = full  # what was lost is still to be told


def _as_expected() -> bool:
    """Whether this Python's locks are made as those that this knows."""
    lock, semaphore = asyncio.Lock(), asyncio.Semaphore(1)
    return (
        getattr(lock, "__dict__", {}).get("_locked") is False
        and getattr(semaphore, "__dict__", {}).get("_value") == 1
        and {"_locked", "_get_loop"} <= {*asyncio.Lock.acquire.__code__.co_names}
        and {"_value", "_get_loop"} <= {*asyncio.Semaphore.acquire.__code__.co_names}
        and "_value" in getattr(asyncio.Semaphore, GRANT).__code__.co_names
    )


def _nothing() -> None:
    """Nothing was attached."""
