"""Remember the tasks of one loop that were cancelled lately: by weak reference, and only so many."""

from __future__ import annotations

import weakref
from itertools import islice
from typing import Any, Final

from .._ledger import Ledger
from ..observations import Cancellation
from .chains import pending

__all__ = ["REQUESTS", "Request", "Watch", "first_of"]

REQUESTS: Final = 10_000
"""How many cancelled tasks of one loop are remembered; the oldest are forgotten."""


class Request(weakref.ref[Any]):
    """A task that was asked to be cancelled, and what is known of that."""

    __slots__ = ("cancellation", "key", "looks", "since_ns")

    key: int
    """The id of the task."""
    cancellation: Cancellation | None
    since_ns: int
    looks: int


class Watch:
    """The cancelled tasks of one loop. Its thread is the only writer."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self.requests: dict[int, Request] = {}
        self.told: dict[int, Request] = {}
        self.asked = False
        """A look is queued on the loop."""
        self.next_ns = 0
        """When there is a task to be looked at; 0 where there is none."""
        self.turn: list[int] = []
        """The ids of tasks that are still to be asked in this round; the pump's."""
        self.turn_ns = 0
        self.eldest: tuple[int | None, int] = (None, 0)
        """The id of the eldest task, and since when it is that."""

    def add(self, task: Any, cancellation: Cancellation | None, now_ns: int) -> None:
        """Remember that this task was asked to be cancelled; the first request counts."""
        key = id(task)
        known = self.requests.get(key) or self.told.get(key)
        if known is not None and known() is task and pending(task):
            return
        self.requests.pop(key, None)
        self.told.pop(key, None)
        request = Request(task)
        request.key, request.cancellation, request.since_ns, request.looks = key, cancellation, now_ns, 0
        if len(self.requests) >= REQUESTS:
            del self.requests[next(iter(self.requests))]
        self.requests[key] = request


def first_of(requests: dict[int, Request], most: int, *, until_ns: int | None = None) -> list[Request]:
    """The first ones, taken out; of those made until then."""
    first = list(islice(requests.values(), most))
    if until_ns is not None:
        first = [request for request in first if request.since_ns <= until_ns]
    for request in first:
        del requests[request.key]
    return first
