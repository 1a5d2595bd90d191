from __future__ import annotations

import pytest

from aiotel._receiver import trees
from aiotel._receiver.received import ReceivedEvent, ReceivedLink, ReceivedSpan
from aiotel._receiver.terminal import text
from aiotel._receiver.terminal.traces import Drawing, error_of

from .conftest import MS, TRACE_ID, Shown, span

BEGINNING = 1_800_000_000_000  # milliseconds: a date like any other

EXCEPTION = ReceivedEvent(
    name="exception", attributes={"exception.type": "shop.NoFunds", "exception.message": "card declined"}
)


def shop() -> list[ReceivedSpan]:
    at = float(BEGINNING)
    return [
        span("POST /pay", at=at, ms=200, kind="SERVER"),
        span("Basket.load", "POST /pay", at=at + 5, ms=50, task_outcome="returned", task_name="Task-7"),
        span(
            "Checkout.pay",
            "POST /pay",
            at=at + 60,
            ms=100,
            task_outcome="raised",
            task_name="payment 7",
            error_type="shop.NoFunds",
            status="ERROR",
            message="card declined",
        ),
        span("charge", "Checkout.pay", at=at + 80, ms=80, status="ERROR", events=(EXCEPTION,)),
        span("refresh", "POST /pay", at=at + 100, ms=100, task_outcome="cancelled", service="prices"),
        span("audit", "POST /pay", at=at + 190, ms=10, task_outcome="pending"),
    ]


def test_a_trace_is_a_tree_with_durations_outcomes_errors_and_a_time_line(shown: Shown) -> None:
    (trace,) = trees.build(shop())

    assert [
        f"trace {TRACE_ID}  shop  6 spans, 2 errors, 200 ms ────────",
        "· POST /pay  server                                  200 ms ━━━━━━━━━━━━━━━━━━━━",
        "├─ ✓ Basket.load                                    50.0 ms ━━━━━",
        '├─ ✗ Checkout.pay  "payment 7"                       100 ms       ━━━━━━━━━━',
        "│  └─ ✗ charge                                      80.0 ms         ━━━━━━━━",
        "│        shop.NoFunds: card declined",
        "├─ ⊘ refresh  cancelled  in prices                   100 ms           ━━━━━━━━━━",
        "└─ … audit  pending                                 10.0 ms                    ━",
        "",
    ] == shown(lambda screen: screen.show_trace(trace))


def test_the_headline_has_the_time_where_there_is_room(shown: Shown) -> None:
    (trace,) = trees.build(shop())

    headline, *_ = shown(lambda screen: screen.show_trace(trace), width=120)

    assert f"trace {TRACE_ID}  shop  6 spans, 2 errors, 200 ms at 08:00:00.000 " + "─" * 32 == headline


@pytest.mark.parametrize("width", [20, 40, 59, 60, 80, 113, 160, 400])
def test_no_line_is_wider_than_the_screen(shown: Shown, width: int) -> None:
    spans = shop()
    spans.append(span("x" * 500, "charge", at=BEGINNING + 81, task_name="漢" * 300))
    (trace,) = trees.build(spans)

    lines = shown(lambda screen: screen.show_trace(trace), width=width)

    assert max(len(line) for line in lines) <= max(40, min(width, 160))


def test_what_a_sender_writes_cannot_steer_the_terminal(shown: Shown) -> None:
    evil = "\x1b]0;owned\x07[red]\u202e"
    event = ReceivedEvent(name=evil, attributes={evil: evil})
    spans = [
        span(evil, id="1", task_name=evil, service=evil, status="ERROR", message=evil, events=(event,)),
        span(evil, "1", id="2", service="other", links=(ReceivedLink(trace_id=evil, span_id=evil),)),
    ]
    (trace,) = trees.build(spans)

    shown_text = "\n".join(shown(lambda screen: screen.show_trace(trace), width=160))

    assert not set(shown_text) & {"\x1b", "\x07", "\u202e"}
    assert r"\x1b]0;owned\x07[red]\u202e" in shown_text


def test_a_thousand_equal_children_are_one_line(shown: Shown) -> None:
    spans = [span("main", ms=2000)]
    spans += [span("work", "main", id=f"{i}", at=i, ms=i + 1, task_outcome="returned") for i in range(997)]
    (trace,) = trees.build(spans)
    times = text.UNICODE.times

    assert [
        "· main                                               2.00 s ━━━━━━━━━━━━━━━━━━━━",
        f"└─ ✓ work {times}997  1.00 ms to 997 ms              Σ 8 min 18 s ━━━━━━━━━━━━━━━━━━━━",
    ] == shown(lambda screen: screen.show_trace(trace))[1:3]


def test_events_and_links_stand_below_their_span(shown: Shown) -> None:
    stall = ReceivedEvent(
        name="asyncio.stall", time_ns=30 * MS, attributes={"asyncio.stall.duration": 0.12, "cause": "cpu"}
    )
    link = ReceivedLink(trace_id="f" * 32, span_id="e" * 16)
    spans = [span("refresh", ms=90, events=(stall,), links=(link,), task_detached_reason="age")]
    (trace,) = trees.build(spans)

    assert [
        "   • after 30.0 ms: asyncio.stall duration=0.12 cause=cpu",
        f"   ↪ linked to trace {'f' * 32} (detached: age)",
    ] == shown(lambda screen: screen.show_trace(trace))[2:4]


def test_many_events_are_counted(shown: Shown) -> None:
    events = tuple(ReceivedEvent(name=f"e{i}") for i in range(9))
    (trace,) = trees.build([span("root", events=events)])

    assert "   … 4 more events" == shown(lambda screen: screen.show_trace(trace))[7]


def test_an_orphan_says_so(shown: Shown) -> None:
    (trace,) = trees.build([span("root"), span("lost", "gone", at=0.5)])

    assert "· lost  (parent not received)" in shown(lambda screen: screen.show_trace(trace))[2]


def test_an_addition_names_its_trace_and_the_parents_shown_before(shown: Shown) -> None:
    (trace,) = trees.build([span("late", "pay")])

    headline, line, *_ = shown(
        lambda screen: screen.show_trace(trace, known={"pay": "Checkout.pay"}, is_addition=True)
    )

    assert headline.startswith(f"trace {TRACE_ID} continued  shop  1 more span, 1.00 ms ")
    assert line.startswith("· late  under Checkout.pay ")


def test_a_terminal_without_unicode_gets_plain_signs() -> None:
    (trace,) = trees.build(shop())

    lines = [line.plain for line in Drawing(trace, width=80, glyphs=text.glyphs("ascii")).lines()]

    assert all(line.isascii() for line in lines)
    assert "`- ? audit  pending" in lines[-1]


@pytest.mark.parametrize(
    ("received", "error"),
    [
        (span("ok"), ""),
        (span("told", status="ERROR", message="no funds"), "no funds"),
        (span("typed", status="ERROR", message="no funds", error_type="ValueError"), "ValueError: no funds"),
        (span("twice", status="ERROR", message="NoFunds: x", error_type="shop.NoFunds"), "NoFunds: x"),
        (span("bare", status="ERROR", error_type="shop.NoFunds"), "shop.NoFunds"),
        (span("recorded", events=(EXCEPTION,)), "shop.NoFunds: card declined"),
    ],
    ids=lambda value: getattr(value, "name", None),
)
def test_an_error_is_told_in_one_line(received: ReceivedSpan, error: str) -> None:
    assert error == error_of(received)
