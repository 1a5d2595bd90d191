"""A snapshot for a log: as much as a log can take."""

from __future__ import annotations

import json

from hypothesis import given

from aiotel._snapshot import Snapshot
from aiotel._status.dumps import BYTES, LINES, dumped

from .snapshots import abba, snapshot, snapshots, task, waiting_for


def test_the_words_say_who_waits_for_what() -> None:
    at = " at line 12 of bank.pay (/srv/bank.py)"
    assert dumped(abba()).words.splitlines() == [
        "Snapshot: 4 tasks (4 waiting)",
        f"  'main' (bank.main) has waited 2.0 s for: task group{at}",
        f"  'alice' (bank.pay) has waited 2.0 s for: lock, which 'bob' holds,{at}",
        f"  'bob' (bank.pay) has waited 2.0 s for: lock, which 'alice' holds,{at}",
        f"  'audit' (bank.audit) has waited 2.0 s for: lock, which 'alice' holds,{at}",
    ]


def test_a_loop_that_is_blocked_is_named() -> None:
    assert dumped(snapshot(task(1, state="ready"), stuck_ns=2_500_000_000)).words.splitlines() == [
        "Snapshot: 1 task (1 ready); loop 0 has not gone on for 2.5 s",
        "  'Task-1' (bank.pay) is ready",
    ]


def test_what_does_not_fit_is_counted() -> None:
    taken = snapshot(*[task(number, waiting=waiting_for(0)) for number in range(1, 5001)], left_out=7)

    dump = dumped(taken)

    lines = dump.words.splitlines()
    assert (len(lines), lines[-1]) == (LINES + 2, "  ... and 4957 more")
    assert len(dump.tasks) <= BYTES + 2
    assert len(json.loads(dump.tasks)) + dump.left_out == dump.count == 5007


def test_a_name_without_end_is_cut() -> None:
    dump = dumped(snapshot(task(1, name="x" * 10**6)))

    assert (len(dump.words) < 1000, dump.tasks, dump.left_out) == (True, "[]", 1)


@given(snapshots)
def test_any_snapshot_can_be_told(taken: Snapshot) -> None:
    dump = dumped(taken)

    assert dump.words.startswith("Snapshot: ")
    assert len(json.loads(dump.tasks)) + dump.left_out == dump.count
