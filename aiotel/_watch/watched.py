"""One loop under watch: what is known of it from look to look."""

from __future__ import annotations

from collections import deque
from typing import Final

from .._inspect.glances import is_running
from .._ledger import Ledger
from .beats import Beat, Ended, Share
from .evidence import Rival
from .followed import Followed, threshold_ns_of
from .kernel import cpu_ns_of
from .lateness import Lateness
from .rivals import Rivals
from .victims import ready

__all__ = ["Watched"]

REFRESH_NS: Final = 1_000_000_000
"""How often it is asked what the loop calls slow."""
SHARES: Final = 8
"""How many of the last CPU times are remembered."""
ADAPTIVE_MOST_NS: Final = 1_000_000_000
"""A loop that is always slow is not to be got used to for ever."""
ADAPTIVE_LEAST_NS: Final = 50_000_000


class Watched:
    """A loop, how it is seen to go on, and the tick that takes long just now."""

    def __init__(
        self,
        ledger: Ledger,
        beat: Beat,
        rivals: Rivals,
        late: Lateness,
        *,
        threshold_ns: int | None,
        adaptive: bool,
    ) -> None:
        self.ledger = ledger
        self.beat = beat
        self.gone = False
        self.followed: Followed | None = None
        self.before: Followed | None = None
        """The one that was followed before: its end may not have been heard of yet."""
        self.p99_ns = 0
        """99 of 100 delays of this loop are shorter."""
        self._seen_cpu_ns = 0
        self.settled_ns = 0
        """When the last stall ended that was told."""
        self._fixed_ns = threshold_ns
        self._adaptive = adaptive
        self._rivals = rivals
        self._delays = [0] * 64
        """How many delays there were of so many bits."""
        self._refreshed_ns = 0
        self._since_ns = 0
        self._mark = self._delays_mark = 1
        self._late = late
        self._shares: deque[Share] = deque(maxlen=SHARES)
        self.refresh(0)

    def refresh(self, now_ns: int) -> None:
        """Ask again what is slow."""
        self._refreshed_ns = now_ns
        if self._adaptive:
            self.beat.threshold_ns = min(ADAPTIVE_MOST_NS, max(ADAPTIVE_LEAST_NS, 3 * self.p99_ns))
        else:
            self.beat.threshold_ns = self._fixed_ns or threshold_ns_of(self.ledger)

    def look(self, now_ns: int, process_ns: int) -> None:
        """See whether the loop goes on; where it has not for a while, look closer."""
        mark = self.beat.mark()
        if mark == self._mark and mark <= 0:  # it has had nothing to do all the time: the commonest case
            if self._shares:
                self._shares[-1].at_ns, self._shares[-1].process_ns = now_ns, process_ns
            return
        self._mark = mark
        if now_ns - self._refreshed_ns > REFRESH_NS:
            self.refresh(now_ns)
        self.beat.look(now_ns, self._late.held_ns)
        since_ns = self.beat.since_ns()
        if since_ns != self._since_ns or not since_ns:
            self._since_ns = since_ns
            self._share_now(now_ns, process_ns)
        if not since_ns and self._late.held_ns >= self.beat.threshold_ns:
            self._held(now_ns, self._late.held_ns)
        if since_ns:
            age_ns = now_ns - since_ns - self.excused_ns(since_ns, now_ns)
            if age_ns * 4 >= self.beat.threshold_ns:
                self._look_closer(since_ns, now_ns, age_ns)

    @property
    def cpu_ns(self) -> int:
        """CPU time of the loop's thread since the loop is watched."""
        counted_ns = self.beat.cpu_ns()
        return self._seen_cpu_ns if counted_ns is None else counted_ns

    @property
    def held_ns(self) -> int:
        """For how long the watchdog had to wait for the GIL when it woke last."""
        return self._late.held_ns

    def busiest(self) -> Rival | None:
        """The other thread that has used most of a CPU."""
        return self._rivals.busiest(self.beat.ident)

    @property
    def rests(self) -> bool:
        """Whether it was in no callback when it was looked at last."""
        return self._since_ns == 0

    def age_ns(self, now_ns: int) -> int:
        """For how long it has not gone on, or waited for something to do."""
        since_ns = self.beat.since_ns()
        return now_ns - since_ns if since_ns else 0

    def has_delays(self) -> bool:
        """Whether there is something to take: of a loop that rests there rarely is."""
        seen, self._delays_mark = self._delays_mark, self.beat.mark()
        return seen > 0 or seen != self._delays_mark

    def take_delays(self) -> tuple[int, int, list[int]]:
        """See `Beat.take_delays`. One thread at a time."""
        short, short_ns, longs = self.beat.take_delays()
        if self._adaptive:
            self._delays[0] += short
            for delay_ns in longs:
                self._delays[delay_ns.bit_length()] += 1
            self.p99_ns = _p99(self._delays)
        return short, short_ns, longs

    def stuck_ns(self, now_ns: int) -> int:
        """For how long it has not gone on, so far as it was a stall."""
        followed = self.followed
        if followed is None or followed.debugged or not followed.over_threshold:
            return 0
        if self.beat.since_ns() != followed.since_ns:
            return 0
        return now_ns - followed.since_ns - self.excused_ns(followed.since_ns, now_ns)

    def share_at(self, moment_ns: int) -> Share | None:
        """The CPU times that were seen last before this moment."""
        before = [share for share in list(self._shares) if share.at_ns <= moment_ns]
        return before[-1] if before else self.beat.first

    def excused_ns(self, from_ns: int, to_ns: int) -> int:
        """For how long the process was stopped meanwhile: that is nobody's stall."""
        return self._late.stopped_ns(from_ns, to_ns)

    def _held(self, now_ns: int, held_ns: int) -> None:
        """The GIL was held for long, and the loop goes on now: one that has to be asked shows nothing."""
        from_ns = max(now_ns - held_ns, self.settled_ns)
        before = self.share_at(from_ns)
        after = self._shares[-1] if self._shares else None
        if self.beat.times() is not None or before is None or after is None:
            return
        used_ns = (after.thread_ns or 0) - (before.thread_ns or 0)
        if now_ns - from_ns >= self.beat.threshold_ns and used_ns >= (now_ns - from_ns) / 2:
            self.beat.stalls.append(Ended(from_ns, now_ns, after.thread_ns or 0, ()))

    def _look_closer(self, since_ns: int, now_ns: int, age_ns: int) -> None:
        if not is_running(self.ledger.loop) or not self.beat.is_asked():
            self.beat.rest()
            return
        followed = self.followed
        if followed is None or followed.since_ns != since_ns:
            self.before = followed
            followed = self.followed = Followed(self.ledger, self.beat, since_ns)
        followed.held_ns += self._late.held_ns
        followed.glimpse(now_ns)
        if age_ns * 2 >= self.beat.threshold_ns:
            followed.sample(now_ns)
        if age_ns >= self.beat.threshold_ns and not followed.over_threshold:
            followed.over_threshold = True
            followed.rival = self.busiest()
            followed.waited = ready(self.ledger, followed.records.values())

    def _share_now(self, now_ns: int, process_ns: int) -> None:
        if not self.beat.native_id:
            return
        thread_ns = cpu_ns_of(self.beat.native_id)
        before = self._shares[-1].thread_ns if self._shares else None
        if thread_ns is not None and before is not None:
            self._seen_cpu_ns += max(0, thread_ns - before)
        self._shares.append(Share(now_ns, thread_ns, process_ns))


def _p99(counts: list[int]) -> int:
    """What 99 of 100 are shorter than."""
    left = sum(counts) / 100
    for bits in range(len(counts) - 1, 0, -1):
        left -= counts[bits]
        if left < 0:
            return 1 << bits
    return 0
