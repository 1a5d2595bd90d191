"""What each request gives; and that it is never too much."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from aiotel._snapshot import Snapshot
from aiotel._status.answers import Answers
from aiotel._status.bounds import ANSWER_BYTES
from aiotel._status.matches import MOST, matching
from aiotel._status.plain import from_plain
from aiotel._status.protocol import Refusal, Request

from .snapshots import abba, frame, snapshot, task, waiting_for


def _answers(taken: Snapshot) -> Answers:
    return Answers(lambda *, timeout: taken, version="0.0")


def _answer(taken: Snapshot, do: str, task: str = "") -> Mapping[str, Any]:
    plain: Mapping[str, Any] = json.loads(_answers(taken).commands[do](Request(do=do, task=task)))
    return plain


def _with_stacks(taken: Snapshot) -> Snapshot:
    return replace(taken, tasks=tuple(replace(view, stack=(frame(3),)) for view in taken.tasks))


@pytest.mark.parametrize("do", ["ps", "tree"])
def test_the_tasks_come_without_their_stacks(do: str) -> None:
    plain = _answer(_with_stacks(abba()), do)

    assert from_plain(Snapshot, plain["snapshot"]) == abba()
    assert set(plain) == {"pid", "command", "python", "aiotel", "snapshot"}


def test_a_task_that_runs_keeps_its_stack() -> None:
    taken = snapshot(task(1, state="running", stack=(frame(3),)))

    assert from_plain(Snapshot, _answer(taken, "ps")["snapshot"]) == taken


def test_a_dump_has_everything() -> None:
    taken = _with_stacks(abba())

    assert from_plain(Snapshot, _answer(taken, "dump")["snapshot"]) == taken


def test_where_has_the_stack_of_the_task_that_is_meant() -> None:
    plain = _answer(_with_stacks(abba()), "where", "bob")["snapshot"]

    assert plain["matches"] == [3]
    assert [(each["id"], "stack" in each) for each in plain["tasks"]] == [
        (3, True),
        (1, False),
        (2, False),
        (4, False),
    ]


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ("2", [2]),
        ("0x3", [3]),
        ("alice", [2]),
        ("ali", [2]),
        ("bank.audit", [4]),
        ("au", [4]),
        ("pay", [2, 3]),
        ("bank", [1, 2, 3, 4]),
        ("mai", [1]),
        ("nobody", []),
    ],
)
def test_a_task_is_found_by_its_id_its_name_or_a_beginning(text: str, ids: list[int]) -> None:
    assert [view.id for view in matching(abba().tasks, text)] == ids


def test_a_whole_name_comes_before_beginnings() -> None:
    tasks = [task(1, name="worker-11"), task(2, name="worker-1"), task(3, name="3")]

    assert [view.id for view in matching(tasks, "worker-1")] == [2]


def test_not_more_than_a_few_are_told() -> None:
    assert len(matching([task(number) for number in range(1, 100)], "Task-")) == MOST


@pytest.mark.parametrize(
    ("text", "left_out", "words"),
    [
        ("nobody", 0, "no task is called 'nobody'"),
        ("nobody", 2000, "no task is called 'nobody' (2,000 were not looked at)"),
        ("", 0, "`where` needs a task: its name, the beginning of its name, or its id"),
    ],
)
def test_no_task_is_told_so(text: str, left_out: int, words: str) -> None:
    with pytest.raises(Refusal) as refusal:
        _answer(replace(abba(), left_out=left_out), "where", text)

    assert str(refusal.value) == words


def test_a_name_that_cannot_be_written_is_written_all_the_same() -> None:
    taken = snapshot(task(1, name="half \ud83d and \0 and \n"))

    assert from_plain(Snapshot, _answer(taken, "ps")["snapshot"]) == taken


@pytest.mark.slow
@pytest.mark.parametrize("do", ["ps", "dump"])
def test_a_hundred_thousand_tasks_are_bounded_in_size_and_time(do: str) -> None:
    stack = tuple(frame(line) for line in range(10))
    one = task(1, waiting=waiting_for(2), stack=stack)
    taken = snapshot(*[replace(one, id=number) for number in range(100_000)], left_out=5)
    before = time.thread_time()

    body = _answers(taken).commands[do](Request(do=do))

    took = time.thread_time() - before
    plain = json.loads(body)["snapshot"]
    assert len(body) <= ANSWER_BYTES
    assert len(plain["tasks"]) + plain["left_out"] == 100_005
    assert len(plain["tasks"]) > 10_000
    assert took < 30  # some 5 s here, of one hundred thousand where a session gives ten
