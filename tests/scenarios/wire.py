"""Run a small program with aiotel, and see what it gave: over the wire, and in structlog's lines."""

from __future__ import annotations

import json
import random
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

import aiotel
from aiotel.testing import ReceivedLog, ReceivedMetricPoint, ReceivedSpan, Receiver

from ..conftest import NEVER_S


@dataclass(frozen=True)
class Program:
    """A program made from a text, with names of its own: no detector can know it."""

    file: str
    module: str
    names: dict[str, str]
    namespace: dict[str, Any]
    marked: dict[str, int]
    """The lines with a mark behind them (`#! mark`), by the mark."""

    def qualified(self, name: str) -> str:
        """The function of this name in the text, as telemetry calls it."""
        return f"{self.module}.{self.names[name]}"


def program_of(text: str, *names: str) -> Program:
    """The program; in its text, `NAME` stands for a name that is another one each time."""
    seed = random.randrange(1 << 32)
    source = random.Random(seed)
    given = {name: "".join(source.choices("abcdefghijklm", k=10)) for name in names}
    text = textwrap.dedent(text)
    for name, stands in given.items():
        text = text.replace(name, stands)
    module = f"program_{seed}"
    file = f"/srv/{module}.py"
    namespace: dict[str, Any] = {"__name__": module}
    exec(compile("\n" * source.randrange(50) + text, file, "exec"), namespace)
    first = namespace["main"].__code__.co_firstlineno
    lines = text.splitlines()
    offset = first - next(
        n for n, line in enumerate(lines, 1) if line.startswith(("async def main", "def main"))
    )
    marked = {
        line.partition("#! ")[2]: number + offset for number, line in enumerate(lines, 1) if "#! " in line
    }
    return Program(file, module, given, namespace, marked)


@dataclass
class Told:
    """What a program's telemetry was."""

    logs: list[ReceivedLog] = field(default_factory=list)
    metrics: list[ReceivedMetricPoint] = field(default_factory=list)
    spans: list[ReceivedSpan] = field(default_factory=list)
    lines: list[dict[str, Any]] = field(default_factory=list)
    """structlog's."""

    @property
    def events(self) -> list[tuple[str, str]]:
        """Name and severity of each log."""
        return [(log.event_name, log.severity_text) for log in self.logs]

    def counts(self, name: str) -> dict[str, float]:
        """The last values of a counter that are not zero, by their one attribute."""
        latest = {
            str(next(iter(point.attributes.values()))): point.value or 0
            for point in self.metrics
            if point.name == name and point.attributes
        }
        return {key: value for key, value in latest.items() if value}


@contextmanager
def wire(capsys: pytest.CaptureFixture[str], **settings: Any) -> Iterator[Told]:
    """Telemetry goes to a receiver while this lasts; afterwards it is there to be looked at.

    Stalls are for those to see who ask for them.
    """
    told = Told()
    settings.setdefault("stall_after", NEVER_S)
    resource = Resource({})
    with Receiver() as receiver:
        spans = TracerProvider(resource=resource, shutdown_on_exit=False)
        spans.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(f"{receiver.endpoint}/v1/traces")))
        logs = LoggerProvider(resource=resource, shutdown_on_exit=False)
        logs.add_log_record_processor(
            BatchLogRecordProcessor(OTLPLogExporter(f"{receiver.endpoint}/v1/logs"))
        )
        reader = PeriodicExportingMetricReader(
            OTLPMetricExporter(f"{receiver.endpoint}/v1/metrics"), 3_600_000
        )
        metrics = MeterProvider([reader], resource=resource, shutdown_on_exit=False)
        session = aiotel.instrument(
            aiotel.Config(**settings), tracer_provider=spans, logger_provider=logs, meter_provider=metrics
        )
        try:
            yield told
            assert session.flush(timeout=30)
            assert metrics.force_flush()
        finally:
            aiotel.uninstrument()
            for provider in (spans, logs, metrics):
                provider.shutdown()
        told.logs, told.metrics, told.spans = [*receiver.logs], [*receiver.metrics], [*receiver.spans]
    told.lines = [json.loads(line) for line in capsys.readouterr().err.splitlines() if line.startswith("{")]
