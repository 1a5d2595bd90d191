"""A provider that runs its processors side by side loses no task either."""

from __future__ import annotations

import asyncio

import pytest
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ConcurrentMultiSpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import aiotel

from ..conftest import Loops, Telemetry
from .conftest import provide
from .test_rules import from_a_callback


async def leaf() -> None:
    await asyncio.sleep(0)


async def main() -> None:
    await asyncio.gather(*[leaf() for _ in range(20)])


@pytest.mark.parametrize("threads", [1, 4])
@pytest.mark.parametrize("end", ["force_flush", "shutdown"])
def test_all_spans_are_there_when_it_returns(threads: int, end: str) -> None:
    exporter = InMemorySpanExporter()
    multi = ConcurrentMultiSpanProcessor(threads)
    provider = TracerProvider(resource=Resource({}), active_span_processor=multi, shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(exporter))
    aiotel.instrument(tracer_provider=provider)
    asyncio.run(main())
    getattr(provider, end)()
    arrived = len(exporter.get_finished_spans())
    aiotel.uninstrument()

    assert arrived == 21
    assert not {"force_flush", "shutdown", "add_span_processor", "on_start"} & set(vars(multi))
    if end == "force_flush":
        provider.shutdown()


def test_a_connections_task_is_known_as_a_carrier_there_too(loops: Loops, telemetry: Telemetry) -> None:
    provider = provide(telemetry, active_span_processor=ConcurrentMultiSpanProcessor(2))
    tracer = provider.get_tracer("user")

    async def connected() -> None:
        with tracer.start_as_current_span("request"):
            await asyncio.create_task(leaf())

    async def serving() -> None:
        await (await from_a_callback(connected))

    telemetry.start()
    loops.run(serving())

    assert telemetry.parents() == {"serving": None, "request": None, "leaf": "request"}
