"""OpenTelemetry's context inside a task: what is in it, and copies with another current span."""

from __future__ import annotations

import contextvars
from collections.abc import Callable, Mapping
from typing import Any, Final

from opentelemetry import context as otel_context
from opentelemetry.context import Context
from opentelemetry.trace.propagation import _SPAN_KEY

from ..._record import Birth

__all__ = [
    "DETACHED_KEY",
    "SPAN_KEY",
    "SPECIAL",
    "current",
    "is_suppressed",
    "otel_context_of",
    "variable",
    "with_span",
    "without_span",
]

SPAN_KEY: Final = _SPAN_KEY
DETACHED_KEY: Final = otel_context.create_key("aiotel-detached")
"""In OpenTelemetry's context where tasks are to start traces of their own."""

_SUPPRESSED: Final = (otel_context._SUPPRESS_INSTRUMENTATION_KEY, "suppress_instrumentation")
SPECIAL: Final = frozenset({DETACHED_KEY, *_SUPPRESSED})
"""What makes a difference to tasks, beside the current span."""

variable: Any = getattr(otel_context._RUNTIME_CONTEXT, "_current_context", None)
"""Where OpenTelemetry keeps its context; None where that is not in a context variable that we know."""
current: Callable[[], Mapping[str, Any]] = (
    otel_context._RUNTIME_CONTEXT.get_current if variable is None else variable.get
)


def otel_context_of(birth: Birth) -> Context:
    """OpenTelemetry's context in which the task is to run, if nothing is done about it."""
    if birth.context is None:
        return current()  # type: ignore[return-value]  # OpenTelemetry's own
    if variable is not None:
        given: Context = birth.context.get(variable, Context())
        return given
    found: Context = birth.context.copy().run(otel_context.get_current)
    return found


def is_suppressed(otel: Context) -> bool:
    """Whether nothing is to be instrumented here."""
    return any(otel.get(key) for key in _SUPPRESSED)


def with_span(otel: Context, span: Any) -> contextvars.Context:
    """A copy of the caller's context with this span current, or with none; nothing is detached in it."""
    values = {key: value for key, value in otel.items() if key not in {DETACHED_KEY, SPAN_KEY}}
    if span is not None:
        values[SPAN_KEY] = span
    context = contextvars.copy_context()
    context.run(otel_context.attach, Context(values))
    return context


def without_span(otel: Context) -> Context:
    """OpenTelemetry's context with no current span."""
    return Context({key: value for key, value in otel.items() if key != SPAN_KEY}) if otel else otel
