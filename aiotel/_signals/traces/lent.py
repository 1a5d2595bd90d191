"""Lend a task's identity to what runs inside it, and leave the user's span what it was.

Inside a task under a user's span the task's span is the parent of what is started there, and its ids
are on logs and requests. But who writes to "the current span" means the user's: a request's status
must not end up on the task that happened to run the handler.
"""

from __future__ import annotations

from typing import Any

from opentelemetry.trace import Span, SpanContext

__all__ = ["LentSpan"]


class LentSpan(Span):
    """The current span of a task: the identity of `record`, in front of the span `user`."""

    __slots__ = ("record", "user")

    record: Any
    user: Span

    def get_span_context(self) -> SpanContext:
        """The task's identity: for parenting, propagation, and the correlation of logs."""
        return self.record.get_span_context()  # type: ignore[no-any-return]  # a TaskSpan

    def _target(self) -> Any:
        """The user's span; once that has ended, the task's, so that what is written is not lost."""
        return self.user if getattr(self.user, "end_time", None) is None else self.record

    @property  # type: ignore[misc]  # seen through, as by `isinstance`
    def __class__(self) -> type:
        """That of the user's span: some ask whether they may read attributes from it."""
        return type(self.user)

    def __getattr__(self, name: str) -> Any:
        """Whatever else a span of this kind has."""
        return getattr(self._target(), name)

    def end(self, end_time: int | None = None) -> None:
        """Ends the user's span."""
        self._target().end(end_time)

    def set_attributes(self, attributes: Any) -> None:
        """Goes to the user's span."""
        self._target().set_attributes(attributes)

    def set_attribute(self, key: str, value: Any) -> None:
        """Goes to the user's span."""
        self._target().set_attribute(key, value)

    def add_event(self, name: str, attributes: Any = None, timestamp: int | None = None) -> None:
        """Goes to the user's span."""
        self._target().add_event(name, attributes, timestamp)

    def add_link(self, context: SpanContext, attributes: Any = None) -> None:
        """Goes to the user's span."""
        self._target().add_link(context, attributes)

    def update_name(self, name: str) -> None:
        """Goes to the user's span."""
        self._target().update_name(name)

    def is_recording(self) -> bool:
        """What the user's span says."""
        return bool(self._target().is_recording())

    def set_status(self, status: Any, description: str | None = None) -> None:
        """Goes to the user's span."""
        self._target().set_status(status, description)

    def record_exception(
        self,
        exception: BaseException,
        attributes: Any = None,
        timestamp: int | None = None,
        escaped: bool = False,  # noqa: FBT001, FBT002  # the API's signature
    ) -> None:
        """Goes to the user's span."""
        self._target().record_exception(exception, attributes, timestamp, escaped)

    def __exit__(self, *exception: object) -> Any:
        """As the user's span does it."""
        return self._target().__exit__(*exception)
