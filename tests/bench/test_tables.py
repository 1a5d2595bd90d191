from __future__ import annotations

import json

from tests.bench.results import Figures, Row, Step
from tests.bench.samples import Sample
from tests.bench.tables import as_json, as_markdown, as_text

MACHINE = {
    "date": "2026-01-02",
    "cpu": "A Processor",
    "cores": "2",
    "system": "Linux 6",
    "python": "CPython 3.11.7",
    "aiotel": "0.1.0",
    "OpenTelemetry": "1.45.1",
    "opentelemetry-instrumentation-asyncio": "not installed",
    "uvloop": "0.23.0",
}
PLAIN = Row(name="plain", title="plain asyncio", budget=None, thread_us=4.0)
METRICS = Row(
    name="aiotel-metrics",
    title="aiotel, metrics only",
    budget=2.5,
    thread_us=6.0,
    over_us=2.0,
    spread_us=0.1,
    units=1.9,
    full_us=0.25,
    process_us=7.5,
    process_over_us=2.5,
    live_bytes=313.2,
    verdict="met",
)
FAILED = Row(name="aiotel-recorded", title="aiotel, recorded", budget=4.0, faults=("899 spans, not 900",))
STEP = Step(plain_us=1.5, aiotel_us=1.51, over_us=0.01, verdict="met")


def figures(*rows: Row) -> Figures:
    return Figures(loop="asyncio", rounds=12, rows=rows, step=STEP, live_plain_bytes=774.0)


def test_the_header_says_where_and_when() -> None:
    first = as_text(MACHINE, [figures(PLAIN)]).splitlines()[0]

    assert first == (
        "2026-01-02: A Processor, 2 cores, Linux 6, CPython 3.11.7; aiotel 0.1.0, OpenTelemetry 1.45.1,"
        " opentelemetry-instrumentation-asyncio not installed, uvloop 0.23.0; 12 rounds, all interleaved."
    )


def test_a_row_has_its_figures_and_its_verdict() -> None:
    line = next(line for line in as_text(MACHINE, [figures(METRICS)]).splitlines() if "metrics" in line)

    assert ["6.00", "2.00", "0.10", "1.9", "2.5:", "met", "0.25", "2.50", "313"] == line.split()[3:]


def test_a_candidate_that_failed_has_no_time_and_its_reason_is_said() -> None:
    lines = as_text(MACHINE, [figures(PLAIN, FAILED)]).splitlines()

    assert ["aiotel,", "recorded", "failed"] == next(line for line in lines if "recorded" in line).split()
    assert "Failed: aiotel, recorded: 899 spans, not 900." in lines


def test_the_table_of_the_readme_is_a_table_of_markdown() -> None:
    lines = as_markdown(MACHINE, [figures(PLAIN, METRICS)]).splitlines()
    table = [line for line in lines if line.startswith("|")]

    assert table[0].startswith("| asyncio | µs a task | over plain |")
    assert table[3] == "| aiotel, metrics only | 6.00 | 2.00 | 0.10 | 1.9 | 2.5: met | 0.25 | 2.50 | 313 |"
    assert {table[0].count("|")} == {line.count("|") for line in table}


def test_json_has_everything_down_to_each_sample() -> None:
    sample = Sample(measure="task", loop="asyncio", round=0, candidate="plain", thread_us=4.0, tasks=900)

    written = json.loads(as_json(MACHINE, [figures(METRICS)], [sample]))

    assert MACHINE == written["machine"]
    assert 1.9 == written["figures"][0]["rows"][0]["units"]
    assert sample == Sample.from_json(json.dumps(written["samples"][0]))
