"""The pauses of the garbage collector, by an injected clock."""

from __future__ import annotations

import gc

import pytest

from aiotel._watch.pauses import KEPT, Pauses

from .evidence import MS


class Collector:
    """Collects when told, for as long as told, at a time of its own."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now_ns = 0
        self.callbacks: list[object] = []
        monkeypatch.setattr(gc, "callbacks", self.callbacks)
        self.pauses = Pauses(lambda: self.now_ns)

    def collect(self, at_ns: int, for_ns: int) -> None:
        for phase, now_ns in (("start", at_ns), ("stop", at_ns + for_ns)):
            self.now_ns = now_ns
            for callback in self.callbacks:
                callback(phase, {})  # type: ignore[operator]  # as the collector does


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Collector:
    return Collector(monkeypatch)


def test_what_of_a_pause_is_within_two_moments_counts(collector: Collector) -> None:
    collector.pauses.attach()
    collector.collect(100 * MS, 50 * MS)
    collector.collect(300 * MS, 10 * MS)

    assert collector.pauses.within_ns(0, 1000 * MS) == 60 * MS
    assert collector.pauses.within_ns(120 * MS, 305 * MS) == 35 * MS
    assert collector.pauses.within_ns(150 * MS, 300 * MS) == 0


def test_a_pause_that_began_before_anybody_was_told_is_not_remembered(collector: Collector) -> None:
    collector.pauses.attach()
    collector.now_ns = 500 * MS
    collector.callbacks[0]("stop", {})  # type: ignore[operator]  # as the collector does

    assert collector.pauses.within_ns(0, 1000 * MS) == 0


def test_short_pauses_are_not_remembered(collector: Collector) -> None:
    collector.pauses.attach()
    collector.collect(100 * MS, MS // 2)

    assert collector.pauses.within_ns(0, 1000 * MS) == 0


def test_only_the_last_pauses_are_remembered(collector: Collector) -> None:
    collector.pauses.attach()
    for number in range(2 * KEPT):
        collector.collect(number * 10 * MS, 2 * MS)

    assert collector.pauses.within_ns(0, 1 << 62) == KEPT * 2 * MS


def test_attaching_twice_is_harmless(collector: Collector) -> None:
    collector.pauses.attach()
    collector.pauses.attach()
    assert len(collector.callbacks) == 1
    collector.pauses.detach()
    collector.pauses.detach()

    assert collector.callbacks == []


def test_a_real_collection_is_seen() -> None:
    pauses = Pauses()
    pauses.attach()
    junk = [[[number]] for number in range(200_000)]
    gc.collect()
    pauses.detach()

    assert pauses.within_ns(0, 1 << 62) > 0
    assert len(junk) == 200_000
