"""Deadlocks in words: all of what is told, as a person reads it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from aiotel._reports.deadlocks import DeadlockResolveds, Deadlocks
from aiotel.observations import Deadlocked, DeadlockEnd, DeadlockResolved, Entangled, Frame, TaskFacts


def _at(line: int) -> Frame:
    return Frame(file="/app/stock.py", line=line, function="app.stock.Stock.move")


def _task(number: int, *, trace_id: int = 0) -> TaskFacts:
    return TaskFacts(
        name=f"Task-{number}", function="app.stock.Stock.move", trace_id=trace_id, span_id=trace_id
    )


ONE = Entangled(
    task=_task(7, trace_id=10),
    waits_for="Lock B",
    waits_at=_at(13),
    waits_for_tasks=(2,),
    seconds=2.04,
    holds=(("Lock A", _at(12)),),
)
OTHER = Entangled(
    task=_task(9),
    waits_for="Lock A",
    waits_at=_at(13),
    waits_for_tasks=(1,),
    seconds=2.01,
    holds=(("Lock B", _at(12)),),
)
BEHIND = Entangled(
    task=_task(8), waits_for="task group", waits_at=_at(30), waits_for_tasks=(1, 2), seconds=1.96
)


ROUND = {
    1: "app.stock.Stock.move (Task-7) -> app.stock.Stock.move (Task-7)",
    2: "app.stock.Stock.move (Task-7) -> app.stock.Stock.move (Task-9) -> app.stock.Stock.move (Task-7)",
}


def _deadlocked(**more: Any) -> Deadlocked:
    plain: dict[str, Any] = {
        "kind": "cycle",
        "cycle": (ONE, OTHER),
        "victims": (),
        "left_out": 0,
        "certain": False,
        "seconds_left": None,
        "time_ns": 5,
    }
    return Deadlocked(**{**plain, **more})


def _report(deadlock: Deadlocked) -> Any:
    return Deadlocks(lambda *_: None).report(deadlock)


def test_a_deadlock_says_who_holds_and_who_waits_for_what_and_where() -> None:
    report = _report(_deadlocked(victims=(BEHIND,), left_out=4))

    assert "error" == report.severity
    assert (
        """\
Deadlock: 2 tasks wait for each other for ever, 5 more behind them: app.stock.Stock.move (Task-7) -> \
app.stock.Stock.move (Task-9) -> app.stock.Stock.move (Task-7)
  1. app.stock.Stock.move, task 'Task-7'
       holds Lock A since line 12 of app.stock.Stock.move (/app/stock.py)
       has waited 2.0 s for Lock B, which task 2 holds, at line 13 of app.stock.Stock.move (/app/stock.py)
  2. app.stock.Stock.move, task 'Task-9'
       holds Lock B since line 12 of app.stock.Stock.move (/app/stock.py)
       has waited 2.0 s for Lock A, which task 1 holds, at line 13 of app.stock.Stock.move (/app/stock.py)
  behind them:
  3. app.stock.Stock.move, task 'Task-8'
       has waited 2.0 s for the end of task 1 and task 2 (task group) at line 30 of app.stock.Stock.move \
(/app/stock.py)
  ... and 4 more
  Unless another task releases what one of them waits for, only a cancellation can end this."""
        == report.words
    )


@pytest.mark.parametrize(
    ("more", "first", "last"),
    [
        (
            {"cycle": (ONE,), "certain": True},
            f"Deadlock: a task waits for itself for ever: {ROUND[1]}",
            "  Nothing can end this but a cancellation.",
        ),
        (
            {"seconds_left": 3.21},
            f"Deadlock: 2 tasks wait for each other for ever: {ROUND[2]}",
            "  A timeout will end this in 3.2 s.",
        ),
        (
            {"kind": "total", "cycle": (), "victims": (BEHIND,)},
            "Deadlock: nothing can wake this event loop any more, its only task waits for ever",
            "  No timer, no file, no signal and no other thread can end this.",
        ),
    ],
    ids=["itself", "transient", "total"],
)
def test_the_first_line_says_it_all_and_the_last_how_sure_it_is(
    more: dict[str, Any], first: str, last: str
) -> None:
    lines = _report(_deadlocked(**more)).words.splitlines()

    assert [first, last] == [lines[0], lines[-1]]


def test_one_that_a_timeout_ends_is_a_warning() -> None:
    assert "warn" == _report(_deadlocked(seconds_left=3.0)).severity


def test_its_graph_is_there_for_machines() -> None:
    (node, _) = json.loads(_report(_deadlocked()).attributes["asyncio.deadlock.graph"])

    place = {"function": "app.stock.Stock.move", "file": "/app/stock.py"}
    assert {
        "task": "Task-7",
        "function": "app.stock.Stock.move",
        "trace_id": "0000000000000000000000000000000a",
        "span_id": "000000000000000a",
        "victim": False,
        "holds": [{"what": "Lock A", **place, "line": 12}],
        "waits_for": {"what": "Lock B", "tasks": [2], "seconds": 2.04, **place, "line": 13},
    } == node


@pytest.mark.parametrize(
    ("end", "how"),
    [
        ("cancelled", "as a task was cancelled"),
        ("task ended", "as a task has ended"),
        ("released", "as a task has gone on"),
        ("loop closed", "as its loop was closed"),
    ],
)
def test_its_end_says_how_and_after_how_long(end: DeadlockEnd, how: str) -> None:
    over = DeadlockResolved(deadlock=_deadlocked(), end=end, seconds=12.04, time_ns=6)

    report = DeadlockResolveds().report(over)

    assert f"Deadlock over after 12 s, {how}: {ROUND[2]}" == report.words
    assert ("info", end) == (report.severity, report.attributes["asyncio.deadlock.end"])
