"""Remember what was told lately, so that what comes again is counted, and told as a number after a while.

Ten thousand equal failures in a second are one fact and a number. Asking is safe anywhere, finalizers and the
garbage collector included: it takes no lock, and costs a look into a table.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from ._record import take

__all__ = ["FIRST_S", "LAST_S", "Again", "Repeat", "Repeats"]

T = TypeVar("T")

FIRST_S: Final = 1
"""So long after it was told, a fact that comes again is only counted; then the number is told."""
LAST_S: Final = 60
"""While it goes on, the number is told after twice that time, and twice that, up to so long."""
KNOWN: Final = 1024
"""How many different facts are remembered; others are told each time."""
WAITING: Final = 65536
"""How many repetitions of one fact may wait to be counted."""


class Repeat(Generic[T]):
    """A fact that was told, and when it came again."""

    __slots__ = ("again", "first", "kept_ns", "since_ns", "untold", "wait_ns")

    def __init__(self, now_ns: int, kept_ns: int) -> None:
        self.first: T | None = None
        """What was told; None until it is known."""
        self.again: list[int] = []
        self.since_ns = now_ns
        """When something was told of it last."""
        self.wait_ns = FIRST_S * 1_000_000_000
        self.untold = 0
        self.kept_ns = kept_ns
        """So long it is remembered though it does not come again."""


@dataclass(frozen=True, slots=True)
class Again(Generic[T]):
    """How often a fact came again: since the last look; where that is to be told, since it was told."""

    first: T
    count: int
    untold: int = 0
    seconds: float = 0.0


class Repeats(Generic[T]):
    """The facts that were told lately. Any thread asks, one looks."""

    def __init__(self, *, clock: Callable[[], int] = time.monotonic_ns) -> None:
        self._clock = clock
        self._known: dict[Hashable, Repeat[T]] = {}
        # Forgotten at the last look: somebody may have found them just before.
        self._leaving: list[Repeat[T]] = []
        self.dropped = 0

    def begin(self, key: Hashable, *, kept_s: float = 0) -> Repeat[T] | None:
        """A place for a fact to be told now; None where it was told lately, and is counted instead.

        It is forgotten once it has not come again for a while, and not before `kept_s` are over.
        """
        repeat = self._known.get(key)
        if repeat is None:
            repeat = Repeat(self._clock(), int(kept_s * 1e9))
            if len(self._known) < KNOWN:
                self._known[key] = repeat
            return repeat
        if len(repeat.again) < WAITING:
            repeat.again.append(1)
        else:
            self.dropped += 1
        return None

    def look(self, *, last: bool = False) -> Iterator[Again[T]]:
        """What came again since the last look. The `last` look tells all numbers."""
        now_ns = self._clock()
        leaving, self._leaving = self._leaving, []
        for repeat in leaving:
            yield from self._counted(repeat, now_ns, due=True)
        for key, repeat in list(self._known.items()):
            if repeat.first is None and now_ns - repeat.since_ns > repeat.wait_ns:
                self._known.pop(key, None)  # what was to be told could not be made: the next one is new
                continue
            due = last or now_ns - repeat.since_ns >= repeat.wait_ns
            if due and not repeat.again and not repeat.untold:
                if not last and now_ns - repeat.since_ns < repeat.kept_ns:
                    continue
                del self._known[key]
                self._leaving.append(repeat)
            else:
                yield from self._counted(repeat, now_ns, due=due)

    def forget(self) -> None:
        """In a child process: what was told is the parent's."""
        self._known = {}
        self._leaving = []
        self.dropped = 0

    @staticmethod
    def _counted(repeat: Repeat[T], now_ns: int, *, due: bool) -> Iterator[Again[T]]:
        if repeat.first is None:  # it is being told just now, on another thread
            return
        count = len(take(repeat.again))
        untold = repeat.untold = repeat.untold + count
        if not due or not untold:
            if count:
                yield Again(repeat.first, count)
            return
        seconds = (now_ns - repeat.since_ns) / 1e9
        repeat.since_ns, repeat.untold = now_ns, 0
        repeat.wait_ns = min(2 * repeat.wait_ns, LAST_S * 1_000_000_000)
        yield Again(repeat.first, count, untold, seconds)
