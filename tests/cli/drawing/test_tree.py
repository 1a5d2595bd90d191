"""Who waits for whom, as a tree, with the circles drawn as circles."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given

from aiotel._snapshot import Snapshot

from ...status.snapshots import abba, lock, snapshot, snapshots, task, waiting_for
from .drawn import is_harmless, read, tree_of


def test_a_circle_comes_first_and_the_tree_refers_to_it() -> None:
    assert tree_of(abba()) == [
        "2 tasks have waited up to 2.0s for each other in a circle",
        "  ╭▶ alice  bank.pay  bank.py:12  holds Lock A, waits 2.0s for Lock B, held by bob",
        "  ╰─ bob  bank.pay  bank.py:12  holds Lock B, waits 2.0s for Lock A, held by alice",
        "",
        "main  bank.main  bank.py:12  waits 2.0s for TaskGroup of 3 tasks",
        "├─ ↪ alice, see above",
        "├─ ↪ bob, see above",
        "└─ audit  bank.audit  bank.py:12  waits 2.0s for Lock A, held by alice",
        "   └─ ↪ alice, see above",
    ]


def test_a_terminal_without_unicode_gets_other_signs() -> None:
    lines = tree_of(abba(), encoding="ascii")

    assert "".join(lines).isascii()
    assert lines[1].startswith("  /> alice")


def test_a_task_that_waits_for_itself_is_a_circle_of_one() -> None:
    a = lock(9)

    assert tree_of(snapshot(task(1, waiting=waiting_for(primitive=a), holds=(a,)))) == [
        "a task has waited 2.0s for itself",
        "  ╭▶ Task-1  bank.pay  bank.py:12  holds Lock A, waits 2.0s for Lock A, held by Task-1",
        "",
    ]


def test_those_behind_a_circle_alone_are_drawn_too() -> None:
    taken = snapshot(
        task(1, waiting=waiting_for(2, 3, kind="gather")), task(2, waiting=waiting_for(1)), task(3)
    )

    assert tree_of(taken)[-1] == "Task-3  bank.pay  waiting"


def test_many_alike_beside_each_other_are_one_line() -> None:
    workers = [task(number, name=f"w{number}", waiting=waiting_for(kind="sleep")) for number in range(2, 8)]
    taken = snapshot(task(1, waiting=waiting_for(*range(2, 8), kind="gather")), *workers)

    assert tree_of(taken) == [
        "Task-1  bank.pay  bank.py:12  waits 2.0s for gather of 6 tasks",
        "└─ 6x w2  bank.pay  bank.py:12  sleeps",
    ]


def test_a_long_chain_ends_where_nobody_could_follow_it() -> None:
    chain = [task(number, waiting=waiting_for(number + 1)) for number in range(1, 10_000)]

    lines = tree_of(snapshot(*chain, task(10_000)))
    assert len([line for line in lines if line.endswith("└─ …")]) >= 1
    assert max(map(len, lines)) < 300


def test_a_long_circle_is_cut() -> None:
    circle = [task(number, waiting=waiting_for(number % 5000 + 1)) for number in range(1, 5001)]

    lines = tree_of(snapshot(*circle))
    assert lines[0] == "5000 tasks have waited up to 2.0s for each other in a circle"
    assert lines[-2] == "  ╰─ and 4980 more"


def test_two_circles_are_two() -> None:
    second = tuple(
        replace(view, id=view.id + 50, waiting=replace(view.waiting, tasks=(53,) if view.id == 2 else (52,)))
        for view in abba().tasks[1:3]
        if view.waiting is not None
    )
    taken = snapshot(
        *abba().tasks,
        *[
            replace(view, holds=(), waiting=replace(view.waiting, kind="task", primitive=None))
            for view in second
            if view.waiting is not None
        ],
    )
    waits, _ = read(taken)

    assert sorted(map(sorted, waits.circles())) == [[2, 3], [52, 53]]


@given(snapshots)
def test_each_task_of_any_snapshot_is_drawn_and_each_circle_is_one(taken: Snapshot) -> None:
    taken = replace(taken, tasks=tuple({view.id: view for view in taken.tasks}.values()))
    waits, _ = read(taken)
    lines = tree_of(taken)

    assert all(map(is_harmless, lines))
    for circle in waits.circles():
        for one, following in zip(circle, (*circle[1:], circle[0]), strict=True):
            assert following in waits.targets[one]
