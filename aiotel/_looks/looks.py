"""Look at all loops now and then for tasks that are stuck: all of it that a program pays for until one is.

A round compares what the tasks wait for with what they waited for before. Those that have not moved and could
be part of a deadlock are looked at more closely, once, by their loop; what that shows goes to the detectors.
On the pump's thread, but for those closer looks.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, Final

from .._borrowed import Returns
from .._faults import faults
from .._ledger import Ledger
from .._signals import names
from .._visits import ask
from .deadlocks import Deadlocks
from .forsaken import Forsaken
from .hung import HungTasks
from .settled import Entry, Settled
from .views import Owners, see

__all__ = ["Looks"]

NEW: Final = 2000
"""So many tasks that were not known yet are taken up in one round."""
SHARE: Final = 100
"""A round is followed by so many times as long without one: that is what it costs."""


class _Loop:
    """A loop, and what is known of its tasks."""

    def __init__(self, ledger: Ledger) -> None:
        self.settled = Settled(ledger)
        self.next_ns = 0
        self.asked = False
        """It was asked for something, and has not answered yet."""


class Looks:
    """Looks at the loops of one session."""

    def __init__(
        self,
        deadlocks: Deadlocks,
        hung: HungTasks,
        forsaken: Forsaken,
        owners: Owners,
        returns: Returns,
        *,
        interval_s: float,
        clock: Callable[[], int] = time.monotonic_ns,
        cpu_clock: Callable[[], int] = time.thread_time_ns,
    ) -> None:
        self._deadlocks = deadlocks
        self._hung = hung
        self._forsaken = forsaken
        self._owners = owners
        self._returns = returns
        self._interval_ns = int(interval_s * 1e9)
        self._clock = clock
        self._cpu_clock = cpu_clock
        self._loops: dict[int, _Loop] = {}
        self.rounds = 0
        """How often the tasks of a loop were compared with what they were before."""

    def look(self, ledgers: Iterable[Ledger]) -> None:
        """Go on looking; several times a second."""
        try:
            self._look(list(ledgers), self._clock())
        except Exception as error:  # noqa: BLE001  # what else the pump does is to go on
            faults.add(error)

    def entries(self, ledger: Ledger) -> dict[int, Entry]:
        """The tasks of a loop that have not moved for a while, by their ids."""
        loop = self._loops.get(id(ledger))
        return {} if loop is None else loop.settled.entries

    def active(self) -> dict[str, int]:
        """How many findings there are at the moment that are not over, by kind."""
        deadlocks = self._deadlocks.active() + self._forsaken.active()
        return {names.DEADLOCKED: deadlocks, names.HUNG: self._hung.active()}

    def forget(self) -> None:
        """In a child process: the loops are the parent's."""
        self._loops = {}
        self._deadlocks.forget()
        self._forsaken.forget()
        self._hung.forget()

    def _look(self, ledgers: list[Ledger], now_ns: int) -> None:
        for key in self._loops.keys() - {id(ledger) for ledger in ledgers if not ledger.closed}:
            self._closed(self._loops.pop(key), now_ns)
        for ledger in ledgers:
            if ledger.closed:
                continue
            loop = self._loops.get(id(ledger))
            if loop is None:
                loop = self._loops[id(ledger)] = _Loop(ledger)
            if not loop.asked:
                self._look_at(loop, now_ns)

    def _look_at(self, loop: _Loop, now_ns: int) -> None:
        settled = loop.settled
        if now_ns >= loop.next_ns:
            before_ns = self._cpu_clock()
            settled.look(now_ns, older_ns=self._interval_ns, most=NEW)
            rest_ns = SHARE * (self._cpu_clock() - before_ns)
            loop.next_ns = now_ns + max(self._interval_ns, rest_ns)
            self.rounds += 1
            self._hung.look(settled, now_ns)
            self._deadlocks.look(settled, now_ns)
            self._forsaken.look(settled, now_ns)
        before_ns = self._cpu_clock()
        doubtful = self._deadlocks.consider(settled, now_ns) or self._forsaken.consider(settled, now_ns)
        loop.next_ns = max(loop.next_ns, now_ns + SHARE * (self._cpu_clock() - before_ns))
        if settled.fresh or doubtful is not None:
            self._ask(loop, doubtful)

    def _closed(self, loop: _Loop, now_ns: int) -> None:
        self._deadlocks.conclude(loop.settled, now_ns)
        self._forsaken.conclude(loop.settled, now_ns)
        self._hung.conclude(loop.settled)

    def _ask(self, loop: _Loop, doubtful: Callable[[Any], None] | None) -> None:
        loop.asked = True
        if not ask(loop.settled.ledger, partial(self._answer, loop, doubtful), self._returns):
            loop.asked = False

    # On the loop's thread.

    def _answer(self, loop: _Loop, doubtful: Callable[[Any], None] | None) -> None:
        try:
            settled = loop.settled
            running: Any = settled.ledger.loop()
            if running is None:
                return
            if doubtful is not None:
                doubtful(running)
            if settled.fresh:
                see(settled.fresh, running, self._owners)
                settled.seen += 1
        except Exception as error:  # noqa: BLE001  # ours, not the program's
            faults.add(error)
        finally:
            loop.asked = False
