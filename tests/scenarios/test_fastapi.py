"""A FastAPI service with contrib's instrumentation: its own traces are what they were without aiotel."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest
import uvicorn
from fastapi import BackgroundTasks, FastAPI, HTTPException
from opentelemetry import trace
from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor
from opentelemetry.metrics import NoOpMeterProvider
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode
from starlette.middleware.base import BaseHTTPMiddleware, RequestResponseEndpoint
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

import aiotel
from aiotel._signals import names

from ..conftest import Loops

CALLER = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-{flags}"


async def leaf(number: int) -> int:
    await asyncio.sleep(0)
    return number


async def querying(tracer: trace.Tracer) -> None:
    with tracer.start_as_current_span("query"):
        await asyncio.create_task(leaf(0))


class Passing(BaseHTTPMiddleware):
    """Does nothing but be there: Starlette then runs what is behind it in a task."""

    async def dispatch(self, request: Request, call_next: RequestResponseEndpoint) -> Response:
        response = await call_next(request)
        response.headers["x-passed"] = "1"
        return response


def service(provider: TracerProvider, *, middleware: bool) -> FastAPI:  # noqa: C901  # a service has many paths
    """Handlers that do to the current span what handlers do."""
    app = FastAPI()
    tracer = provider.get_tracer("user")
    if middleware:
        app.add_middleware(Passing)

    @app.get("/ok/{item}")
    async def ok(item: str) -> dict[str, int]:
        span = trace.get_current_span()
        span.set_attribute("item", item)
        span.add_event("looked up")
        numbers = await asyncio.gather(leaf(1), leaf(2))
        await asyncio.create_task(querying(tracer))
        return {"sum": sum(numbers)}

    @app.get("/marked")
    async def marked() -> None:
        span = trace.get_current_span()
        span.record_exception(LookupError("noted"))
        span.set_status(StatusCode.ERROR, "bad luck")

    @app.get("/missing")
    async def missing() -> None:
        raise HTTPException(404)

    @app.get("/broken")
    async def broken() -> None:
        await asyncio.create_task(leaf(1))
        raise ValueError("broken")

    @app.get("/blocking")
    def blocking() -> None:
        trace.get_current_span().set_attribute("thread", True)

    @app.get("/later")
    async def later(background: BackgroundTasks) -> None:
        background.add_task(leaf, 3)

    @app.get("/stream")
    async def stream() -> StreamingResponse:
        async def parts() -> AsyncIterator[bytes]:
            for number in range(3):
                yield str(await asyncio.create_task(leaf(number))).encode()

        return StreamingResponse(parts())

    FastAPIInstrumentor.instrument_app(app, tracer_provider=provider, meter_provider=NoOpMeterProvider())
    return app


@contextmanager
def serving(app: FastAPI, loops: Loops) -> Iterator[str]:
    """The service on a port of its own, in a thread; gives its address."""
    listening = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, lifespan="on", http="h11"))

    async def serve() -> None:
        await server.serve([listening])

    thread = threading.Thread(target=lambda: loops.run(serve()))
    thread.start()
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(20)
        listening.close()
    assert not thread.is_alive()


def call(address: str) -> list[tuple[int, str]]:
    """Every path, on one connection and on new ones, with and without a caller's trace."""
    answers = []
    sampled, unsampled = ({"traceparent": CALLER.format(flags=flags)} for flags in ("01", "00"))
    with httpx.Client() as client:
        for path, headers in [
            ("/ok/1", {}),
            ("/ok/2", sampled),
            ("/ok/3", unsampled),
            ("/marked", {}),
            ("/missing", {}),
            ("/nowhere", {}),
            ("/broken", {}),
            ("/broken", sampled),
            ("/blocking", {}),
            ("/later", {}),
            ("/stream", {}),
        ]:
            # uvicorn closes the connection once a handler has raised, and does not say so beforehand.
            get = httpx.get if path == "/broken" else client.get
            response = get(f"{address}{path}", headers=headers)
            answers.append((response.status_code, response.text))
    response = httpx.get(f"{address}/ok/4")
    return [*answers, (response.status_code, response.text)]


def spans_of(loops: Loops, *, middleware: bool, watched: bool) -> list[ReadableSpan]:
    """All spans of a run of the service."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider(resource=Resource({}), shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    if watched:
        aiotel.instrument(aiotel.Config(), tracer_provider=provider)
    app = service(provider, middleware=middleware)
    try:
        with serving(app, loops) as address:
            answers = call(address)
    finally:
        FastAPIInstrumentor.uninstrument_app(app)
        aiotel.uninstrument()
    provider.shutdown()

    assert [status for status, _ in answers] == [200, 200, 200, 200, 404, 404, 500, 500, 200, 200, 200, 200]
    return list(exporter.get_finished_spans())


def is_ours(span: ReadableSpan) -> bool:
    return span.instrumentation_scope is not None and span.instrumentation_scope.name == names.SCOPE


# What is another thing in each run.
PORTS = {"net.host.port", "net.peer.port", "client.port", "server.port", "http.host", "http.url", "url.full"}
PORTS |= {"http.server_name", "server.address"}


def told(span: ReadableSpan, by_id: dict[int, ReadableSpan]) -> tuple[Any, ...]:
    """What a user's span says, without its ids, its times, and the name of its task."""
    attributes = {
        key: value
        for key, value in (span.attributes or {}).items()
        if key not in PORTS and key != names.TASK_NAME
    }
    events = [
        (
            event.name,
            sorted((event.attributes or {}).keys()),
            (event.attributes or {}).get("exception.message"),
        )
        for event in span.events
    ]
    parent = span.parent
    while parent is not None and parent.span_id in by_id and is_ours(by_id[parent.span_id]):
        parent = by_id[parent.span_id].parent
    if parent is None:
        above = "none"
    elif parent.span_id in by_id:
        above = by_id[parent.span_id].name
    else:
        above = f"{parent.trace_id:x}/{parent.span_id:x} remote={parent.is_remote}"
    scope = span.instrumentation_scope
    return (
        *(span.name, span.kind.name, scope and scope.name, above, int(span.context.trace_flags)),
        *(sorted(map(repr, attributes.items())), events, len(span.links)),
        *(span.status.status_code.name, span.status.description),
        *((span.dropped_attributes, span.dropped_events), len(f"{span.context.trace_id:032x}")),
    )


@pytest.mark.slow
@pytest.mark.parametrize("middleware", [False, True], ids=["plain", "middleware"])
def test_a_services_own_traces_are_what_they_were(loops: Loops, middleware: bool) -> None:
    without = spans_of(loops, middleware=middleware, watched=False)
    with_aiotel = spans_of(loops, middleware=middleware, watched=True)
    theirs = [span for span in with_aiotel if not is_ours(span)]
    ours = [span for span in with_aiotel if is_ours(span)]
    before = {span.context.span_id: span for span in without}
    by_id = {span.context.span_id: span for span in with_aiotel}

    # Span by span.
    assert not any(is_ours(span) for span in without)
    assert sorted((told(span, before) for span in without), key=repr) == sorted(
        (told(span, by_id) for span in theirs), key=repr
    )
    # Trace by trace.
    assert len({span.context.trace_id for span in without}) == len({span.context.trace_id for span in theirs})
    assert sorted(Counter(span.context.trace_id for span in without).values()) == sorted(
        Counter(span.context.trace_id for span in theirs).values()
    )
    # Requests are roots, or the caller's children, and know their connection's task.
    servers = [span for span in theirs if span.kind is SpanKind.SERVER]
    assert len(servers) == 11
    assert all((span.attributes or {}).get(names.TASK_NAME) for span in servers)
    assert {span.parent and f"{span.parent.span_id:x}" for span in servers} == {None, "b7ad6b7169203331"}

    # Under them, and only there, are the tasks of the handlers; connections have no span.
    traces_of_servers = {span.context.trace_id for span in servers}
    inside = [span.name for span in ours if span.context.trace_id in traces_of_servers]
    outside = {span.name for span in ours if span.context.trace_id not in traces_of_servers}
    assert inside.count("leaf") == 3 * 3 + 2 + 3
    assert inside.count("querying") == 3
    assert not [name for name in outside if "run_asgi" in name or "leaf" in name]


@pytest.mark.slow
def test_handlers_tasks_hang_under_their_request(loops: Loops) -> None:
    spans = spans_of(loops, middleware=True, watched=True)
    by_id = {span.context.span_id: span for span in spans}

    def path(span: ReadableSpan) -> list[str]:
        above = (
            []
            if span.parent is None or span.parent.span_id not in by_id
            else path(by_id[span.parent.span_id])
        )
        return [*above, span.name.rpartition(".")[2]]

    paths = [path(span) for span in spans if span.name == "leaf"]
    queries = [path(span) for span in spans if span.name == "query"]

    assert all(found[0].startswith("GET ") for found in paths + queries)
    assert all("querying" in found for found in queries)
    assert any(found[-2:] == ["query", "leaf"] for found in paths)
