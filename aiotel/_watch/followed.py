"""Follow one tick of a loop that takes long: look now and then, and keep what was seen."""

from __future__ import annotations

from operator import attrgetter
from typing import Final

from .._inspect.glances import glance, size_of, task_id_of
from .._inspect.plumbing import is_debugger
from .._inspect.stacks import Place, stack_of
from .._ledger import Ledger
from .._record import AnyRecord
from ..observations import Stall
from .beats import Beat
from .culprits import from_callback
from .evidence import Glimpse, Rival, Sample
from .kernel import Usage, call_of, usage_of

__all__ = ["Followed", "threshold_ns_of"]

SAMPLES: Final = 12
"""How often a stack is looked at: at half the threshold, at the threshold, at doubling times."""
GLIMPSES: Final = 400
DEPTH: Final = 200


class Followed:
    """A tick that is followed, and is a stall once it has taken as long as the threshold."""

    def __init__(self, ledger: Ledger, beat: Beat, since_ns: int) -> None:
        self.since_ns = since_ns
        self.as_told: Stall | None = None
        self.announced = False
        """A log was told while it lasts, and not only a number."""
        self.over_threshold = False
        self.debugged = False
        """A debugger has stopped it: whoever sits there knows."""
        self.held_ns = 0
        self.rival: Rival | None = None
        self.records: dict[int, AnyRecord] = {}
        """Of the tasks that were seen to run, by the task's id; of eager tasks in their first steps, too."""
        self.waited: list[AnyRecord] = []
        self.samples: list[Sample] = []
        self.glimpses: list[Glimpse] = []
        self.queued: Usage | None = None
        self._queued_at_ns = 0
        self._ledger = ledger
        self._beat = beat
        self._next_ns = 0

    def glimpse(self, now_ns: int) -> None:
        """See which task runs, and how many callbacks are still to be run."""
        if len(self.glimpses) < GLIMPSES:
            self.glimpses.append(Glimpse(now_ns, task_id_of(self._ledger.loop), _waiting(self._ledger)))

    def sample(self, now_ns: int) -> bool:
        """Look at the stack, where it is time to."""
        if now_ns < self._next_ns or len(self.samples) >= SAMPLES or not self._beat.ident:
            return False
        self._next_ns = now_ns + max(1, now_ns - self.since_ns)
        task_id, stack = self._see()
        if self._beat.since_ns() != self.since_ns:
            return False  # it is over, and what was seen is of the next
        record = self._record_of(task_id)
        if record is not None:
            self.records[task_id] = record
        if not self.samples:
            self.queued, self._queued_at_ns = usage_of(self._beat.native_id), now_ns
        call = call_of(self._beat.native_id)
        # To read it, the GIL is let go of: the loop may have gone on meanwhile, to wait for something to do.
        call = call if self._beat.since_ns() == self.since_ns else None
        self.samples.append(Sample(now_ns, stack, call, task_id))
        self.debugged = self.debugged or any(is_debugger(place.module) for place in stack)
        return True

    def _see(self) -> tuple[int, tuple[Place, ...]]:
        """Which task runs, and where it is; seen again where another one may have begun in between."""
        task_id, stack = task_id_of(self._ledger.loop), stack_of(self._beat.ident, DEPTH)
        if task_id_of(self._ledger.loop) != task_id:
            task_id, stack = task_id_of(self._ledger.loop), stack_of(self._beat.ident, DEPTH)
        return task_id, from_callback(stack, self._beat.base_depth)

    def since_first(self, now_ns: int) -> tuple[int, float] | None:
        """Since the first look: how long the thread waited for a CPU, and how often a second it got one."""
        before = self.queued
        after = None if before is None else usage_of(self._beat.native_id)
        if before is None or after is None:
            return None
        # Where the first look came late, what it saw was the end, at which any thread asks for the GIL.
        seconds = max(1, now_ns - self._queued_at_ns, (now_ns - self.since_ns) // 2) / 1e9
        return after.queued_ns - before.queued_ns, (after.turns - before.turns) / seconds

    def _record_of(self, task_id: int) -> AnyRecord | None:
        found = self._ledger.live.get(task_id) if task_id else None
        if found is None and task_id and self._ledger.starting is not None:
            return self._ledger.starting_record  # type: ignore[no-any-return]  # a record, or None
        return found


def _waiting(ledger: Ledger) -> int:
    return size_of(ledger.loop, "_ready") or 0  # uvloop does not show them


def threshold_ns_of(ledger: Ledger) -> int:
    """What the loop itself calls slow."""
    try:
        return max(1_000_000, int(glance(ledger.loop, attrgetter("slow_callback_duration")) * 1e9))
    except (AttributeError, TypeError, ValueError, OverflowError):
        return 100_000_000
