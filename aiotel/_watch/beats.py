"""What the watchdog asks of a loop, however it comes by the answer."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Final, NamedTuple, Protocol

from .._measured import Times
from .._record import AnyRecord

__all__ = ["Beat", "Ended", "Share", "Waited", "end_stall", "keep_delay"]

DELAYS: Final = 65536
"""How many delays of a loop may wait to be counted."""
STALLS: Final = 64
"""How many stalls may wait for the watchdog to come by."""


class Ended(NamedTuple):
    """A stall that is over, by the monotonic clock, and who slept too long because of it."""

    from_ns: int
    to_ns: int
    thread_ns: int
    """The CPU time of the loop's thread at the end."""
    waited: tuple[tuple[AnyRecord, int], ...]


Waited = Callable[[int], Iterable[tuple[AnyRecord, int]]]
"""Who slept too long because the loop was blocked for so many ns, and for how long; on the loop's thread."""


class Share:
    """CPU time at some moment, to see how much of a later time was used."""

    __slots__ = ("at_ns", "process_ns", "thread_ns")

    def __init__(self, at_ns: int, thread_ns: int | None, process_ns: int) -> None:
        self.at_ns = at_ns
        self.thread_ns = thread_ns
        self.process_ns = process_ns


class Beat(Protocol):
    """How a loop is seen to go on."""

    ident: int
    """The loop's thread by `threading.get_ident`, and by the system's number; 0 until it is known."""
    native_id: int
    base_depth: int | None
    """How many frames are below those of a callback, where the stack does not show it."""
    first: Share | None
    """CPU times when the loop began to run, where that was seen."""
    threshold_ns: int
    stalls: list[Ended]

    def mark(self) -> int:
        """Above zero while the loop is in a callback; else the same number while nothing happens."""

    def look(self, now_ns: int, held_ns: int) -> None:
        """Do what has to be done now and then; `held_ns` the GIL was held until now. One thread at a time."""

    def turned(self) -> None:
        """The loop is about to run, or has just stopped. On its thread."""

    def is_asked(self) -> bool:
        """Whether the loop still goes by what is looked at here."""

    def rest(self) -> None:
        """The loop does not run."""

    def since_ns(self) -> int:
        """Since when the loop has not been seen to go on; 0 where it waits for something, or does not run."""

    def take_delays(self) -> tuple[int, int, list[int]]:
        """How late the loop was: so many times shortly, for so long together, and the others; ns."""

    def cpu_ns(self) -> int | None:
        """CPU time of the loop's thread while it ran; None where that has to be seen from outside."""

    def times(self) -> Times | None:
        """What it has done with its time; None where that cannot be had."""

    def detach(self) -> None:
        """Leave the loop as it was found."""


def keep_delay(delays: list[int], delay_ns: int) -> None:
    """Keep how late a loop was, until that is taken."""
    if len(delays) < DELAYS:
        delays.append(delay_ns)


def end_stall(beat: Beat, from_ns: int, to_ns: int, waited: Waited) -> None:
    """Keep a stall that is over, if it was one. On the loop's thread."""
    blocked_ns = to_ns - from_ns
    if blocked_ns >= beat.threshold_ns and len(beat.stalls) < STALLS:
        beat.stalls.append(Ended(from_ns, to_ns, time.thread_time_ns(), tuple(waited(blocked_ns))))
