"""Decide which trace a task belongs to, and who is current inside it.

In short: under a user's span a task is that span's child and lends its identity to what it does;
where there is none, tasks form trees of their own, and nothing is made current, so that the user's
root spans stay roots.
"""

from __future__ import annotations

import contextvars
from collections.abc import Callable, Mapping
from typing import Any

from opentelemetry.context import Context
from opentelemetry.trace import SpanContext

from ..._record import (
    DEFERRED,
    FOREIGN,
    RECORDED,
    UNBOUND,
    AnyRecord,
    Birth,
    Function,
    Record,
    Tree,
)
from .contexts import (
    DETACHED_KEY,
    SPAN_KEY,
    SPECIAL,
    current,
    is_suppressed,
    otel_context_of,
    variable,
    with_span,
    without_span,
)
from .ids import random_span_id
from .lent import LentSpan, lend, lender_of
from .maker import Maker
from .sdk import SdkSpans
from .span import TaskSpan
from .told import Told, Undecided, fill, unrecorded

__all__ = ["DETACHED_KEY", "TaskRules"]

Begun = tuple[Record, contextvars.Context | None]

# OpenTelemetry's contexts refuse to be written to; this one is nobody's yet.
_set_item = dict.__setitem__


class TaskRules:
    """The rules, for the provider that is bound (see `bind`); attributes are read by the hot path."""

    span_class: type[TaskSpan] = TaskSpan
    span_id: Callable[[], int] = staticmethod(random_span_id)

    def __init__(self, *, max_age_ns: int, max_tasks: int, writes: str, look: Callable[[], None]) -> None:
        self.max_age_ns = max_age_ns
        self.max_tasks = max_tasks
        self.current = current
        self._writes_to_user = writes == "user"
        self._look = look
        self.carriers: set[str] = set()
        """Functions whose tasks only carry somebody's root span."""
        self.unbind()

    def unbind(self) -> None:
        """Nobody has set up tracing."""
        self.bound = False
        self.inherited = False
        self._maker: Maker | None = None
        self._quick: SdkSpans | None = None

    def bind(self, maker: Maker | None) -> None:
        """Have spans made by this one from now on; None where the provider wants none."""
        # First, so that the hot path never finds the half of one and the half of another.
        self.inherited = False
        self._quick = None
        self._maker = maker
        if isinstance(maker, SdkSpans):
            self.span_class, self.span_id = maker.span_class, maker.span_id
            self.inherited = maker.inherited
            if maker.inherited and maker.follow and self._writes_to_user and variable is not None:
                self._quick = maker
        self.bound = True

    def begin_under(
        self, otel: Mapping[str, Any], function: Function, parent: AnyRecord | None, now_ns: int
    ) -> tuple[Record, contextvars.Context, None] | tuple[None, None, Any] | None:
        """See `Rules.begin_under`."""
        span: Any = otel.get(SPAN_KEY)
        quick = self._quick
        if span is None or quick is None or (len(otel) > 1 and not SPECIAL.isdisjoint(otel)):
            return None
        if type(span) is LentSpan:
            above = span.record
            origin, parent_id, flags, user = above.origin, above.span_id, above.flags, span.user
        else:
            origin = parent_id = span.get_span_context()
            if not origin.is_valid or (parent is not None and parent.origin is origin):
                return None
            flags, user = quick.flags_under(origin.trace_flags), span
        if not flags & RECORDED:
            return None, None, origin
        record = object.__new__(quick.span_class)
        record.function = function
        record.origin = origin
        record.parent_id = parent_id
        record.flags = flags
        record.span_id = quick.span_id()
        record.start_ns = now_ns
        record.end_ns = 0
        values = Context(otel)
        _set_item(values, SPAN_KEY, lend(record, user))
        context = contextvars.copy_context()
        context.run(variable.set, values)
        return record, context, None

    def begin_apart(self, function: Function, parent: AnyRecord, now_ns: int) -> Record | None:
        """See `Rules.begin_apart`."""
        maker = self._maker
        if not isinstance(maker, SdkSpans):
            return None
        reason = self._overgrown(parent, now_ns)
        return None if reason is None else maker.apart_at_once(function, parent, now_ns, reason)

    def begin(self, birth: Birth) -> Begun | None:
        """See `Rules.begin`."""
        otel = birth.otel = otel_context_of(birth)
        if otel and is_suppressed(otel):
            return None
        if not self.bound:
            self._look()
        span: Any = otel.get(SPAN_KEY)
        above: SpanContext | None = None if span is None else span.get_span_context()
        if above is not None and not above.is_valid:
            span = above = None
        if not self.bound or self._maker is None:
            return self._without_spans(birth, above), _undetached(birth)
        return self._with_spans(self._maker, birth, span, above)

    def decide(self, record: Told) -> None:
        """Settle whether a deferred record has a span: a child needs to know, or it has ended."""
        if self._maker is not None:
            self._maker.decide(record)
            record.__dict__.pop("born_in", None)
        elif self.bound:
            record.flags = record.origin.flags = 0

    # The cases.

    def _without_spans(self, birth: Birth, above: SpanContext | None) -> Record:
        """Nobody has set up tracing; or who has wants no spans of ours."""
        if above is not None:
            return unrecorded(birth, above, FOREIGN)
        if self.bound:
            return unrecorded(birth, None, 0)
        parent = birth.parent
        if parent is not None and isinstance(parent.origin, Tree):
            return unrecorded(birth, parent.origin, UNBOUND)
        return self._undecided(birth, DEFERRED | UNBOUND)

    def _with_spans(self, maker: Maker, birth: Birth, span: Any, above: SpanContext | None) -> Begun:
        reason = _reason(birth.function, birth.otel)
        if above is not None and reason is None:
            return self._under(maker, birth, span, above)
        parent = None if above is not None else self._creator(birth)
        if parent is None and reason is None:
            return self._root(birth), None
        if parent is not None and reason is None:
            reason = self._overgrown(parent, birth.start_ns)
        if parent is None or reason is not None:
            return maker.apart(birth, parent, above, reason or ""), _without_current(birth)
        record = maker.child(birth, parent)
        if record.flags & RECORDED and record.origin is parent.origin:
            self._count(record)
        return record, None

    def _under(self, maker: Maker, birth: Birth, span: Any, above: SpanContext) -> Begun:
        record: Any = maker.under(birth, above, lender_of(span, above, birth.parent))
        if not record.flags & RECORDED:
            return record, None
        if birth.context is not None:
            record.hidden = True
            return record, None
        user = span.user if type(span) is LentSpan else span
        return record, with_span(birth.otel, lend(record, user) if self._writes_to_user else record)

    def _root(self, birth: Birth) -> Record:
        record = self._undecided(birth, DEFERRED)
        if not birth.in_callback:
            self.decide(record)
        return record

    # Building blocks.

    def _creator(self, birth: Birth) -> AnyRecord | None:
        """The record of the task that creates this one, made now if need be, and decided."""
        parent = birth.parent or (birth.adopt() if birth.adopt is not None else None)
        if isinstance(parent, Told) and parent.flags & DEFERRED:
            self.decide(parent)
        return parent

    def _undecided(self, birth: Birth, flags: int) -> Undecided:
        record = object.__new__(Undecided)
        fill(record, birth, Tree(birth.function, birth.start_ns))
        record.parent_id, record.span_id, record.flags = None, 0, flags
        if birth.otel:
            record.born_in = without_span(birth.otel)
        if birth.in_callback:
            record.reason = "callback"
        return record

    def _overgrown(self, parent: AnyRecord, now_ns: int) -> str | None:
        tree = parent.origin
        if not parent.flags & RECORDED or not isinstance(tree, Tree):
            return None
        if tree.count >= self.max_tasks:
            return "size"
        return "age" if now_ns - tree.start_ns >= self.max_age_ns else None

    @staticmethod
    def _count(record: Any) -> None:
        if isinstance(record.origin, Tree):
            record.origin.count += 1
        else:
            record.hidden = True


def _without_current(birth: Birth) -> contextvars.Context | None:
    """The context for a task with a trace of its own; where the caller gave one, that is left alone."""
    if birth.context is None and (SPAN_KEY in birth.otel or DETACHED_KEY in birth.otel):
        return with_span(birth.otel, None)
    return None


def _undetached(birth: Birth) -> contextvars.Context | None:
    """What is created inside `detached()` is detached, and not what that creates in turn."""
    if birth.context is None and DETACHED_KEY in birth.otel:
        return with_span(birth.otel, birth.otel.get(SPAN_KEY))
    return None


def _reason(function: Function, otel: Mapping[str, Any]) -> str | None:
    if function.detach:
        return "pattern"
    return "detached" if DETACHED_KEY in otel else None
