"""A provider that runs its processors side by side loses no task either."""

from __future__ import annotations

import asyncio

import pytest
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ConcurrentMultiSpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import aiotel


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
    assert not {"force_flush", "shutdown", "add_span_processor"} & set(vars(multi))
    if end == "force_flush":
        provider.shutdown()
