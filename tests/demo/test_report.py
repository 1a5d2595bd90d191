from __future__ import annotations

import io
import re
from collections import Counter
from collections.abc import Sequence

from rich.console import Console

from aiotel._demo.destination import Destination
from aiotel._demo.relay import Answers
from aiotel._demo.report import Report, Surroundings
from aiotel._receiver.received import ReceivedLog, ReceivedSpan
from aiotel._receiver.store import Contents, Counts

from .received import counter, log, span

HERE = Surroundings(endpoint="http://127.0.0.1:9999")
VISIT = [
    span("serve", ms=30),
    span("Orders.pay", "serve", task="POST /orders/1/pay", ms=20),
    span("Orders.send_receipt", "Orders.pay", outcome="raised", ms=9),
]
PDF = span("Orders.export", task="GET /orders/export?format=pdf", trace="p", ms=405)
MOVES = [
    span("Stock.move", task=f"POST /stock/move?from={place}", trace=place, outcome="cancelled", ms=3200)
    for place in ("harbour", "airport")
]

TRACEBACK = """\
Traceback (most recent call last):
  File "/srv/shop.py", line 92, in send
    compose()
ValueError: eve has no e-mail address
"""


def shown(
    *,
    spans: Sequence[ReceivedSpan] = (),
    logs: Sequence[ReceivedLog] = (),
    surroundings: Surroundings = HERE,
    width: int = 100,
) -> list[str]:
    contents = Contents(spans=spans, logs=logs, metrics=[counter("asyncio.task.started", len(spans))])
    counts = Counts(spans=len(spans), logs=len(logs), metrics=1, requests={"traces": 2, "metrics": 1})
    console = Console(file=io.StringIO(), width=width, highlight=False, markup=False, emoji=False)
    Report(contents, counts, surroundings, console=console).show()
    assert isinstance(console.file, io.StringIO)
    return [line.rstrip() for line in console.file.getvalue().splitlines()]


def section(lines: Sequence[str], title: str) -> list[str]:
    """The lines under a heading, down to the next one."""
    start = next(number for number, line in enumerate(lines) if line.startswith(f"── {title}")) + 1
    rest = lines[start:]
    end = next((number for number, line in enumerate(rest) if line.startswith("── ")), len(rest))
    return [line for line in rest[:end] if line]


def test_it_begins_with_what_came() -> None:
    assert [
        "3 spans in 1 trace, 0 logs, 1 metric point; 3 requests, 0 B",
        "from shop, by OTLP/HTTP to http://127.0.0.1:9999",
    ] == section(shown(spans=VISIT), "Received")


def test_a_failure_stands_in_its_trace_and_below_with_its_traceback() -> None:
    failure = log(
        "exception",
        code_function_name="shop.Orders.send_receipt",
        exception_type="ValueError",
        exception_message="eve has no e-mail address",
        exception_stacktrace=TRACEBACK,
    )
    lines = shown(spans=VISIT, logs=[failure])

    tree = [re.split(r"(?<=\w)  ", line)[0] for line in section(lines, "Each task")[1:]]
    assert ["✓ serve", "└─ ✓ Orders.pay", "   └─ ✗ Orders.send_receipt"] == tree
    assert [
        "    ValueError: eve has no e-mail address",
        "      /srv/shop.py:92 in send",
        "        compose()",
    ] == section(lines, "Each failure")[1:4]


def test_what_was_met_and_not_told_of_is_named_as_not_seen() -> None:
    mistakes = section(shown(spans=[*VISIT, PDF, *MOVES], width=140), "The four mistakes")

    stall = "    not seen: no log asyncio.stall came; GET /orders/export?format=pdf returned after 405 ms"
    deadlock = (
        "    not seen: no log asyncio.deadlock came; POST /stock/move?from=harbour cancelled after 3.20 s"
    )
    assert [stall, f"{deadlock}, and so did 1 other"] == [
        line for line in mistakes if line.startswith("    not seen")
    ]
    assert mistakes[-1].startswith("What is not seen, aiotel ")
    assert 2 == sum("no span came of a request that meets it" in line for line in mistakes)


def test_mistakes_are_seen_as_soon_as_logs_tell_of_them() -> None:
    logs = [
        log(
            "asyncio.coroutine.never_awaited",
            severity=13,
            code_file_path="/srv/shop.py",
            code_line_number="61",
        ),
        log("asyncio.stall", severity=13),
        log("asyncio.deadlock"),
        log("exception", code_function_name="shop.Orders.send_receipt"),
    ]
    mistakes = section(shown(spans=[*VISIT, PDF, *MOVES], logs=logs), "The four mistakes")

    assert ["✓", "✓", "✓", "✓"] == [line[0] for line in mistakes if not line.startswith(" ")]
    assert "    seen: log asyncio.coroutine.never_awaited at --:--:--.---, /srv/shop.py:61" == mistakes[1]


def test_the_red_span_is_named_with_the_log_that_belongs_to_it() -> None:
    failure = ReceivedLog(
        event_name="exception",
        severity_number=17,
        trace_id="t",
        span_id="t.Orders.send_receipt",
        attributes={"code.function.name": "shop.Orders.send_receipt"},
    )
    mistakes = section(shown(spans=VISIT, logs=[failure]), "The four mistakes")

    assert "    seen: log exception at --:--:--.---, and the red span Orders.send_receipt" in mistakes


def test_where_nothing_came_of_a_signal_it_says_so() -> None:
    lines = shown()

    assert ["no span was received"] == section(lines, "Each task")
    assert ["no log of a failure was received"] == section(lines, "Each failure")


def test_the_collectors_answers_are_told() -> None:
    surroundings = Surroundings(
        endpoint="http://127.0.0.1:9999",
        destination=Destination(name="http://jaeger:4318", urls={"traces": "http://jaeger:4318/v1/traces"}),
        answers={"traces": Answers(taken=2), "metrics": Answers(problems=Counter({"404 Not Found": 3}))},
    )
    lines = shown(spans=VISIT, surroundings=surroundings)

    assert [
        "the collector took these requests, too: 2 of traces",
        "the collector did not take all metrics: 3 \N{MULTIPLICATION SIGN} 404 Not Found",
    ] == section(lines, "Received")[2:]
    assert [
        "The traces are at http://jaeger:4318, too. In Jaeger:",
        "    http://jaeger:16686/search?service=shop",
        "    http://jaeger:16686/trace/t",
    ] == section(lines, "Where to look")


def test_a_collector_that_took_no_traces_is_no_place_to_look() -> None:
    surroundings = Surroundings(
        endpoint="http://127.0.0.1:9999",
        destination=Destination(name="http://dead:4318", urls={"traces": "http://dead:4318/v1/traces"}),
        answers={"traces": Answers(problems=Counter({"no connection": 2}))},
    )

    assert ["The collector at http://dead:4318 took no traces."] == section(
        shown(spans=VISIT, surroundings=surroundings), "Where to look"
    )


def test_stderr_is_summed_up_under_a_heading_of_its_own() -> None:
    stderr = ["Task exception was never retrieved", "  somewhere", '{"event": "failed"}']
    surroundings = Surroundings(endpoint="http://127.0.0.1:9999", stderr=stderr)

    assert ["Task exception was never retrieved", "… 2 more lines, 1 of them aiotel's own log"] == section(
        shown(surroundings=surroundings), "What the shop itself wrote"
    )


def test_nothing_is_wider_than_the_terminal() -> None:
    long = [span("Orders.export", task=f"GET /orders/export?format=pdf&{'x' * 90}"), *MOVES]

    for width in (80, 100, 140):
        assert width >= max(map(len, shown(spans=long, width=width)))
