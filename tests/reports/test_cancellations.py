"""A finding about a cancellation in words: what is known of it is told, and what is not is left out."""

from __future__ import annotations

from typing import Any

import pytest

from aiotel._reports.cancellations import UnfinishedCancellations
from aiotel.observations import Cancellation, Frame, TaskFacts, UnfinishedCancellation

TASK = TaskFacts(name="Task-1", function="app.pay")
WHY = Cancellation(by="task_group", reason="because")
AT = Frame(file="/app.py", line=12, function="pay")


def found(**more: Any) -> UnfinishedCancellation:
    return UnfinishedCancellation(
        **{"kind": "swallowed", "task": None, "cancellation": None, "seconds": 5.04, "time_ns": 7, **more}
    )


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({}, "a task was cancelled 5.0 s ago and still runs"),
        ({"exact": False}, "a task was cancelled at least 5.0 s ago and still runs"),
        (
            {"task": TASK, "cancellation": WHY, "at": AT, "kind": "slow_cancellation"},
            "app.pay was cancelled 5.0 s ago (because) and is still cleaning up: it waits in pay, line 12",
        ),
    ],
)
def test_the_words_say_what_is_known(more: dict[str, Any], words: str) -> None:
    report = UnfinishedCancellations(lambda kind, times: None).report(found(**more))

    assert words == report.words


def test_the_attributes_are_those_that_are_known() -> None:
    sort = UnfinishedCancellations(lambda kind, times: None)

    assert sort.report(found()).attributes == {"asyncio.cancellation.duration": 5.04}
    assert sort.report(found(task=TASK, cancellation=WHY, at=AT)).attributes == {
        "asyncio.task.name": "Task-1",
        "code.function.name": "app.pay",
        "asyncio.cancellation.duration": 5.04,
        "asyncio.task.cancelled.by": "task_group",
        "asyncio.task.cancelled.reason": "because",
        "code.file.path": "/app.py",
        "code.line.number": 12,
    }


def test_what_comes_again_is_a_number() -> None:
    report = UnfinishedCancellations(lambda kind, times: None).again(found(), 3, 60.2)

    assert report.words == "a task was cancelled 5.0 s ago and still runs: 3 more within 60 s"
    assert report.attributes["asyncio.repeated"] == 3


def test_each_kind_has_a_log_and_is_counted() -> None:
    counted: list[tuple[str, int]] = []
    sort = UnfinishedCancellations(lambda kind, times: counted.append((kind, times)))
    both = [found(), found(kind="slow_cancellation")]

    for each in both:
        sort.count(each, 2)

    assert counted == [("swallowed", 2), ("slow_cancellation", 2)]
    assert [(sort.report(each).name, sort.report(each).severity) for each in both] == [
        ("asyncio.cancellation.swallowed", "warn"),
        ("asyncio.cancellation.slow", "warn"),
    ]
