from __future__ import annotations

import pytest

from aiotel._receiver import assembly
from aiotel._receiver.assembly import (
    HOLD_SECONDS,
    QUIET_SECONDS,
    REMOTE_SECONDS,
    SETTLE_SECONDS,
    Assembly,
    Piece,
)
from aiotel._receiver.received import ReceivedSpan


def span(name: str, parent: str | None = None, *, trace: str = "t", flags: int = 0) -> ReceivedSpan:
    return ReceivedSpan(trace_id=trace, span_id=name, parent_span_id=parent, name=name, flags=flags)


def outlines(pieces: list[Piece]) -> list[list[str]]:
    return [piece.trace.outline() for piece in pieces]


def test_a_trace_is_due_a_moment_after_its_root_has_come() -> None:
    held = Assembly()

    held.add([span("child", "root")], now=0.0)
    held.add([span("root")], now=4.0)

    assert 4.0 + SETTLE_SECONDS == held.next_due()
    assert [] == held.due(4.0)
    assert [["root", "  child"]] == outlines(held.due(4.0 + SETTLE_SECONDS))
    assert held.next_due() is None


@pytest.mark.parametrize(("flags", "patience"), [(0x300, REMOTE_SECONDS), (0x100, QUIET_SECONDS)])
def test_a_trace_without_a_root_is_due_when_it_is_quiet(flags: int, patience: float) -> None:
    held = Assembly()

    held.add([span("serve", "elsewhere", flags=flags)], now=0.0)
    held.add([span("load", "serve", flags=0x100)], now=1.0)

    assert [] == held.due(0.9 + patience)
    assert [["? serve", "  load"]] == outlines(held.due(1.0 + patience))


def test_a_trace_that_never_is_quiet_is_shown_bit_by_bit() -> None:
    held = Assembly()
    for second in range(int(HOLD_SECONDS)):
        held.add([span(f"tick {second}", "main")], now=float(second))
        assert [] == held.due(float(second))

    (piece,) = held.due(HOLD_SECONDS)

    assert int(HOLD_SECONDS) == len(piece.trace.spans)


def test_what_comes_later_is_an_addition_that_knows_the_names_of_the_spans_before() -> None:
    held = Assembly()
    held.add([span("root"), span("child", "root")], now=0.0)
    (first,) = held.due(10.0)
    held.add([span("late", "child")], now=20.0)

    (second,) = held.due(20.0 + SETTLE_SECONDS)

    assert (False, {}) == (first.is_addition, first.known)
    assert (True, {"root": "root", "child": "child"}) == (second.is_addition, second.known)
    assert [["? late"]] == outlines([second])


def test_traces_do_not_wait_for_each_other() -> None:
    held = Assembly()
    held.add([span("a", "x", trace="slow"), span("b", trace="quick")], now=0.0)

    assert [["b"]] == outlines(held.due(SETTLE_SECONDS))
    assert [["? a"]] == outlines(held.rest())
    assert [] == held.rest()


def test_too_many_spans_do_not_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(assembly, "_MAX_HELD_SPANS", 2)
    held = Assembly()

    held.add([span("a", "x", trace="1"), span("b", "x", trace="2"), span("c", "x", trace="3")], now=0.0)

    assert [["? a"]] == outlines(held.due(0.0))


def test_only_so_many_names_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(assembly, "_MAX_KNOWN_SPANS", 1)
    held = Assembly()
    held.add([span("a", trace="1"), span("b", trace="2")], now=0.0)
    held.rest()

    held.add([span("d", "b", trace="2"), span("c", "a", trace="1")], now=1.0)

    assert [True, False] == [piece.is_addition for piece in held.rest()]
