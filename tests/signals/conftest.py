"""Providers of every sort for the tests of traces, and programs for them to trace."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass
from typing import Any

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.trace import format_span_id, format_trace_id

from ..conftest import Telemetry


def provide(telemetry: Telemetry, *processors: SpanProcessor, **settings: Any) -> TracerProvider:
    """Another tracer provider for this telemetry, to be given before it starts."""
    provider = TracerProvider(resource=Resource({}), shutdown_on_exit=False, **settings)
    for processor in processors:
        provider.add_span_processor(processor)
    provider.add_span_processor(SimpleSpanProcessor(telemetry.exporter))
    telemetry.tracer_provider = provider
    return provider


@dataclass(frozen=True)
class Node:
    """A task to be, and the tasks that it creates."""

    name: str
    children: tuple[Node, ...] = ()

    @property
    def size(self) -> int:
        """How many tasks."""
        return 1 + sum(child.size for child in self.children)


async def _grow(node: Node) -> None:
    for child in node.children:
        await asyncio.create_task(grown(child))


def grown(node: Node) -> Coroutine[Any, Any, None]:
    """A coroutine with the node's name, which runs its children as tasks, one after the other."""
    coro: Any = _grow(node)
    coro.__qualname__ = node.name
    return coro  # type: ignore[no-any-return]  # a coroutine


def last(span: ReadableSpan) -> str:
    """The last part of the span's name."""
    return span.name.split(".")[-1]


def of(span: ReadableSpan, attribute: str) -> Any:
    """An attribute of the span."""
    return (span.attributes or {}).get(attribute)


def traces(spans: Sequence[ReadableSpan]) -> list[list[ReadableSpan]]:
    """The spans by trace, traces in the order of their first span's start."""
    by_trace: dict[int, list[ReadableSpan]] = {}
    for span in sorted(spans, key=lambda span: span.start_time or 0):
        by_trace.setdefault(span.context.trace_id, []).append(span)
    return list(by_trace.values())


def ids(span: ReadableSpan) -> tuple[str, str]:
    """Trace and span id, as attributes have them."""
    return format_trace_id(span.context.trace_id), format_span_id(span.context.span_id)
