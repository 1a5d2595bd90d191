"""With `logs/dup` what a task raised is on its span too, by the older convention."""

from __future__ import annotations

import asyncio
import gc

import pytest

from ..conftest import Loops, Telemetry

OPT_IN = "OTEL_SEMCONV_EXCEPTION_SIGNAL_OPT_IN"


class BadError(Exception):
    """A failure with a module."""


WHOSE = "anna@example.org"


async def fails() -> None:
    raise BadError(f"no such order of {WHOSE}")


async def returns() -> None:
    pass


async def main() -> None:
    asyncio.create_task(fails())  # type: ignore[unused-awaitable]  # noqa: RUF006  # nobody looks at it
    await asyncio.create_task(returns())
    await asyncio.sleep(0)
    gc.collect()


@pytest.mark.parametrize("choice", ["logs/dup", "http, logs/dup", "logs,logs/dup"])
def test_the_span_of_a_task_that_raised_has_the_event(
    loops: Loops, telemetry: Telemetry, monkeypatch: pytest.MonkeyPatch, choice: str
) -> None:
    monkeypatch.setenv(OPT_IN, choice)
    telemetry.start()
    loops.run(main())

    span = telemetry.span("fails")
    [event] = span.events
    attributes = dict(event.attributes or {})
    stacktrace = str(attributes.pop("exception.stacktrace")).splitlines()
    assert (event.name, event.timestamp) == ("exception", span.end_time)
    assert attributes == {
        "exception.type": f"{__name__}.BadError",
        "exception.message": "no such order of anna@example.org",
    }
    assert stacktrace[0] == "Traceback (most recent call last):"
    assert stacktrace[-1] == f"{__name__}.BadError: no such order of anna@example.org"
    assert telemetry.span("returns").events == ()
    assert [log.event_name for log in telemetry.logs] == ["exception"]


@pytest.mark.parametrize("choice", [None, "", "logs", "http/dup", "logs/duplicate"])
def test_without_it_failures_are_logs_alone(
    telemetry: Telemetry, monkeypatch: pytest.MonkeyPatch, choice: str | None
) -> None:
    monkeypatch.delenv(OPT_IN, raising=False)
    if choice is not None:
        monkeypatch.setenv(OPT_IN, choice)
    telemetry.start()
    asyncio.run(main())

    assert telemetry.span("fails").events == ()
    assert [log.event_name for log in telemetry.logs] == ["exception"]


def test_what_is_redacted_is_not_on_the_span_either(
    telemetry: Telemetry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(OPT_IN, "logs/dup")
    telemetry.start(redact=lambda text: text.replace("anna@example.org", "…"))
    asyncio.run(main())

    span = telemetry.span("fails")
    assert "anna" not in span.to_json()
    assert (span.events[0].attributes or {})["exception.message"] == "no such order of …"
