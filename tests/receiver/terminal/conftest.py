"""Spans that are quick to write, and a screen that can be read."""

from __future__ import annotations

import io
import time
from typing import TYPE_CHECKING, Protocol

import pytest
from rich.console import Console

from aiotel._receiver.received import Attributes, ReceivedEvent, ReceivedLink, ReceivedSpan
from aiotel._receiver.terminal.screen import Screen

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MS = 1_000_000
TRACE_ID = "5b8efff798038103d269b633813fc60c"


def span(
    name: str,
    parent: str | None = None,
    *,
    at: float = 0,
    ms: float = 1,
    id: str | None = None,
    trace: str = TRACE_ID,
    kind: str = "INTERNAL",
    status: str = "UNSET",
    message: str = "",
    events: tuple[ReceivedEvent, ...] = (),
    links: tuple[ReceivedLink, ...] = (),
    service: str = "shop",
    **attributes: str,
) -> ReceivedSpan:
    """A span whose id is its name; times in milliseconds; `task_outcome` stands for asyncio.task.outcome."""
    named: Attributes = {_key(key): value for key, value in attributes.items()}
    return ReceivedSpan(
        trace_id=trace,
        span_id=id or name,
        parent_span_id=parent,
        name=name,
        kind=kind,
        start_ns=int(at * MS),
        end_ns=int((at + ms) * MS),
        attributes=named,
        status=status,
        status_message=message,
        events=events,
        links=links,
        resource={"service.name": service},
    )


def _key(short: str) -> str:
    dotted = short.replace("_", ".")
    return f"asyncio.{dotted}" if dotted.startswith("task.") else dotted


class Shown(Protocol):
    def __call__(self, show: Callable[[Screen], None], *, width: int = 80) -> list[str]: ...


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> Iterator[Shown]:
    """The lines that something shows on a screen of that width, without colours."""
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()

    def read(show: Callable[[Screen], None], *, width: int = 80) -> list[str]:
        stream = io.StringIO()
        show(Screen(Console(file=stream, width=width, highlight=False, legacy_windows=False)))
        return [line.rstrip() for line in stream.getvalue().splitlines()]

    yield read
    monkeypatch.undo()
    time.tzset()
