"""Why the watchdog woke late, from numbers made by hand."""

from __future__ import annotations

import sys

import pytest

from aiotel._watch.lateness import WORTH_NS, Lateness

from .evidence import MS

START_NS = 1000 * MS


class Machine:
    """What the system says of the watchdog's thread and of the process."""

    def __init__(self) -> None:
        self.switches: int | None = 0
        self.process_ns = self.queued_ns = 0
        self.late = Lateness(
            own_switches=lambda: self.switches,
            process_ns=lambda: self.process_ns,
            queued_ns=lambda: self.queued_ns,
        )
        self.late.begin(START_NS)
        self.wake(START_NS, 0)

    def wake(
        self, due_ns: int, late_ns: int, *, switches: int = 1, ran_ns: int = 0, queued_ns: int = 0
    ) -> int:
        """Wake so late, after so much; gives when."""
        self.switches = None if self.switches is None else self.switches + switches
        self.process_ns += ran_ns
        self.queued_ns += queued_ns
        self.late.woke(due_ns, due_ns + late_ns)
        return due_ns + late_ns


@pytest.fixture
def machine() -> Machine:
    return Machine()


def switches_of(late_ns: int) -> int:
    """How often a thread looks for the GIL in that time."""
    return int(late_ns / 1e9 / sys.getswitchinterval())


def test_who_wakes_in_time_was_neither_held_up_nor_stopped(machine: Machine) -> None:
    machine.wake(START_NS, WORTH_NS)

    assert (machine.late.held_ns, machine.late.stopped_ns(0, 2 * START_NS)) == (0, 0)


def test_who_looked_for_the_gil_all_the_time_was_held_up(machine: Machine) -> None:
    machine.wake(START_NS, 500 * MS, switches=switches_of(500 * MS))

    assert (machine.late.held_ns, machine.late.stopped_ns(0, 2 * START_NS)) == (500 * MS, 0)


def test_a_hold_up_is_forgotten_at_the_next_wake_up(machine: Machine) -> None:
    machine.wake(START_NS, 500 * MS, switches=switches_of(500 * MS))
    machine.wake(START_NS + 600 * MS, 0)

    assert machine.late.held_ns == 0


def test_who_did_not_look_for_it_was_stopped(machine: Machine) -> None:
    machine.wake(START_NS, 500 * MS)

    assert (machine.late.held_ns, machine.late.stopped_ns(0, 2 * START_NS)) == (0, 500 * MS)


def test_what_was_waited_for_before_is_not_taken_for_this_wait(machine: Machine) -> None:
    for _ in range(10):
        machine.wake(START_NS, 0, switches=20)
    machine.wake(START_NS, 500 * MS)

    assert machine.late.stopped_ns(0, 2 * START_NS) == 500 * MS


def test_who_stood_in_the_queue_for_a_cpu_was_neither(machine: Machine) -> None:
    machine.wake(START_NS, 500 * MS, queued_ns=400 * MS)

    assert (machine.late.held_ns, machine.late.stopped_ns(0, 2 * START_NS)) == (0, 0)


def test_a_process_that_used_a_cpu_was_not_stopped(machine: Machine) -> None:
    machine.wake(START_NS, 500 * MS, ran_ns=200 * MS)

    assert (machine.late.held_ns, machine.late.stopped_ns(0, 2 * START_NS)) == (0, 0)


def test_a_queue_of_long_ago_does_not_count(machine: Machine) -> None:
    now_ns = START_NS
    for _ in range(20):
        now_ns = machine.wake(now_ns + 200 * MS, 0, queued_ns=30 * MS)
    machine.wake(now_ns, 500 * MS)

    assert machine.late.stopped_ns(0, now_ns + 500 * MS) == 500 * MS


def test_a_process_stopped_before_the_thread_ever_woke() -> None:
    late = Lateness(own_switches=lambda: 1, process_ns=lambda: 700 * MS, queued_ns=lambda: 0)
    late.begin(START_NS)
    late.woke(START_NS, START_NS + 500 * MS)

    assert late.stopped_ns(0, 2 * START_NS) == 500 * MS


@pytest.mark.parametrize(("ran_ns", "held_ns", "stopped_ns"), [(450, 500, 0), (10, 0, 500)])
def test_where_waits_are_not_counted_cpu_time_tells(ran_ns: int, held_ns: int, stopped_ns: int) -> None:
    machine = Machine()
    machine.switches = None
    machine.wake(START_NS, 500 * MS, ran_ns=ran_ns * MS)

    found = machine.late.held_ns, machine.late.stopped_ns(0, 2 * START_NS)
    assert found == (held_ns * MS, stopped_ns * MS)


def test_only_what_is_between_two_moments_was_a_stop_then(machine: Machine) -> None:
    machine.wake(START_NS, 500 * MS)
    machine.wake(START_NS + 2000 * MS, 100 * MS)

    assert machine.late.stopped_ns(START_NS + 400 * MS, START_NS + 2050 * MS) == 150 * MS
    assert machine.late.stopped_ns(START_NS + 600 * MS, START_NS + 1900 * MS) == 0


def test_stops_are_bounded(machine: Machine) -> None:
    for number in range(1000):
        machine.wake(START_NS + number * 1000 * MS, 10 * MS)

    assert machine.late.stopped_ns(0, START_NS * 2000) <= 64 * 10 * MS


def test_another_thread_guesses_only_what_it_can_know(machine: Machine) -> None:
    assert machine.late.guess(WORTH_NS)
    assert not machine.late.guess(100 * MS)
    machine.process_ns += 90 * MS
    assert machine.late.guess(100 * MS)
    assert machine.late.held_ns == 100 * MS


def test_a_process_that_was_stopped_during_a_look_was_stopped(machine: Machine) -> None:
    machine.late.looked(START_NS, START_NS + 500 * MS)

    assert machine.late.stopped_ns(0, 2 * START_NS) == 500 * MS


def test_a_look_that_others_held_up_is_no_stop(machine: Machine) -> None:
    machine.process_ns += 400 * MS
    machine.late.looked(START_NS, START_NS + 500 * MS)
    machine.process_ns -= 400 * MS
    machine.queued_ns += 400 * MS
    machine.late.looked(START_NS, START_NS + 500 * MS)

    assert machine.late.stopped_ns(0, 2 * START_NS) == 0
