from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from aiotel._detectors.deadlock import check
from aiotel._snapshot import Deadlock, Snapshot, State, TaskView

from .graphs import held, lock, snapshot, task, waits

A, B = lock(101), lock(102)


def test_two_tasks_that_hold_what_the_other_wants_are_deadlocked() -> None:
    found = check(snapshot(task(1, waits(B), held(A)), task(2, waits(A), held(B))))

    assert (Deadlock(cycle=(1, 2), certain=False, waits=((102,), (101,))),) == found


def test_a_task_that_wants_what_it_holds_waits_for_itself() -> None:
    found = check(snapshot(task(1, waits(A), held(A, certain=True))))

    assert (Deadlock(cycle=(1,), certain=True, waits=((101,),)),) == found


def test_a_task_may_have_all_permits_and_want_one_more() -> None:
    pool = lock(103, limit=2)

    assert ((1,),) == _cycles(snapshot(task(1, waits(pool), held(pool), held(pool))))


@pytest.mark.parametrize("holders", [1, 3])
def test_a_semaphore_with_another_number_of_holders_than_permits_tells_nothing(holders: int) -> None:
    pool = lock(103, limit=2)

    assert () == check(snapshot(*(task(number, waits(pool), held(pool)) for number in range(holders))))


def test_a_semaphore_whose_limit_is_not_known_tells_nothing() -> None:
    pool = lock(103, limit=None)

    assert () == check(snapshot(task(1, waits(pool), held(pool))))


def test_tasks_that_await_each_other_are_deadlocked_for_certain() -> None:
    found = check(snapshot(task(1, waits([2], "task")), task(2, waits([1], "task"))))

    assert (Deadlock(cycle=(1, 2), certain=True, waits=((2,), (1,))),) == found


def test_those_behind_a_deadlock_are_told_nearest_first() -> None:
    found = check(
        snapshot(
            task(1, waits(B), held(A)),
            task(2, waits(A), held(B)),
            task(3, waits([4], "task")),
            task(4, waits(A)),
        )
    )

    assert [((1, 2), (4, 3))] == [(deadlock.cycle, deadlock.victims) for deadlock in found]


def test_two_deadlocks_are_two_findings_and_who_waits_for_both_is_told_once() -> None:
    found = check(
        snapshot(
            task(1, waits([2])), task(2, waits([1])), task(3, waits([4])), task(4, waits([3])),
            task(5, waits([1, 3])),
        )
    )  # fmt: skip

    assert [((1, 2), (5,)), ((3, 4), ())] == [(deadlock.cycle, deadlock.victims) for deadlock in found]


@pytest.mark.parametrize("state", ["running", "ready", "not started"])
def test_a_holder_that_could_go_on_is_no_deadlock(state: State) -> None:
    assert () == check(snapshot(task(1, waits(A)), task(2, None, held(A), state=state)))


@pytest.mark.parametrize(
    "kind", ["event", "queue", "condition", "barrier", "future", "sleep", "io", "unknown"]
)
def test_a_holder_that_waits_for_anybody_is_no_deadlock(kind: str) -> None:
    waiting = waits(None, kind)  # type: ignore[arg-type]  # one of them

    assert () == check(snapshot(task(1, waits(A)), task(2, waiting, held(A))))


@pytest.mark.parametrize(
    "other",
    [
        task(2, waits(A, deadline_ns=9), held(B)),
        task(2, waits(A, complete=False), held(B)),
        task(2, waits([1, 77]), held(B)),
        task(2, waits(A)),
        task(2, waits(A), held(B), held(A)),
        task(2, waits(lock(101, exact=False)), held(B)),
    ],
    ids=["own deadline", "others could", "a stranger could", "nobody known holds", "two hold", "subclass"],
)
def test_a_cycle_that_is_not_proved_is_none(other: TaskView) -> None:
    assert () == check(snapshot(task(1, waits(B), held(A)), other))


def test_who_waits_for_several_goes_on_when_one_of_them_can() -> None:
    assert () == check(snapshot(task(1, waits([2, 3])), task(2, waits([1])), task(3, waits(None, "sleep"))))


def test_a_lock_off_the_cycle_that_somebody_may_release_makes_it_uncertain() -> None:
    found = check(snapshot(task(1, waits([2, 3]), held(A)), task(2, waits([1], "task")), task(3, waits(A))))

    assert [((1, 2), (3,), False)] == [(each.cycle, each.victims, each.certain) for each in found]


KNOT = task(1, waits([2], "task"), held(B)), task(2, waits(B))


@pytest.mark.parametrize(
    ("others", "deadline_ns"),
    [
        ([task(3, waits([1], "task", deadline_ns=9))], 9),
        ([task(3, waits([1, 4], deadline_ns=9)), task(4, waits([2], deadline_ns=5))], 5),
        ([task(3, waits([4], "task", deadline_ns=9)), task(4, waits([1]))], 9),
        ([task(3, waits([1], "wait", deadline_ns=9, library="wait_for"))], 9),
        # Its timeout would leave the tasks alone.
        ([task(3, waits([1], "wait", deadline_ns=9, library="wait"))], None),
        # Its timeout cancels one that waits behind the deadlock, and nothing more.
        ([task(3, waits([4], "task", deadline_ns=9)), task(4, waits(B))], None),
    ],
    ids=["direct", "the first", "through others", "wait_for", "asyncio.wait", "of a victim only"],
)
def test_a_timeout_ends_it_whose_cancellation_is_handed_on(
    others: list[TaskView], deadline_ns: int | None
) -> None:
    (found,) = check(snapshot(*KNOT, *others))

    assert deadline_ns == found.deadline_ns


def test_no_timeout_ends_it_where_tasks_await_each_other() -> None:
    """The cancellation would go round and round: a RecursionError, and all of them wait on."""
    ring = task(1, waits([2], "task")), task(2, waits([1], "task"))
    (found,) = check(snapshot(*ring, task(3, waits([1], "task", deadline_ns=9))))

    assert found.deadline_ns is None


def test_a_deadline_makes_no_other_deadlock_of_it() -> None:
    before = check(snapshot(*KNOT, task(3, waits([1], deadline_ns=9))))
    after = check(snapshot(*KNOT))

    assert before == after


def _ring(size: int) -> Snapshot:
    return snapshot(*(task(number, waits([(number + 1) % size], "task")) for number in range(size)))


def _pairs(size: int) -> Snapshot:
    return snapshot(*(task(number, waits([number ^ 1], "task")) for number in range(size)))


def _queue(size: int) -> Snapshot:
    return snapshot(task(0, waits([0])), *(task(number, waits([number - 1])) for number in range(1, size)))


def _crowd(size: int) -> Snapshot:
    return snapshot(
        task(0, waits(A), held(A)), *(task(number, waits(A)) for number in range(1, size)), task(-1, None)
    )


def _alive(size: int) -> Snapshot:
    return snapshot(task(0, None), *(task(number, waits([number - 1])) for number in range(1, size)))


def _wide(size: int) -> Snapshot:
    return snapshot(task(0, waits(range(1, size))), *(task(number, waits([0])) for number in range(1, size)))


@pytest.mark.slow
@pytest.mark.parametrize("make", [_ring, _pairs, _queue, _crowd, _alive, _wide])
def test_ten_times_as_many_tasks_take_about_ten_times_as_long(make: Callable[[int], Snapshot]) -> None:
    """Quadratic, it would be a hundred times."""
    few, many = make(10_000), make(100_000)

    assert _cpu_time(many) < 40 * _cpu_time(few)


def _cpu_time(of: Snapshot) -> float:
    def once() -> float:
        before = time.thread_time()
        check(of)
        return time.thread_time() - before

    return min(once() for _ in range(2))


def _cycles(of: Snapshot) -> tuple[tuple[int, ...], ...]:
    return tuple(deadlock.cycle for deadlock in check(of))
