"""What the detector says of random graphs, against letting everything run that can."""

from __future__ import annotations

from collections.abc import Callable
from itertools import permutations
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from aiotel._detectors.deadlock import check
from aiotel._snapshot import Held, State, TaskView, Waiting, WaitKind

from .graphs import hands_on_to, held, left_after_running, lock, snapshot, task, waits

_LIMITS = (1, 1, 1, 2, 3, None)
_TASK_WAITS: tuple[tuple[WaitKind, str], ...] = (
    ("task", ""),
    ("gather", ""),
    ("task group", ""),
    ("wait", "wait"),
    ("wait", "wait_for"),
)


@st.composite
def _programs(draw: st.DrawFn) -> list[TaskView]:
    """Tasks that hold and wait, seldom for anything that is not among them."""
    size = draw(st.integers(1, 6))
    # Far from each other, and in any order, as addresses are.
    ids = draw(st.permutations([number * 1000 + 7 for number in range(size)]))
    locks = [
        lock(50 + number, limit=draw(st.sampled_from(_LIMITS)), exact=draw(_mostly(True)))
        for number in range(draw(st.integers(1, 3)))
    ]
    holds = st.lists(st.builds(_held, st.sampled_from(locks), st.booleans()), max_size=2)
    strangers = [1] if draw(_mostly(False)) else []
    states: list[State] = ["waiting", "waiting", "waiting", "waiting", "ready"]
    return [
        task(
            number,
            draw(st.one_of(_for_tasks([*ids, *strangers]), st.sampled_from(locks).flatmap(_for_a_lock))),
            *draw(holds),
            state=draw(st.sampled_from(states)),
        )
        for number in ids
    ]


def _held(primitive: object, certain: bool) -> Held:
    return held(primitive, certain=certain)  # type: ignore[arg-type]  # one of the locks


def _mostly(value: bool) -> st.SearchStrategy[bool]:
    return st.sampled_from([value] * 9 + [not value])


def _deadlines() -> st.SearchStrategy[int | None]:
    return st.sampled_from([None] * 7 + [5, 9])


def _for_tasks(ids: list[int]) -> st.SearchStrategy[Waiting]:
    ends = st.lists(st.sampled_from(ids), min_size=1, max_size=3, unique=True)

    def make(ends: list[int], how: tuple[WaitKind, str], deadline_ns: int | None, complete: bool) -> Waiting:
        return waits(ends, how[0], deadline_ns=deadline_ns, complete=complete, library=how[1])

    return st.builds(make, ends, st.sampled_from(_TASK_WAITS), _deadlines(), _mostly(True))


def _for_a_lock(primitive: object) -> st.SearchStrategy[Waiting]:
    def make(deadline_ns: int | None, complete: bool) -> Waiting:
        return waits(primitive, deadline_ns=deadline_ns, complete=complete)  # type: ignore[arg-type]  # as above

    return st.builds(make, _deadlines(), _mostly(True))


def _ends(tasks: list[TaskView]) -> dict[int, set[int]]:
    """Whom each dead task waits for."""
    dead = left_after_running(tasks)
    found: dict[int, set[int]] = {}
    for view in tasks:
        if view.id in dead and view.waiting is not None:
            wanted = view.waiting.primitive
            holders = {
                other.id for other in tasks for each in other.holds if wanted and each.primitive == wanted
            }
            found[view.id] = set(view.waiting.tasks) | holders
    return found


def _closure(ends: dict[int, set[int]], start: int) -> set[int]:
    reached = set(ends[start])
    while more := set().union(*(ends[each] for each in reached)) - reached:
        reached |= more
    return reached


def _knots(ends: dict[int, set[int]]) -> set[frozenset[int]]:
    """Of those that a task can reach, the sets of which each reaches all."""
    reached = {number: _closure(ends, number) for number in ends}
    return {
        frozenset(others)
        for number, others in reached.items()
        if number in others and all(reached[other] == others for other in others)
    }


def _is_cycle(ends: dict[int, set[int]], order: tuple[int, ...]) -> bool:
    return all(after in ends[each] for each, after in zip(order, (*order[1:], order[0]), strict=True))


_many: Callable[..., Callable[..., None]] = settings(max_examples=400, deadline=None)


@_many
@given(_programs())
def test_exactly_those_are_told_that_nothing_can_make_run(tasks: list[TaskView]) -> None:
    told = [each for deadlock in check(snapshot(*tasks)) for each in (*deadlock.cycle, *deadlock.victims)]

    assert sorted(left_after_running(tasks)) == sorted(told)


@_many
@given(_programs())
def test_there_is_one_deadlock_for_each_knot_and_its_cycle_is_the_shortest(tasks: list[TaskView]) -> None:
    deadlocks = check(snapshot(*tasks))
    ends = _ends(tasks)
    knots = _knots(ends)

    assert knots == {frozenset(_closure(ends, deadlock.cycle[0])) for deadlock in deadlocks}
    assert len(knots) == len(deadlocks)
    for deadlock in deadlocks:
        assert _is_cycle(ends, deadlock.cycle)
        knot = _closure(ends, deadlock.cycle[0])
        shorter = range(1, len(deadlock.cycle))
        assert not any(_is_cycle(ends, order) for size in shorter for order in permutations(knot, size))


@_many
@given(_programs())
def test_the_nearest_victims_come_first(tasks: list[TaskView]) -> None:
    ends = _ends(tasks)
    for deadlock in check(snapshot(*tasks)):
        seen = {*deadlock.cycle, *_closure(ends, deadlock.cycle[0])}
        for victim in deadlock.victims:
            assert victim in seen or ends[victim] & seen
            seen.add(victim)


@_many
@given(_programs(), st.integers())
def test_the_order_in_which_tasks_come_makes_no_difference(tasks: list[TaskView], seed: int) -> None:
    other = [*tasks]
    Random(seed).shuffle(other)

    assert check(snapshot(*tasks)) == check(snapshot(*other))


@_many
@given(_programs())
def test_a_deadline_is_that_of_a_task_whose_cancellation_reaches_the_knot(tasks: list[TaskView]) -> None:
    ends = _ends(tasks)
    by_id = {view.id: view for view in tasks}
    for deadlock in check(snapshot(*tasks)):
        knot = _closure(ends, deadlock.cycle[0])
        if any(number in hands_on_to(by_id[number], by_id) for number in knot):
            assert deadlock.deadline_ns is None
            continue
        deadlines = [
            view.waiting.deadline_ns
            for view in tasks
            if view.waiting is not None
            and view.waiting.deadline_ns is not None
            and view.state == "waiting"
            and hands_on_to(view, by_id) & knot
        ]
        assert min(deadlines, default=None) == deadlock.deadline_ns


@_many
@given(_programs())
def test_it_is_certain_where_all_that_is_waited_for_is_certainly_held(tasks: list[TaskView]) -> None:
    ends = _ends(tasks)
    by_id = {view.id: view for view in tasks}
    for deadlock in check(snapshot(*tasks)):
        doubtful = [
            each
            for number in _closure(ends, deadlock.cycle[0])
            if (waiting := by_id[number].waiting) is not None and waiting.primitive is not None
            for view in tasks
            for each in view.holds
            if each.primitive == waiting.primitive and not each.certain
        ]
        assert deadlock.certain == (not doubtful)
