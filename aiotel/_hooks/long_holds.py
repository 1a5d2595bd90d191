"""Find locks that are held for long while another task waits for them as long.

Not its business: semaphores, which are there to keep tasks waiting; and what nobody has waited for.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

from .._borrowed import Returns
from .._mailbox import Mailbox
from .._repeats import Repeats
from .._visits import ask
from ..observations import LongHold
from .holds import Hold, Wait, frame_of, task_waiting

__all__ = ["LongHolds"]


class LongHolds:
    """Tells each long hold once: while it lasts, or at its end."""

    def __init__(
        self,
        mailbox: Mailbox[Any],
        repeats: Repeats[Any],
        wall_ns: Callable[[int], int],
        returns: Returns,
        *,
        after_ns: int,
    ) -> None:
        self._mailbox = mailbox
        self._repeats = repeats
        self._wall_ns = wall_ns
        self._returns = returns
        self._after_ns = after_ns

    def look(
        self,
        held: Iterable[tuple[int, Hold]],
        waits: Iterable[tuple[int, int]],
        visit: Callable[[int, Hold], None],
    ) -> None:
        """Have the loops of those look that may take too long. On the pump's thread.

        `waits` are pairs of what is waited for and since when; some may be over.
        """
        before_ns = time.monotonic_ns() - self._after_ns
        long = {primitive for primitive, since_ns in waits if since_ns <= before_ns}
        for key, hold in held if long else ():
            if key not in long or hold.since_ns > before_ns or hold.told or hold.asked:
                continue
            if hold.ledger is not None:
                hold.asked = ask(hold.ledger, partial(visit, key, hold), self._returns)

    def visit(self, hold: Hold, lock: Any, waits: Mapping[int, Wait]) -> None:
        """Tell it, if it takes too long. On the thread of the loop."""
        hold.asked = False
        self._check(hold, lock, waits, held=True)

    def over(self, hold: Hold, lock: Any, waits: Mapping[int, Wait]) -> None:
        """Tell it, if it took too long: it is over now, and nobody was woken yet. On the loop's thread."""
        if not hold.told and time.monotonic_ns() - hold.since_ns >= self._after_ns:
            self._check(hold, lock, waits, held=False)

    def _check(self, hold: Hold, lock: Any, waits: Mapping[int, Wait], *, held: bool) -> None:
        now_ns = time.monotonic_ns()
        pending = [future for future in lock._waiters or () if not future.done()]
        first = task_waiting(pending[0]) if pending else None  # it is the one that waits for longest
        wait = None if first is None else waits.get(id(first))
        at = frame_of(hold.line)
        if wait is None or wait.primitive != id(lock) or at is None or hold.told:
            return
        if min(now_ns - wait.since_ns, now_ns - hold.since_ns) < self._after_ns:
            return
        hold.told = True
        repeat = self._repeats.begin((LongHold, at.file, at.line))
        if repeat is not None:
            repeat.first = LongHold(
                primitive=type(lock).__qualname__,
                at=at,
                held=held,
                seconds=(now_ns - hold.since_ns) / 1e9,
                waiting=len(pending),
                waited_seconds=(now_ns - wait.since_ns) / 1e9,
                time_ns=self._wall_ns(now_ns),
                task=hold.facts(),
            )
            self._mailbox.put(repeat.first)
