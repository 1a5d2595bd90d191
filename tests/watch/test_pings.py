"""The questions to a loop that has no selector, by an injected clock."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable

import pytest

from aiotel._borrowed import Returns
from aiotel._ledger import Ledger
from aiotel._record import AnyRecord
from aiotel._watch.pings import EVERY_NS, IDLE_NS, Pings

from .evidence import MS


class Loop:
    """Takes calls, and runs them when told to."""

    def __init__(self) -> None:
        self.running = True
        self.closed = False
        self.calls: list[Callable[[], None]] = []

    def is_running(self) -> bool:
        return self.running

    def call_soon_threadsafe(self, call: Callable[[], None]) -> None:
        if self.closed:
            raise RuntimeError("closed")
        self.calls.append(call)

    def answer(self) -> int:
        """Run what waits; gives how much that was."""
        calls, self.calls = self.calls, []
        for call in calls:
            call()
        return len(calls)


class Asked:
    """A loop that is asked, at a time that passes when it is told to."""

    def __init__(self, woken: Callable[[Ledger, int], Iterable[tuple[AnyRecord, int]]] | None = None) -> None:
        self.now_ns = 1000 * MS
        self.loop = Loop()
        self.ledger = Ledger(self.loop)  # type: ignore[arg-type]  # as much of a loop as is needed
        self.inside: tuple[object, int] | None = None
        """The callback that the loop is in."""
        self.pings = Pings(self.ledger, Returns(), woken=woken or (lambda *_: ()), clock=lambda: self.now_ns)
        self.pings._callback = lambda: self.inside  # type: ignore[method-assign]  # what the stack would show
        self.pings.threshold_ns = 100 * MS

    def look(self, after_ns: int = 0, held_ns: int = 0) -> int:
        """Look after so long; gives how many questions wait for an answer."""
        self.now_ns += after_ns
        self.pings.look(self.now_ns, held_ns)
        return len(self.loop.calls)

    def answer(self, after_ns: int = 0) -> None:
        self.now_ns += after_ns
        assert self.loop.answer() == 1


@pytest.fixture
def asked() -> Asked:
    asked = Asked()
    asked.look()
    asked.answer()
    return asked


def test_there_is_one_question_at_a_time(asked: Asked) -> None:
    assert [asked.look(IDLE_NS) for _ in range(10)] == [1] * 10


def test_a_loop_that_rests_is_asked_now_and_then_only(asked: Asked) -> None:
    assert IDLE_NS >= EVERY_NS >= 100 * MS
    assert [asked.look(IDLE_NS // 10) for _ in range(10)] == [0] * 9 + [1]


def test_a_loop_in_another_callback_each_time_is_asked_every_100_ms(asked: Asked) -> None:
    found = []
    for number in range(10):
        asked.inside = (object(), number)
        found.append(asked.look(EVERY_NS // 10))

    assert found == [0] * 9 + [1]


def test_a_loop_that_stays_in_one_callback_is_asked_at_once(asked: Asked) -> None:
    asked.inside = (object(), 1)

    assert [asked.look(10 * MS), asked.look(10 * MS)] == [0, 1]
    assert asked.pings.since_ns() == asked.now_ns - 10 * MS


def test_a_loop_that_does_not_run_is_not_asked(asked: Asked) -> None:
    asked.loop.running = False

    assert asked.look(10 * IDLE_NS) == 0
    assert asked.pings.since_ns() == 0


def test_a_loop_that_was_closed_is_not_asked(asked: Asked) -> None:
    asked.loop.closed = True

    assert asked.look(10 * IDLE_NS) == 0
    assert asked.pings.since_ns() == 0


def test_how_late_answers_are_is_the_delay(asked: Asked) -> None:
    asked.pings.take_delays()
    for late_ns in (3 * MS, 70 * MS):
        asked.look(IDLE_NS)
        asked.answer(late_ns)

    assert asked.pings.take_delays() == (0, 0, [3 * MS, 70 * MS])
    assert asked.pings.take_delays() == (0, 0, [])


def test_an_answer_as_late_as_the_threshold_is_a_stall(asked: Asked) -> None:
    asked.look(IDLE_NS)
    asked.answer(99 * MS)
    asked.look(IDLE_NS)
    sent_ns = asked.now_ns
    asked.answer(100 * MS)

    assert [(ended.from_ns, ended.to_ns) for ended in asked.pings.stalls] == [(sent_ns, sent_ns + 100 * MS)]


def test_a_stall_began_when_its_callback_was_first_seen(asked: Asked) -> None:
    asked.inside = (object(), 1)
    asked.look(10 * MS)
    first_ns = asked.now_ns
    asked.look(30 * MS)
    asked.answer(80 * MS)

    assert [(ended.from_ns, ended.to_ns) for ended in asked.pings.stalls] == [(first_ns, first_ns + 110 * MS)]


def test_a_callback_that_may_have_held_the_gil_began_before_that(asked: Asked) -> None:
    asked.inside = (object(), 1)
    asked.look(500 * MS, held_ns=400 * MS)

    assert asked.pings.since_ns() == asked.now_ns - 400 * MS


def test_a_loop_that_rested_while_another_thread_held_the_gil_is_not_stalled(asked: Asked) -> None:
    asked.look(IDLE_NS, held_ns=400 * MS)
    asked.answer(1 * MS)

    assert asked.pings.stalls == []


def test_a_question_that_a_stopped_loop_did_not_answer_tells_nothing(asked: Asked) -> None:
    asked.look(IDLE_NS)
    asked.loop.running = False
    asked.look(300 * MS)
    assert asked.pings.since_ns() == 0
    asked.loop.running = True
    asked.pings.take_delays()
    asked.answer(300 * MS)

    assert (asked.pings.stalls, asked.pings.take_delays()) == ([], (0, 0, []))
    assert asked.look(IDLE_NS) == 1


def test_who_was_to_be_woken_is_asked_for_when_it_ends() -> None:
    blocked: list[int] = []

    def woken(ledger: Ledger, blocked_ns: int) -> Iterable[tuple[AnyRecord, int]]:
        assert ledger is late.ledger
        blocked.append(blocked_ns)
        return ()

    late = Asked(woken)
    late.look(IDLE_NS)
    late.answer(150 * MS)

    assert blocked == [150 * MS]


def test_an_answer_after_detaching_does_nothing(asked: Asked) -> None:
    asked.pings.take_delays()
    asked.look(IDLE_NS)
    asked.pings.detach()
    assert asked.pings.since_ns() == 0
    asked.answer(500 * MS)

    assert (asked.pings.stalls, asked.pings.take_delays()) == ([], (0, 0, []))


def test_the_answer_says_which_thread_runs_the_loop() -> None:
    asked = Asked()
    asked.look(IDLE_NS)
    thread = threading.Thread(target=asked.answer)
    thread.start()
    thread.join()

    assert asked.pings.ident == thread.ident
    assert asked.pings.native_id == thread.native_id


def test_such_a_loop_does_not_say_what_it_does_with_its_time(asked: Asked) -> None:
    assert asked.pings.times() is None
