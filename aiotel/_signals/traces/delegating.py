"""A span that stands in front of another one."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

from opentelemetry.trace import Span, SpanContext

__all__ = ["DelegatingSpan"]


class DelegatingSpan(Span):
    """Hands everything to the span `_target()`, and what OpenTelemetry's API does not know as well."""

    @abstractmethod
    def _target(self) -> Any:
        """The span that is written to and read from."""

    def get_span_context(self) -> SpanContext:
        """That of the other span."""
        return self._target().get_span_context()  # type: ignore[no-any-return]  # a span's

    def __getattr__(self, name: str) -> Any:
        return getattr(self._target(), name)

    def end(self, end_time: int | None = None) -> None:
        """Ends the other span."""
        self._target().end(end_time)

    def set_attributes(self, attributes: Any) -> None:
        """Goes to the other span."""
        self._target().set_attributes(attributes)

    def set_attribute(self, key: str, value: Any) -> None:
        """Goes to the other span."""
        self._target().set_attribute(key, value)

    def add_event(self, name: str, attributes: Any = None, timestamp: int | None = None) -> None:
        """Goes to the other span."""
        self._target().add_event(name, attributes, timestamp)

    def add_link(self, context: SpanContext, attributes: Any = None) -> None:
        """Goes to the other span."""
        self._target().add_link(context, attributes)

    def update_name(self, name: str) -> None:
        """Goes to the other span."""
        self._target().update_name(name)

    def is_recording(self) -> bool:
        """What the other span says."""
        return bool(self._target().is_recording())

    def set_status(self, status: Any, description: str | None = None) -> None:
        """Goes to the other span."""
        self._target().set_status(status, description)

    def record_exception(
        self,
        exception: BaseException,
        attributes: Any = None,
        timestamp: int | None = None,
        escaped: bool = False,  # noqa: FBT001, FBT002  # the API's signature
    ) -> None:
        """Goes to the other span."""
        self._target().record_exception(exception, attributes, timestamp, escaped)

    def __exit__(self, *exception: object) -> Any:
        return self._target().__exit__(*exception)
