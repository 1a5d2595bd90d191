"""A process that just ends loses no finished task, whichever of provider and aiotel was made first."""

from __future__ import annotations

import sys
from collections import Counter

import pytest

from aiotel.testing import Receiver

from ..cli.processes import run

PROGRAM = """
import asyncio, sys
import aiotel
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

def provide():
    provider = TracerProvider()
    trace.set_tracer_provider(provider)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))

async def one():
    pass

async def main():
    if "inside" in sys.argv:
        provide()
    for _ in range(3):
        await asyncio.gather(*(one() for _ in range(900)))

if "before" in sys.argv:
    provide()
aiotel.instrument()
if "after" in sys.argv:
    provide()
asyncio.run(main())
if "failing" in sys.argv:
    raise SystemExit(3)
"""


@pytest.mark.parametrize("how", ["before", "after", "inside", "after failing"])
def test_every_span_of_a_process_that_ends_without_a_flush_arrives(how: str) -> None:
    with Receiver() as receiver:
        outcome = run(
            *(sys.executable, "-W", "error", "-c", PROGRAM, *how.split()),
            environ={"OTEL_EXPORTER_OTLP_ENDPOINT": receiver.endpoint, "AIOTEL_TRACE_MAX_TASKS": "100000"},
        )
        names = Counter(span.name for span in receiver.spans)

    assert (outcome.status, outcome.stdout, outcome.stderr) == (3 if "failing" in how else 0, "", "")
    assert names == {"one": 2700, "main": 1}
