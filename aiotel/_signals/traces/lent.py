"""Lend a task's identity to what runs inside it, and leave the user's span what it was.

Inside a task under a user's span the task's span is the parent of what is started there, and its ids
are on logs and requests. But who writes to "the current span" means the user's: a request's status
must not end up on the task that happened to run the handler.
"""

from __future__ import annotations

from typing import Any

from opentelemetry.trace import Span, SpanContext

from ..._record import RECORDED, AnyRecord
from .delegating import DelegatingSpan
from .told import Told

__all__ = ["LentSpan", "lend", "lender_of"]


class LentSpan(DelegatingSpan):
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

    # Seen through: some ask what kind of span it is, whether it is theirs, or keep something on it.

    @property  # type: ignore[misc]  # as `isinstance` sees it
    def __class__(self) -> type:
        return type(self.user)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self._target(), name, value)

    def __delattr__(self, name: str) -> None:
        delattr(self._target(), name)

    def __eq__(self, other: object) -> bool:
        if type(other) is LentSpan:
            return self.user == other.user
        return self.user == other

    def __hash__(self) -> int:
        return hash(self.user)

    def __repr__(self) -> str:
        return repr(self.user)


# Past `__setattr__`, and faster.
_set_record: Any = vars(LentSpan)["record"].__set__
_set_user: Any = vars(LentSpan)["user"].__set__


def lend(record: Any, user: Any) -> LentSpan:
    """The span of `record`, lent to what runs in its task, in front of the user's."""
    lent: LentSpan = object.__new__(LentSpan)
    _set_record(lent, record)
    _set_user(lent, user)
    return lent


def lender_of(span: Any, above: SpanContext, parent: AnyRecord | None) -> Told | None:
    """The record under whose span a new task hangs, where that is not the user's span itself.

    The creating task, where its caller gave it a context of their own, is not current in it; it
    shows by having the very same span above it.
    """
    if type(span) is LentSpan:
        return span.record  # type: ignore[no-any-return]  # one that has a span
    if isinstance(span, Told):
        return span
    if isinstance(parent, Told) and parent.hidden and parent.flags & RECORDED and parent.origin is above:
        return parent
    return None
