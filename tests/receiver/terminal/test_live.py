from __future__ import annotations

import io

from rich.console import Console

from aiotel._receiver.assembly import SETTLE_SECONDS
from aiotel._receiver.received import ReceivedLog, ReceivedMetricPoint
from aiotel._receiver.store import Contents
from aiotel._receiver.terminal.live import Live
from aiotel._receiver.terminal.screen import Screen

from .conftest import TRACE_ID, span


class Watched:
    """A live view with a clock that stands still until it is set."""

    def __init__(self) -> None:
        self.now = 0.0
        self._stream = io.StringIO()
        screen = Screen(Console(file=self._stream, width=80, legacy_windows=False))
        self.live = Live(screen, clock=lambda: self.now)

    def new_lines(self) -> list[str]:
        text = self._stream.getvalue()
        self._stream.seek(0)
        self._stream.truncate()
        return [line for line in text.splitlines() if line.strip()]


def test_a_trace_is_shown_when_its_time_has_come() -> None:
    watched = Watched()

    watched.live.show(Contents(spans=[span("child", "root")]))
    watched.now = 1.0
    watched.live.show(Contents(spans=[span("root")]))

    assert [] == watched.new_lines()
    assert SETTLE_SECONDS == watched.live.next_due()
    watched.now = 1.0 + SETTLE_SECONDS
    watched.live.show(Contents())
    assert 3 == len(watched.new_lines())
    assert watched.live.next_due() is None


def test_a_late_span_is_shown_as_an_addition_to_its_trace() -> None:
    watched = Watched()
    watched.live.show(Contents(spans=[span("root")]))
    watched.now = 10.0
    watched.live.show(Contents())
    watched.live.show(Contents(spans=[span("late", "root")]))
    watched.new_lines()

    watched.live.finish()

    headline, line = watched.new_lines()
    assert headline.startswith(f"trace {TRACE_ID} continued ")
    assert "late  under root" in line


def test_logs_are_shown_at_once_and_of_metrics_what_has_changed() -> None:
    watched = Watched()
    points = [ReceivedMetricPoint(name="orders", kind="gauge", value=value) for value in (1, 1, 2)]

    watched.live.show(Contents(logs=[ReceivedLog(body="hello")], metrics=points[:1]))
    first = watched.new_lines()
    watched.live.show(Contents(metrics=points[1:2]))
    second = watched.new_lines()
    watched.live.show(Contents(metrics=points[2:]))
    third = watched.new_lines()

    assert "hello" in first[0]
    assert [["orders", "1"], ["orders", "2"]] == [first[-1].split(), third[-1].split()]
    assert [] == second


def test_what_is_held_back_at_the_end_is_shown() -> None:
    watched = Watched()
    watched.live.show(Contents(spans=[span("lost", "gone")]))

    watched.live.finish()

    assert "(parent not received)" in watched.new_lines()[1]
