"""`aiotel demo` as a newcomer runs it: the report is of what went over the wire."""

from __future__ import annotations

import re
import signal
import socket
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from aiotel._receiver.terminal import text as words
from aiotel.testing import Receiver, Trace

from .processes import AIOTEL, Outcome, run, start

pytestmark = pytest.mark.slow

WIDE = {"COLUMNS": "140"}
DEMO = (*AIOTEL, "demo", "--seconds", "1")
MISTAKES = (
    "a coroutine is never awaited",
    "a background task fails",
    "a handler blocks the loop",
    "two tasks deadlock",
)
_LINE = re.compile(r"^(?P<guides>[ │├└─]*)(?P<sign>[✓✗⊘]) (?P<name>[\w.]+)")


@dataclass(frozen=True)
class Shown:
    """What the demo did with a collector there, and what that collector got."""

    outcome: Outcome
    collector: Receiver

    @property
    def lines(self) -> list[str]:
        return self.outcome.stdout.splitlines()

    def received(self, trace_id: str) -> Trace:
        (trace,) = [trace for trace in self.collector.traces() if trace.trace_id == trace_id]
        return trace


@pytest.fixture(scope="module")
def shown() -> Iterator[Shown]:
    with Receiver() as collector:
        environ = {**WIDE, "OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint}
        yield Shown(run(*DEMO, environ=environ), collector)


def tree_below(lines: Sequence[str], headline: str) -> list[tuple[int, str, str]]:
    """Depth, sign and name of each line of a tree that stands for one span."""
    rest = lines[lines.index(headline) + 1 :]
    found = [_LINE.match(line) for line in rest[: rest.index("")]]
    return [(len(each["guides"]) // 3, each["sign"], each["name"]) for each in found if each]


def test_what_it_counts_is_what_the_collector_got(shown: Shown) -> None:
    counts, traces = shown.collector.counts, shown.collector.traces()
    requests = sum(counts.requests.values())
    by_signal = ", ".join(
        f"{counts.requests[signal]} of {signal}" for signal in ("traces", "metrics", "logs")
    )

    assert (0, 0) == (shown.outcome.status, counts.refused)
    assert shown.lines[1].startswith(
        f"{counts.spans:,} spans in {len(traces):,} traces, {words.count(counts.logs, 'log')},"
        f" {counts.metrics:,} metric points;"
        f" {requests} requests, "
    )
    assert f"the collector took these requests, too: {by_signal}" == shown.lines[3]


def test_its_trees_are_the_traces_that_went_over_the_wire(shown: Shown) -> None:
    headline = next(line for line in shown.lines if line.startswith("trace "))
    trace = shown.received(headline.split()[1])
    signs = {"returned": "✓", "raised": "✗", "cancelled": "⊘"}

    assert [
        (depth, signs[str(node.span.attributes["asyncio.task.outcome"])], node.span.name)
        for depth, node in trace.walk()
    ] == tree_below(shown.lines, headline)


def test_the_visit_that_failed_has_its_tasks_under_the_right_parents(shown: Shown) -> None:
    headline = next(line for line in shown.lines if line.startswith("trace "))
    outline = shown.received(headline.split()[1]).outline()

    assert [
        "Server.serve_connection",
        "  Orders.list",
        "  Orders.pay",
        "    Stock.reserve",
        "    Orders.charge",
        "    Orders.send_receipt",
        "  Orders.export",
    ] == [name for name in outline if "read_page" not in name]
    assert 3 == outline.count("    Orders.read_page")


def test_the_service_itself_is_a_trace_of_its_background_work(shown: Shown) -> None:
    (main,) = [trace for trace in shown.collector.traces() if trace.roots[0].span.name == "main"]
    children = {node.span.name for node in main.roots[0].children}
    grandchildren = {(depth, node.span.name) for depth, node in main.walk() if depth == 2}

    assert {
        "pack_orders",
        "refresh_rates",
        "regular_customer",
        "pay_with_a_voucher",
        "pay_without_an_address",
        "export_as_pdf",
        "move_stock_both_ways",
    } <= children
    assert {(2, "fetch_item"), (2, "fetch_rate"), (2, "move_stock")} == grandchildren


def test_the_failure_is_there_with_its_traceback_and_its_trace(shown: Shown) -> None:
    (log,) = [log for log in shown.collector.logs if log.event_name == "exception"]
    at = shown.lines.index("    ValueError: eve has no e-mail address")
    places = [line.strip().rpartition("/")[2] for line in shown.lines[at + 1 : at + 7]]

    assert [
        ("orders.py", "Orders.send_receipt"),
        ("orders.py", "compose_receipt"),
        ("orders.py", "address_of"),
    ] == [
        (found[1], found[2])
        for place in places
        if (found := re.fullmatch(r"(\w+\.py):\d+ in ([\w.]+)", place))
    ]
    assert any(line.endswith(f"trace {log.trace_id}  span {log.span_id}") for line in shown.lines)
    assert f"    http://127.0.0.1:16686/trace/{log.trace_id}" in shown.lines


def test_the_coroutine_that_never_ran_is_there_with_the_line_that_dropped_it(shown: Shown) -> None:
    (log,) = [log for log in shown.collector.logs if log.event_name == "asyncio.coroutine.never_awaited"]
    file, line = str(log.attributes["code.file.path"]), int(str(log.attributes["code.line.number"]))
    at = next(n for n, line in enumerate(shown.lines) if line.startswith("✓ a coroutine is never awaited"))
    request = next(trace for trace in shown.collector.traces() if trace.trace_id == log.trace_id)

    assert "self.redeem_voucher(order" in Path(file).read_text().splitlines()[line - 1]
    assert log.attributes["asyncio.coroutine.dropped.function"] == "Orders.pay"
    assert "Orders.pay" in {node.span.name for _, node in request.walk() if node.span.span_id == log.span_id}
    assert re.fullmatch(
        rf"    seen: log asyncio.coroutine.never_awaited at [\d:.]+, \S*orders\.py:{line}",
        shown.lines[at + 1],
    )


def test_each_mistake_has_its_line_and_that_of_the_failure_says_seen(shown: Shown) -> None:
    titles = [line[2:].partition(":")[0] for line in shown.lines if line[2:].startswith(MISTAKES)]
    at = next(n for n, line in enumerate(shown.lines) if line.startswith("✓ a background task fails"))

    assert list(MISTAKES) == titles
    assert re.fullmatch(
        r"    seen: log exception at [\d:.]+, and the red span Orders.send_receipt", shown.lines[at + 1]
    )


def test_without_a_collector_named_it_receives_for_itself() -> None:
    outcome = run(*DEMO, environ=WIDE)

    assert 0 == outcome.status
    assert re.search(r"^[\d,]+ spans in \d+ traces, \d+ logs?, ", outcome.stdout, re.MULTILINE)
    assert re.search(
        r"^from aiotel-demo, by OTLP/HTTP to http://127.0.0.1:\d+$", outcome.stdout, re.MULTILINE
    )
    told = ("the shop is open", "never awaited", "a background task fails", "blocks the loop", "deadlock")
    assert list(told) == [part for part in told if part in outcome.stderr]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ended_early_it_reports_what_came_and_leaves_nothing_running(number: signal.Signals) -> None:
    with start(*AIOTEL, "demo", "--seconds", "60", environ=WIDE) as process:
        assert process.stderr is not None
        told = b""
        for line in process.stderr:
            told += line
            if b"customers list" in line:
                break
        process.send_signal(number)
        stdout, _ = process.communicate(timeout=30)
    port = re.search(rb"http://127.0.0.1:(\d+)/orders", told)

    assert 0 == process.returncode
    assert re.search(r"^\d+ spans? in \d+ trace", stdout.decode(), re.MULTILINE)
    assert port is not None
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", int(port[1])))


def test_a_reader_who_leaves_before_the_report_is_no_error() -> None:
    with start(*DEMO, environ=WIDE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        told = process.stderr.read()

    assert 0 == process.returncode
    assert b"Traceback" not in told


def test_where_nothing_comes_it_says_so_and_what_may_be_the_reason() -> None:
    outcome = run(*DEMO, environ={"AIOTEL_DISABLED": "true"})

    assert (1, "") == (outcome.status, outcome.stdout)
    assert outcome.stderr.endswith(
        "aiotel: nothing was received; the service ended with status 0; is it because of AIOTEL_DISABLED?\n"
    )


@pytest.mark.parametrize("seconds", ["0.5", "601", "nan", "soon"])
def test_so_many_seconds_are_refused_in_a_line(seconds: str) -> None:
    outcome = run(*AIOTEL, "demo", "--seconds", seconds)

    assert (2, "") == (outcome.status, outcome.stdout)
    assert outcome.stderr == (
        f"aiotel demo: argument --seconds: {seconds!r} is not a number of seconds from 1 to 600"
        " (see aiotel demo --help)\n"
    )


def test_a_collector_that_cannot_be_one_is_refused_in_a_line() -> None:
    outcome = run(*DEMO, environ={"OTEL_EXPORTER_OTLP_ENDPOINT": "collector"})

    assert (2, 1) == (outcome.status, outcome.stderr.count("\n"))
    assert "'collector' is no endpoint" in outcome.stderr


def test_without_rich_it_says_how_to_get_it(tmp_path: Path) -> None:
    program = tmp_path / "bare.py"
    program.write_text(
        "import sys; sys.modules['rich'] = None; from aiotel._cli import main; sys.exit(main(['demo']))"
    )

    outcome = run(sys.executable, program)

    assert (2, "") == (outcome.status, outcome.stdout)
    assert outcome.stderr == (
        "aiotel: the demo draws with rich, which is not there: pip install 'aiotel[cli]'\n"
    )
