"""Find the tasks that had to wait because another one blocked their loop."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from operator import attrgetter
from typing import Any, Final

from .._inspect.coroutines import coroutines, frame_of
from .._inspect.glances import glance
from .._ledger import Ledger
from .._record import AnyRecord, has_span

__all__ = ["MOST", "late_sleepers", "ready", "woken"]

MOST: Final = 100
"""How many of them are told of one stall."""
LOOKED_AT: Final = 5000
"""How many tasks are looked at to find them."""

_waiter_state: Final = attrgetter("_fut_waiter._state")
_state_and_waiter: Final = attrgetter("_state", "_fut_waiter.__class__")
_running: Final = attrgetter("_coro.cr_running")


def ready(ledger: Ledger, but: Iterable[AnyRecord]) -> list[AnyRecord]:
    """The records of those that could go on now, less those that run. From any thread."""
    found: list[AnyRecord] = []
    run = {id(record) for record in but}
    for record in list(ledger.live.values())[:LOOKED_AT]:
        if len(found) >= MOST:
            break
        if id(record) not in run and has_span(record) and _is_ready(record):
            found.append(record)
    return found


def woken(ledger: Ledger, blocked_ns: int) -> Iterator[tuple[AnyRecord, int]]:
    """As `late_sleepers`, on a loop that does not show its timers, which has just woken the sleepers.

    Others that are ready now may have been woken by the very callback that took so long.
    """
    loop: Any = ledger.loop()
    for record in ready(ledger, ()):
        due = _due(record.alive())
        if due is not None:
            yield record, min(blocked_ns, max(0, int((loop.time() - due) * 1e9)))


def _due(task: Any) -> float | None:
    """When the sleep was to end that the task is in; None where it is in none."""
    innermost = None
    for coroutine in () if task is None else coroutines(task):
        innermost = frame_of(coroutine) or innermost
    if innermost is None or innermost.f_code is not asyncio.sleep.__code__:
        return None
    when = getattr(innermost.f_locals.get("h"), "when", None)
    return None if when is None else float(when())


def late_sleepers(ledger: Ledger, blocked_ns: int) -> Iterator[tuple[AnyRecord, int]]:
    """Those whose sleep fell due meanwhile, and how late that will be. On the loop's thread.

    Of asyncio's own loops: their timers are a heap, in which none is due below one that is not.
    """
    loop: Any = ledger.loop()
    timers = getattr(loop, "_scheduled", None)
    if not timers:
        return
    now = loop.time()
    places, found = [0], 0
    while places and found < MOST:
        place = places.pop()
        if place >= len(timers) or timers[place]._when > now:
            continue
        places += (2 * place + 1, 2 * place + 2)
        record = _sleeper(ledger, timers[place])
        if record is not None and has_span(record):
            found += 1
            yield record, min(blocked_ns, int((now - timers[place]._when) * 1e9))


def _sleeper(ledger: Ledger, timer: Any) -> AnyRecord | None:
    """The record of the task that a timer is to wake, by way of a future."""
    if timer._cancelled:
        return None
    for argument in timer._args or ():
        for callback, *_ in getattr(argument, "_callbacks", None) or ():
            task = getattr(callback, "__self__", None)
            if task is not None:
                return ledger.live.get(id(task))
    return None


def _is_ready(record: AnyRecord) -> bool:
    reference = record.reference()
    if reference is None:
        return False
    try:
        return bool(glance(reference, _waiter_state) != "PENDING")
    except AttributeError:  # it waits for nothing: it has just begun, or has let others go first
        return _waits_for_nothing(reference)


def _waits_for_nothing(reference: Any) -> bool:
    try:
        state, waiter = glance(reference, _state_and_waiter)
    except AttributeError:  # it is no more, or a stranger's
        return False
    return state == "PENDING" and waiter is type(None) and not _runs(reference)


def _runs(reference: Any) -> bool:
    """Whether it is in a step: then it has started the eager task that runs now."""
    try:
        return bool(glance(reference, _running))
    except AttributeError:  # another kind of coroutine
        return False
