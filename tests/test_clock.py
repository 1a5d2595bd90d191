"""A moment has one time of day, and follows a clock that is set."""

from __future__ import annotations

from aiotel._clock import Clock


def test_jitter_is_not_followed_and_a_clock_that_is_set_is() -> None:
    day = [1_000_000_000]
    clock = Clock(monotonic_ns=lambda: 0, time_ns=lambda: day[0])

    day[0] += 500
    clock.adjust()
    assert clock.wall_ns(7) == 1_000_000_007

    day[0] += 3_600_000_000_000
    clock.adjust()
    assert clock.wall_ns(7) == 3_601_000_000_507
