"""The state that the SDK keeps in a span, built when somebody reads or writes it."""

from __future__ import annotations

from typing import Any, Protocol

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Span
from opentelemetry.trace import SpanContext

__all__ = ["Shell", "make_lazy"]


class Shell(Span):
    """A span that only lends its state."""


class _Buildable(Protocol):
    def _build(self) -> None:
        """Have the state in `__dict__`."""


class _Built:
    """An attribute of the SDK's span that is not there before the span is built.

    Whoever puts another in its place, as redacting processors do, has the span built first.
    """

    def __init__(self, name: str) -> None:
        self._name = name

    def __get__(self, span: _Buildable | None, owner: type) -> Any:
        if span is None:
            return self
        span._build()
        return span.__dict__[self._name]

    def __set__(self, span: _Buildable, value: Any) -> None:
        span._build()
        span.__dict__[self._name] = value


def make_lazy(cls: type[_Buildable]) -> None:
    """Give the class an attribute for each that the SDK's constructor sets, but for those it has."""
    probe = object.__new__(Shell)
    Span.__init__(probe, name="", context=SpanContext(1, 1, is_remote=False), resource=Resource({}))
    for name in probe.__dict__.keys() - vars(cls).keys():
        setattr(cls, name, _Built(name))
