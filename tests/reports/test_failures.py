"""A failure in words: how bad it is, what may be said of it, and which exceptions a group is about."""

from __future__ import annotations

from typing import Any

import pytest

from aiotel._complaints import complaints
from aiotel._report import Report
from aiotel._reports.failures import Failures
from aiotel.observations import ExceptionFacts, Failure, Frame, Source, TaskFacts


def failure(type_: str = "ValueError", source: Source = "task", **fields: Any) -> Failure:
    exception = ExceptionFacts(
        type=type_, message="card 4111", frames=(Frame(file="a.py", line=3, function="f"),)
    )
    return Failure(**{"source": source, "message": "m", "exception": exception, "time_ns": 1, **fields})


def report(of: Failure, **hooks: Any) -> Report | None:
    return Failures(lambda source, type_, times: None, **hooks).report(of)


@pytest.mark.parametrize(
    ("type_", "source", "severity"),
    [
        ("ValueError", "task", "error"),
        ("ValueError", "transport", "error"),
        ("ConnectionResetError", "transport", "info"),
        ("BrokenPipeError", "protocol", "info"),
        ("ConnectionResetError", "task", "error"),
    ],
)
def test_a_connection_that_broke_is_news_on_the_wire_and_an_error_elsewhere(
    type_: str, source: Source, severity: str
) -> None:
    told = report(failure(type_, source))

    assert told is not None
    assert told.severity == severity


def test_what_ends_the_program_is_fatal() -> None:
    told = report(failure(fatal=True))

    assert told is not None
    assert told.severity == "fatal"


def test_the_program_may_say_how_bad_it_is_or_that_it_is_nothing() -> None:
    seen: list[Failure] = []

    def judge(of: Failure) -> str | None:
        seen.append(of)
        return None if of.source == "server" else "warn"

    told = report(failure(), judge=judge)

    assert told is not None
    assert told.severity == "warn"
    assert report(failure(source="server"), judge=judge) is None
    assert Failures(lambda *_: None, judge=judge).again(failure(source="server"), 3, 1.0) is None
    assert [of.source for of in seen] == ["task", "server", "server"]


def test_severities_are_what_they_are_in_capitals_too() -> None:
    told = report(failure(), judge=lambda failure: "WARN")

    assert told is not None
    assert told.severity == "warn"


def test_a_number_is_of_no_task_for_it_may_have_been_others() -> None:
    task = TaskFacts(name="Task-2", function="app.send", trace_id=1, span_id=2)
    again = Failures(lambda *_: None).again(failure(task=task), 3, 0.2)

    assert again is not None
    assert again.task is None
    assert again.words == "m: 3 more within 0.2 s"
    assert again.attributes["code.function.name"] == "app.send"
    assert "asyncio.task.name" not in again.attributes


@pytest.mark.parametrize("judge", [lambda failure: 1 / 0, lambda failure: "terrible"])
def test_a_judge_that_fails_does_not_silence_the_failure(
    judge: Any, caplog: pytest.LogCaptureFixture
) -> None:
    told = report(failure(), judge=judge)
    complaints.say()

    assert told is not None
    assert told.severity == "error"
    assert "severity" in caplog.text


def test_messages_are_redacted_wherever_they_are() -> None:
    inner = ExceptionFacts(type="KeyError", message="card 4111")
    facts = ExceptionFacts(
        type="ExceptionGroup", message="card 4111", cause=inner, chained="cause", leaves=(inner, inner)
    )
    told = report(failure(exception=facts), redact=lambda text: text.replace("4111", "****"))

    assert told is not None
    assert "4111" not in repr(told)
    assert (told.stacktrace or "").count("card ****") == 4
    assert told.attributes["exception.message"] == "card ****"


def test_where_redaction_fails_nothing_leaves(caplog: pytest.LogCaptureFixture) -> None:
    told = report(failure(), redact=lambda text: str(1 / 0))
    complaints.say()

    assert told is not None
    assert told.attributes["exception.message"] == "[withheld: redact failed]"
    assert "4111" not in repr(told) + caplog.text


def test_the_exceptions_that_a_group_is_about_are_listed_with_their_places() -> None:
    leaf = ExceptionFacts(
        type="ValueError", message="card 4111", frames=(Frame(file="a.py", line=3, function="f"),)
    )
    inner = ExceptionFacts(type="ExceptionGroup", message="inner", leaves=(leaf,))
    outer = ExceptionFacts(
        type="ExceptionGroup", message="outer", leaves=(ExceptionFacts(type="KeyError", message=""), inner)
    )
    told = report(failure(exception=outer))

    assert told is not None
    assert told.attributes["exception.type"] == "ExceptionGroup"
    assert told.attributes["asyncio.exception.leaves"] == ["KeyError", "ValueError: card 4111 at a.py:3"]


def test_a_failure_that_was_counted_as_not_retrieved_is_not_counted_again() -> None:
    counts: list[tuple[str, str, int]] = []
    failures = Failures(lambda *count: counts.append(count))
    failures.count(failure(counted=True), 1)
    failures.count(failure(), 2)

    assert counts == [("task", "ValueError", 2)]
