"""All tasks of a snapshot as a table."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiotel._cli.drawing.sheet import cells
from aiotel._snapshot import Snapshot

from ...status.snapshots import NOW_NS, abba, frame, lock, snapshot, snapshots, task, waiting_for
from .drawn import is_harmless, table_of


def test_what_each_waits_for_and_who_holds_it() -> None:
    assert table_of(abba()) == [
        "STATE     FOR    AGE  TASK   FUNCTION    AT          WAITS FOR",
        "waiting  2.0s  1m40s  main   bank.main   bank.py:12  TaskGroup of 3 tasks",
        "waiting  2.0s  1m40s  alice  bank.pay    bank.py:12  Lock B, held by bob",
        "waiting  2.0s  1m40s  bob    bank.pay    bank.py:12  Lock A, held by alice",
        "waiting  2.0s  1m40s  audit  bank.audit  bank.py:12  Lock A, held by alice",
    ]


def test_those_that_run_come_first_and_of_the_others_who_has_waited_longest() -> None:
    short = replace(waiting_for(9, kind="gather"), since_ns=NOW_NS - 10)
    taken = snapshot(
        task(1, waiting=short),
        task(2, waiting=waiting_for(9)),
        task(3, state="not started"),
        task(4, state="running", stack=(frame(1), frame(7))),
        task(5, state="ready"),
    )

    rows = [line.split() for line in table_of(taken)[1:]]
    assert [(row[0], row[-1]) for row in rows] == [
        ("running", "bank.py:7"),
        ("ready", "bank.pay"),
        ("new", "bank.pay"),
        ("waiting", "task"),
        ("waiting", "task"),
    ]


def test_many_alike_are_one_row_unless_every_one_is_wanted() -> None:
    queue = replace(lock(7), kind="queue", name="Queue")
    taken = snapshot(
        *[
            task(number, name=f"worker-{number}", waiting=waiting_for(primitive=queue))
            for number in range(1, 6)
        ]
    )

    assert table_of(taken)[1:] == ["waiting  2.0s  1m40s  5x worker-*  bank.pay  bank.py:12  Queue A"]
    assert len(table_of(taken, every=True)) == 6


def test_those_that_hold_something_have_a_row_each() -> None:
    tasks = [task(number, name="same", waiting=waiting_for(99), holds=(lock(number),)) for number in range(6)]

    assert len(table_of(snapshot(*tasks))) == 7


@pytest.mark.parametrize("width", [60, 80, 120])
def test_what_does_not_fit_is_cut(width: int) -> None:
    taken = abba(first="a" * 90, second="界" * 40)

    lines = table_of(taken, width=width)
    assert max(map(cells, lines)) <= width
    assert "…" in lines[2]


@given(snapshots, st.none() | st.integers(20, 200))
def test_any_snapshot_is_shown_and_nothing_in_it_commands_the_terminal(
    taken: Snapshot, width: int | None
) -> None:
    lines = table_of(taken, width=width)

    assert all(map(is_harmless, lines))
    assert width is None or all(cells(line) <= width for line in lines)
