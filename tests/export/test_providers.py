"""Providers built from `OTEL_*` send what they should, where they should, and yield to the program's own."""

from __future__ import annotations

import asyncio
import os
import socket
import threading
from collections.abc import Iterator
from concurrent import futures
from typing import Any

import pytest
from opentelemetry import _logs, metrics, trace
from opentelemetry.metrics import _internal as metrics_internal
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import aiotel
from aiotel import Config
from aiotel._complaints import complaints
from aiotel.testing import Receiver

from ..conftest import Loops


async def leaf() -> None:
    await asyncio.sleep(0)


async def main() -> None:
    await asyncio.gather(leaf(), leaf())


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as receiver:
        yield receiver


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in list(os.environ):
        if name.startswith(("OTEL_", "AIOTEL_")):
            monkeypatch.delenv(name)
    yield
    aiotel.uninstrument()


def _run(receiver: Receiver, monkeypatch: pytest.MonkeyPatch, **environ: str) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.endpoint)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    aiotel.run(main())
    aiotel.uninstrument()


def test_all_three_signals_arrive_with_the_resource(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    _run(receiver, monkeypatch, OTEL_SERVICE_NAME="shop", OTEL_RESOURCE_ATTRIBUTES="team=orders")

    assert [trace.outline() for trace in receiver.traces()] == [["main", "  leaf", "  leaf"]]
    resource = receiver.spans[0].resource
    assert (resource["service.name"], resource["team"], resource["process.pid"]) == (
        "shop",
        "orders",
        os.getpid(),
    )
    assert resource["host.name"] == socket.gethostname()
    assert {"asyncio.task.started", "asyncio.task.duration"} <= {point.name for point in receiver.metrics}


def test_headers_go_along(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    _run(receiver, monkeypatch, OTEL_EXPORTER_OTLP_HEADERS="authorization=Bearer%20x")

    assert {request.headers.get("authorization") for request in receiver.requests} == {"Bearer x"}


def test_a_sampler_is_honoured(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    _run(receiver, monkeypatch, OTEL_TRACES_SAMPLER="always_off")

    assert receiver.spans == ()
    assert "asyncio.task.started" in {point.name for point in receiver.metrics}


def test_the_sdk_can_be_disabled(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    _run(receiver, monkeypatch, OTEL_SDK_DISABLED="true")

    assert receiver.requests == ()


def test_a_signal_can_be_left_out_and_another_go_to_the_console(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _run(receiver, monkeypatch, OTEL_METRICS_EXPORTER="none", OTEL_TRACES_EXPORTER="console,otlp")
    output = capsys.readouterr()

    assert (receiver.metrics, len(receiver.spans)) == ((), 3)
    assert (output.out, output.err.count('"name": "leaf"')) == ("", 2)


def test_a_place_that_takes_traces_only_gets_the_rest_once(monkeypatch: pytest.MonkeyPatch) -> None:
    with Receiver() as receiver:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", f"{receiver.endpoint}/nowhere")
        monkeypatch.setenv("OTEL_METRIC_EXPORT_INTERVAL", "20")
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.endpoint)

        async def for_a_while() -> None:
            await asyncio.sleep(0.3)

        aiotel.run(for_a_while())
        aiotel.uninstrument()
        missed = [request for request in receiver.requests if request.path == "/nowhere"]

    assert (len(missed), [span.name.split(".")[-1] for span in receiver.spans]) == (1, ["for_a_while"])


@pytest.mark.parametrize(
    ("variable", "value", "says"),
    [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4318", "it must begin with http:// or https://"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://:4318", "it names no host"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://host:99999", "is no endpoint"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "carrier-pigeon", "use http/protobuf or grpc"),
        ("OTEL_TRACES_EXPORTER", "jaeger", "jaeger is not one of otlp, console, none"),
    ],
)
def test_what_cannot_be_used_is_one_line_and_the_program_runs(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, variable: str, value: str, says: str
) -> None:
    monkeypatch.setenv(variable, value)
    monkeypatch.setenv("OTEL_METRICS_EXPORTER", "none")
    monkeypatch.setenv("OTEL_LOGS_EXPORTER", "none")
    aiotel.run(main(), config=Config(flush_timeout=0.05))
    aiotel.uninstrument()
    complaints.say()

    assert len([line for line in caplog.messages if says in line]) == 1


def test_grpc_is_spoken_where_it_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    grpc = pytest.importorskip("grpc")
    from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc

    received: list[str] = []

    class Service(trace_service_pb2_grpc.TraceServiceServicer):
        def Export(self, request: Any, context: Any) -> Any:  # noqa: N802  # the service's name for it
            received.extend(
                span.name for rs in request.resource_spans for ss in rs.scope_spans for span in ss.spans
            )
            return trace_service_pb2.ExportTraceServiceResponse()

    with futures.ThreadPoolExecutor(1) as pool:
        server = grpc.server(pool)
        trace_service_pb2_grpc.add_TraceServiceServicer_to_server(  # type: ignore[no-untyped-call]  # generated code
            Service(), server
        )
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{port}")
        monkeypatch.setenv("OTEL_METRICS_EXPORTER", "none")
        monkeypatch.setenv("OTEL_LOGS_EXPORTER", "none")
        aiotel.run(main(), config=Config(flush_timeout=20))
        aiotel.uninstrument()
        server.stop(None).wait()

    assert sorted(received) == ["leaf", "leaf", "main"]


def test_our_default_providers_yield_to_what_the_program_sets(
    loops: Loops, receiver: Receiver, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.endpoint)
    monkeypatch.setattr(trace, "_TRACER_PROVIDER_SET_ONCE", type(trace._TRACER_PROVIDER_SET_ONCE)())
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", None)
    exporter = InMemorySpanExporter()
    provider = TracerProvider(resource=Resource({}), shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))

    async def sets_its_own() -> None:
        await leaf()
        trace.set_tracer_provider(provider)
        await asyncio.create_task(leaf())

    session = aiotel.instrument(Config(export=True))
    before = trace.get_tracer_provider()
    loops.run(main())
    session.flush(timeout=20)
    loops.run(sets_its_own())
    session.flush(timeout=20)
    aiotel.uninstrument()

    assert before is not provider
    assert [trace.outline() for trace in receiver.traces()] == [["main", "  leaf", "  leaf"]]
    assert "leaf" in [span.name for span in exporter.get_finished_spans()]
    assert "Overriding" not in caplog.text


def test_default_providers_are_taken_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_TRACES_EXPORTER", "none")
    monkeypatch.setenv("OTEL_METRICS_EXPORTER", "none")
    monkeypatch.setenv("OTEL_LOGS_EXPORTER", "none")
    aiotel.instrument(Config(export=True))
    built = (trace._TRACER_PROVIDER, metrics_internal._METER_PROVIDER, _logs.get_logger_provider())
    aiotel.uninstrument()

    assert None not in built
    assert (trace._TRACER_PROVIDER, metrics_internal._METER_PROVIDER) == (None, None)
    assert metrics.get_meter_provider() is not built[1]


def test_metrics_and_logs_go_before_spans_that_nobody_takes(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        traces = f"http://127.0.0.1:{silent.getsockname()[1]}/v1/traces"
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", traces)
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.endpoint)
        session = aiotel.instrument(Config(export=True, flush_timeout=0.5))
        asyncio.run(main())
        in_time = session.close(timeout=0.5)

        assert not in_time
        receiver.wait_for_metrics(where=lambda point: point.name == "asyncio.task.started", timeout=20)


def test_a_close_that_ran_out_of_time_leaves_nobody_trying(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{port}")
    before = set(threading.enumerate())
    session = aiotel.instrument(Config(export=True))
    asyncio.run(main())
    in_time = session.close(timeout=0.05)
    started = set(threading.enumerate()) - before
    for thread in started:
        thread.join(4)  # exporters try for ten seconds, or a minute

    assert not in_time
    assert [thread for thread in started if thread.is_alive()] == []


def test_variables_that_are_no_settings_are_told_and_do_no_harm(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("AIOTEL_SERVICE_HOST", "10.0.0.1")
    monkeypatch.setenv("AIOTEL_STACK_FRAMES", "7")
    session = aiotel.instrument()

    assert session.config == Config(stack_frames=7)
    assert [line.partition(":")[0] for line in caplog.messages] == ["aiotel"]
    assert "AIOTEL_SERVICE_HOST is ignored: service_host is not a setting" in caplog.text
