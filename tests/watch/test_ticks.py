"""The ticks of a loop, by an injected clock: what is counted, and what stands on whose selector."""

from __future__ import annotations

import asyncio
import gc
import selectors
import weakref
from collections.abc import Callable, Iterable
from typing import Any

import pytest

from aiotel._faults import faults
from aiotel._measured import Times
from aiotel._record import AnyRecord
from aiotel._watch.ticks import SHORT_NS, Ticks

from .evidence import MS


class Clock:
    """A time that passes when it is told to."""

    def __init__(self) -> None:
        self.now_ns = 1000 * MS

    def __call__(self) -> int:
        return self.now_ns


class Selector:
    """Waits as long as it is told, on a clock of its own."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.waits_ns = 0
        self.inside: Callable[[], None] = lambda: None

    def select(self, timeout: float | None = None) -> list[object]:
        self.inside()
        self.clock.now_ns += self.waits_ns
        return []


class Loop:
    """As much of a loop as is hooked, run by hand."""

    def __init__(self) -> None:
        self._selector = Selector()
        self._running = False
        self.turned: Callable[[], None] = lambda: None

    def is_running(self) -> bool:
        return self._running

    def start(self) -> None:
        self.turned()
        self._running = True

    def stop(self) -> None:
        self._running = False
        self.turned()

    def tick(self, active_ns: int, idle_ns: int = 0, *, timeout: float | None = None) -> None:
        """Run callbacks for so long, then look at the selector."""
        self._selector.clock.now_ns += active_ns
        self._selector.waits_ns = idle_ns
        self._selector.select(timeout)


def watched(sleepers: Callable[[int], Iterable[tuple[AnyRecord, int]]] = lambda _: ()) -> tuple[Loop, Ticks]:
    """A loop, and its ticks."""
    loop = Loop()
    ticks = Ticks(loop, loop._selector, sleepers=sleepers, clock=loop._selector.clock)
    loop.turned = ticks.turned
    return loop, ticks


def test_active_and_idle_time_and_iterations() -> None:
    loop, ticks = watched()
    loop.start()
    loop.tick(3 * MS, 5 * MS)
    loop.tick(2 * MS, 7 * MS)
    loop.tick(1 * MS, timeout=0)
    loop.stop()

    assert ticks.times() == Times(active_ns=6 * MS, idle_ns=12 * MS, iterations=4)


def test_what_lasts_counts_up_to_now() -> None:
    loop, ticks = watched()
    loop.start()
    loop._selector.clock.now_ns += 4 * MS

    assert ticks.times() == Times(active_ns=4 * MS, idle_ns=0, iterations=0)
    seen: list[Times] = []
    loop._selector.inside = lambda: seen.append(ticks.times())
    loop.tick(0, 9 * MS)
    assert seen == [Times(active_ns=4 * MS, idle_ns=0, iterations=1)]


def test_time_between_two_runs_is_neither() -> None:
    loop, ticks = watched()
    for _ in range(2):
        loop.start()
        loop.tick(3 * MS, 5 * MS)
        loop.stop()
        loop._selector.clock.now_ns += 1000 * MS
        assert ticks.since_ns() == 0

    assert ticks.times() == Times(active_ns=6 * MS, idle_ns=10 * MS, iterations=4)
    assert ticks.stalls == []


def test_since_when_a_tick_lasts_is_told_and_nothing_while_the_loop_waits() -> None:
    loop, ticks = watched()
    loop.start()
    began_ns = loop._selector.clock.now_ns
    loop._selector.clock.now_ns += 30 * MS
    assert ticks.since_ns() == began_ns
    seen: list[int] = []
    loop._selector.inside = lambda: seen.append(ticks.since_ns())
    loop.tick(0, 5 * MS)
    woke_ns = loop._selector.clock.now_ns
    assert ticks.since_ns() == woke_ns
    loop.tick(8 * MS, timeout=0)

    assert seen == [0, woke_ns + 8 * MS]


def test_short_ticks_are_counted_together_and_long_ones_told_apart() -> None:
    loop, ticks = watched()
    loop.start()
    loop.tick(SHORT_NS, 5 * MS)
    loop.tick(SHORT_NS // 2, 5 * MS)
    loop.tick(7 * MS, 5 * MS)

    assert ticks.take_delays() == (2, SHORT_NS + SHORT_NS // 2, [7 * MS])
    assert ticks.take_delays() == (0, 0, [])
    loop.tick(SHORT_NS // 4)
    assert ticks.take_delays() == (1, SHORT_NS // 4, [])


def test_a_tick_as_long_as_the_threshold_is_a_stall() -> None:
    loop, ticks = watched()
    ticks.threshold_ns = 100 * MS
    loop.start()
    loop.tick(99 * MS)
    began_ns = loop._selector.clock.now_ns
    loop.tick(100 * MS)

    assert [(ended.from_ns, ended.to_ns) for ended in ticks.stalls] == [(began_ns, began_ns + 100 * MS)]


def test_a_stall_before_the_loop_stops_counts() -> None:
    loop, ticks = watched()
    ticks.threshold_ns = 100 * MS
    loop.start()
    loop.tick(1 * MS)
    loop._selector.clock.now_ns += 200 * MS
    loop.stop()

    assert [ended.to_ns - ended.from_ns for ended in ticks.stalls] == [200 * MS]


def test_who_slept_too_long_is_asked_for_when_it_ends() -> None:
    asked: list[int] = []

    def sleepers(blocked_ns: int) -> Iterable[tuple[AnyRecord, int]]:
        asked.append(blocked_ns)
        return ()

    loop, ticks = watched(sleepers)
    ticks.threshold_ns = 100 * MS
    loop.start()
    loop.tick(50 * MS)
    loop.tick(150 * MS)

    assert asked == [150 * MS]


def test_stalls_that_nobody_takes_are_bounded() -> None:
    loop, ticks = watched()
    ticks.threshold_ns = 1 * MS
    loop.start()
    for _ in range(1000):
        loop.tick(2 * MS)

    assert len(ticks.stalls) == 64


def test_a_fault_of_ours_is_counted_and_the_loop_goes_on() -> None:
    def fails(blocked_ns: int) -> Iterable[tuple[AnyRecord, int]]:
        raise RuntimeError(str(blocked_ns))

    loop, ticks = watched(fails)
    ticks.threshold_ns = 1 * MS
    loop.start()
    loop.tick(2 * MS)

    assert [text.partition(" at ")[0] for text in faults.latest] == ["RuntimeError: 2000000"]
    faults.count -= 1
    faults.latest.clear()


def test_an_exception_out_of_the_selector_passes_and_the_tick_begins() -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    loop, ticks = watched()
    loop.start()
    loop._selector.inside = interrupt
    with pytest.raises(KeyboardInterrupt):
        loop.tick(5 * MS)

    assert ticks.since_ns() == loop._selector.clock.now_ns
    assert ticks.times().active_ns == 5 * MS


def test_detaching_restores_what_was_found() -> None:
    loop, ticks = watched()
    assert "select" in vars(loop._selector)
    ticks.detach()
    ticks.detach()

    assert "select" not in vars(loop._selector)


def test_who_wrapped_select_meanwhile_is_left_alone_and_ours_passes_on() -> None:
    loop, ticks = watched()
    ours, calls = loop._selector.select, []

    def theirs(timeout: float | None = None) -> list[object]:
        calls.append(timeout)
        return ours(timeout)

    loop._selector.select = theirs  # type: ignore[method-assign]  # as some tool may
    ticks.detach()
    loop.start()
    loop.tick(1 * MS, timeout=2.5)

    assert calls == [2.5]
    assert loop._selector.select is theirs


def test_the_arguments_and_the_result_of_select_are_handed_on() -> None:
    class Exact(Selector):
        def select(self, timeout: float | None = None) -> Any:
            return timeout

    loop = Loop()
    loop._selector = Exact()
    Ticks(loop, loop._selector, sleepers=lambda _: ())

    assert [loop._selector.select(timeout) for timeout in (None, 0, 0.5, -1)] == [None, 0, 0.5, -1]
    assert loop._selector.select() is None


@pytest.mark.parametrize("started", [True, False])
def test_neither_loop_nor_selector_is_kept_alive(started: bool) -> None:
    loop, ticks = watched()
    references = weakref.ref(loop), weakref.ref(loop._selector)
    if started:
        loop.start()
        loop.tick(1 * MS)
        loop.stop()
    del loop
    gc.collect()

    assert [reference() for reference in references] == [None, None]
    ticks.detach()
    assert ticks.since_ns() == 0


def test_a_loop_without_a_selector_is_refused() -> None:
    loop = Loop()
    with pytest.raises(TypeError):
        Ticks(loop, None, sleepers=lambda _: ())


def test_a_loop_that_runs_already_in_a_way_of_its_own_is_counted_once_it_asks_its_selector() -> None:
    loop = Loop()
    loop.start()
    ticks = Ticks(loop, loop._selector, sleepers=lambda _: (), clock=loop._selector.clock)
    loop.turned = ticks.turned
    assert ticks.since_ns() == 0
    loop.tick(2 * MS, 3 * MS)
    loop.stop()

    assert ticks.times() == Times(active_ns=0, idle_ns=3 * MS, iterations=2)


def test_a_loop_that_runs_already_is_counted_at_once() -> None:
    async def main() -> int:
        loop: Any = asyncio.get_running_loop()
        ticks = Ticks(loop, loop._selector, sleepers=lambda _: ())
        try:
            return ticks.since_ns()
        finally:
            ticks.detach()

    assert asyncio.run(main()) > 0


def test_who_comes_back_late_from_waiting_for_a_time_was_ready_before() -> None:
    loop, ticks = watched()
    ticks.threshold_ns = 100 * MS
    loop.start()
    loop.tick(1 * MS, 500 * MS, timeout=0.1)
    loop.tick(1 * MS, 5 * MS, timeout=1.0)

    [ended] = ticks.stalls
    assert ended.to_ns - ended.from_ns == 401 * MS
    assert ticks.times().idle_ns == 105 * MS


def test_a_selector_that_was_replaced_is_not_what_the_loop_asks() -> None:
    loop, ticks = watched()
    assert ticks.is_asked()
    loop._selector = Selector()

    assert not ticks.is_asked()


def test_debug_mode_that_is_switched_while_the_loop_runs_is_no_stop() -> None:
    loop, ticks = watched()
    loop.start()
    loop.turned()
    loop.tick(2 * MS, 3 * MS)

    assert ticks.times() == Times(active_ns=2 * MS, idle_ns=3 * MS, iterations=1)


def test_a_real_loop_runs_and_ends_as_ever() -> None:
    loop = asyncio.new_event_loop()
    ticks = Ticks(loop, loop._selector, sleepers=lambda _: ())  # type: ignore[attr-defined]  # a stdlib loop's
    try:
        for _ in range(3):
            ticks.turned()
            loop.run_until_complete(asyncio.sleep(0.001))
            ticks.turned()
            assert ticks.since_ns() == 0
        assert ticks.times().iterations >= 6
    finally:
        ticks.detach()
        loop.close()


@pytest.mark.parametrize("kind", [selectors.SelectSelector, selectors.PollSelector, selectors.EpollSelector])
def test_every_selector_takes_the_hook(kind: Callable[[], selectors.BaseSelector]) -> None:
    loop = asyncio.SelectorEventLoop(kind())
    ticks = Ticks(loop, loop._selector, sleepers=lambda _: ())  # type: ignore[attr-defined]  # a stdlib loop's
    loop.run_until_complete(asyncio.sleep(0))
    loop.close()

    assert ticks.times().iterations > 0
