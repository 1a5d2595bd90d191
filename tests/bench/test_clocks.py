from __future__ import annotations

import gc

from tests.bench.clocks import Clock


def test_a_full_collection_is_kept_apart() -> None:
    with Clock() as clock:
        since_ns = clock.read_ns()
        gc.collect()
        lap = clock.lap(since_ns, 1)

    assert lap.full_us > lap.us


def test_a_young_collection_is_a_part_of_what_is_measured() -> None:
    with Clock() as clock:
        since_ns = clock.read_ns()
        gc.collect(0)
        lap = clock.lap(since_ns, 1)

    assert 0.0 == lap.full_us
    assert lap.us > 0


def test_a_clock_that_has_stopped_is_not_told_of_collections() -> None:
    before = list(gc.callbacks)
    with Clock():
        during = len(gc.callbacks)

    assert (len(before) + 1, before) == (during, gc.callbacks)
