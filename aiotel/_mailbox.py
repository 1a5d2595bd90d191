"""Hand things over from any thread, and count what does not fit.

Appending to a deque is all that happens here: it takes no lock, so finalizers and the garbage
collector may do it in the middle of anything.
"""

from __future__ import annotations

from collections import deque
from typing import Generic, TypeVar

__all__ = ["Mailbox"]

T = TypeVar("T")


class Mailbox(Generic[T]):
    """A bounded queue from many threads to one."""

    __slots__ = ("dropped", "limit", "queue")

    def __init__(self, limit: int) -> None:
        self.queue: deque[T] = deque()
        self.limit = limit
        self.dropped = 0

    def put(self, letter: T) -> None:
        """Append the letter, or count it as dropped."""
        if len(self.queue) < self.limit:
            self.queue.append(letter)
        else:
            self.dropped += 1

    def take(self, most: int) -> list[T]:
        """Up to this many letters, oldest first."""
        taken: list[T] = []
        popleft = self.queue.popleft
        try:
            for _ in range(most):
                taken.append(popleft())
        except IndexError:
            pass
        return taken
