"""One loop from look to look, by a beat made by hand."""

from __future__ import annotations

import pytest

from aiotel._ledger import Ledger
from aiotel._measured import Times
from aiotel._watch.beats import Ended, Share
from aiotel._watch.lateness import Lateness
from aiotel._watch.rivals import Rivals
from aiotel._watch.watched import ADAPTIVE_LEAST_NS, REFRESH_NS, Watched

from .evidence import MS


class Beat:
    """Says what it is told to."""

    def __init__(self) -> None:
        self.ident = self.native_id = 0
        self.base_depth: int | None = None
        self.first: Share | None = None
        self.threshold_ns = 0
        self.stalls: list[Ended] = []
        self.now_since_ns = 0
        self.marked = 1
        self.delays: tuple[int, int, list[int]] = (0, 0, [])
        self.looks: list[tuple[int, int]] = []

    def mark(self) -> int:
        return self.marked

    def look(self, now_ns: int, held_ns: int) -> None:
        self.looks.append((now_ns, held_ns))

    def turned(self) -> None:
        pass

    def is_asked(self) -> bool:
        return True

    def cpu_ns(self) -> int | None:
        return None

    def rest(self) -> None:
        self.now_since_ns = 0

    def since_ns(self) -> int:
        return self.now_since_ns

    def take_delays(self) -> tuple[int, int, list[int]]:
        found, self.delays = self.delays, (0, 0, [])
        return found

    def times(self) -> Times | None:
        return Times(0, 0, 0)

    def detach(self) -> None:
        pass


class Loop:
    """As much of a loop as is looked at."""

    slow_callback_duration: object = 0.1

    def is_running(self) -> bool:
        return True


class Under:
    """A loop under watch, at a time that passes when it is told to."""

    def __init__(self, threshold_ns: int | None = 100 * MS, *, adaptive: bool = False) -> None:
        self.now_ns = 1000 * MS
        self.loop = Loop()
        self.beat = Beat()
        self.late = Lateness(own_switches=lambda: 0, process_ns=lambda: 0, queued_ns=lambda: 0)
        self.watched = Watched(
            Ledger(self.loop),  # type: ignore[arg-type]  # see above
            self.beat,
            Rivals(),
            self.late,
            threshold_ns=threshold_ns,
            adaptive=adaptive,
        )

    def look(self, after_ns: int = 0) -> None:
        """Look after so long."""
        self.now_ns += after_ns
        self.watched.look(self.now_ns, 0)

    def delay(self, short: int, *longs_ns: int) -> int:
        """Have these delays taken; gives what is slow from then on."""
        self.beat.delays = (short, 0, list(longs_ns))
        self.watched.take_delays()
        self.watched.refresh(self.now_ns)
        return self.beat.threshold_ns


def test_what_is_slow_is_what_was_asked_for() -> None:
    assert Under(70 * MS).beat.threshold_ns == 70 * MS


def test_or_else_what_the_loop_calls_slow() -> None:
    under = Under(None)
    assert under.beat.threshold_ns == 100 * MS
    under.loop.slow_callback_duration = 0.25
    under.look()
    assert under.beat.threshold_ns == 100 * MS
    under.look(REFRESH_NS + 1)

    assert under.beat.threshold_ns == 250 * MS


@pytest.mark.parametrize("nonsense", [None, "slow", float("nan"), float("inf"), [], object()])
def test_nonsense_is_a_tenth_of_a_second(nonsense: object) -> None:
    under = Under(None)
    under.loop.slow_callback_duration = nonsense
    under.watched.refresh(0)

    assert under.beat.threshold_ns == 100 * MS


@pytest.mark.parametrize("nothing", [0, 0.0, -1])
def test_a_loop_that_calls_everything_slow_has_the_least_that_can_be_seen(nothing: float) -> None:
    under = Under(None)
    under.loop.slow_callback_duration = nothing
    under.watched.refresh(0)

    assert under.beat.threshold_ns == 1 * MS


def test_adaptive_is_50_ms_at_least() -> None:
    assert Under(None, adaptive=True).beat.threshold_ns == ADAPTIVE_LEAST_NS == 50 * MS
    assert Under(None, adaptive=True).delay(1000) == 50 * MS


def test_adaptive_is_three_times_what_99_of_100_delays_are_shorter_than() -> None:
    p99_ns = 1 << (40 * MS).bit_length()

    assert Under(None, adaptive=True).delay(0, *[40 * MS] * 200) == 3 * p99_ns


def test_one_delay_in_a_hundred_does_not_count() -> None:
    assert Under(None, adaptive=True).delay(199, 500 * MS) == 50 * MS
    assert Under(None, adaptive=True).delay(97, *[300 * MS] * 3) > 500 * MS


def test_a_loop_that_is_always_slow_is_not_got_used_to() -> None:
    assert Under(None, adaptive=True).delay(0, *[5000 * MS] * 100) == 1000 * MS


def test_a_tick_is_looked_at_closer_from_a_quarter_of_the_threshold_on() -> None:
    under = Under()
    under.beat.now_since_ns = under.now_ns
    under.look(24 * MS)
    early = under.watched.followed
    under.look(1 * MS)
    followed = under.watched.followed
    assert early is None
    assert followed is not None
    seen = []
    for after_ns in (74 * MS, 1 * MS):
        under.look(after_ns)
        seen.append(followed.over_threshold)

    assert under.watched.followed is followed
    assert seen == [False, True]
    assert under.watched.stuck_ns(under.now_ns) == 100 * MS
    assert [glimpse.at_ns for glimpse in followed.glimpses] == [
        followed.since_ns + after * MS for after in (25, 99, 100)
    ]


def test_the_next_tick_is_another_and_the_last_is_remembered() -> None:
    under = Under()
    under.beat.now_since_ns = under.now_ns
    under.look(150 * MS)
    first = under.watched.followed
    under.beat.now_since_ns = under.now_ns
    assert under.watched.stuck_ns(under.now_ns) == 0
    under.look(30 * MS)

    assert (under.watched.before, under.watched.followed is first) == (first, False)
    assert under.watched.stuck_ns(under.now_ns) == 0


def test_a_loop_that_rests_is_not_looked_at_closer() -> None:
    under = Under()
    under.look(500 * MS)

    assert under.watched.followed is None
    assert under.watched.rests
    assert under.watched.age_ns(under.now_ns) == 0


def test_the_time_that_the_process_was_stopped_does_not_count() -> None:
    under = Under()
    under.late.begin(under.now_ns)
    under.beat.now_since_ns = under.now_ns
    under.late.woke(under.now_ns + 10 * MS, under.now_ns + 510 * MS)
    under.look(520 * MS)
    assert under.watched.excused_ns(0, under.now_ns) == 500 * MS
    assert under.watched.followed is None
    under.look(100 * MS)

    assert under.watched.stuck_ns(under.now_ns) == 120 * MS


def test_a_loop_that_had_nothing_to_do_all_the_time_costs_one_question() -> None:
    under = Under()
    under.beat.marked = -5
    under.look()
    assert len(under.beat.looks) == 1
    for _ in range(10):
        under.look(25 * MS)

    assert len(under.beat.looks) == 1
