"""Decide which trace a task belongs to, and who is current inside it.

In short: under a user's span a task is that span's child and lends its identity to what it does;
where there is none, tasks form trees of their own, and nothing is made current, so that the user's
root spans stay roots.
"""

from __future__ import annotations

import contextvars
from collections.abc import Callable, Mapping
from typing import Any, Final

from opentelemetry import context as otel_context
from opentelemetry.context import Context
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    TraceFlags,
    set_span_in_context,
)
from opentelemetry.trace.propagation import _SPAN_KEY

from ..._record import (
    DEFERRED,
    FOREIGN,
    RANDOM,
    RECORDED,
    SAMPLED,
    UNBOUND,
    AnyRecord,
    Birth,
    Function,
    Record,
    Tree,
)
from .ids import Ids
from .lent import LentSpan
from .sampling import children_follow, fixed_flags, flags_of
from .source import Source
from .span import TaskSpan, span_class_for

__all__ = ["DETACHED_KEY", "TaskRules"]

DETACHED_KEY: Final = otel_context.create_key("aiotel-detached")
"""In OpenTelemetry's context where tasks are to start traces of their own."""

_SPECIAL: Final = frozenset(
    {DETACHED_KEY, "suppress_instrumentation", otel_context._SUPPRESS_INSTRUMENTATION_KEY}
)
_SUPPRESSED: Final = (otel_context._SUPPRESS_INSTRUMENTATION_KEY, "suppress_instrumentation")
_EMPTY: Final = Context()

Begun = tuple[Record, contextvars.Context | None]


class TaskRules:
    """The rules, for the provider that is bound (see `bind`); attributes are read by the hot path."""

    def __init__(self, *, max_age_ns: int, max_tasks: int, writes: str, look: Callable[[], None]) -> None:
        self.max_age_ns = max_age_ns
        self.max_tasks = max_tasks
        self.current: Callable[[], Mapping[str, Any]] = otel_context._RUNTIME_CONTEXT.get_current
        variable = getattr(otel_context._RUNTIME_CONTEXT, "_current_context", None)
        self._variable: Any = variable
        if variable is not None:
            self.current = variable.get
        self._writes_to_user = writes == "user"
        self._look = look
        self.carriers: set[str] = set()
        """Functions whose tasks only carry somebody's root span."""
        self.unbind()

    def unbind(self) -> None:
        """Nobody has set up tracing."""
        self.bound = False
        self.inherited = True
        self.ids = Ids()
        self.span_id = self.ids.span_id
        self.span_class: type[TaskSpan] = TaskSpan
        self._source: Source | None = None
        self._follow = True
        self._root_flags: int | None = None
        self.announce: Callable[[TaskSpan, Context], None] | None = None
        self._quick = False

    def bind(
        self, source: Source | None, ids: Ids, *, announce: Callable[[TaskSpan, Context], None] | None
    ) -> None:
        """Make spans for this source from now on; None where the provider wants none."""
        self.ids = ids
        self.span_id = ids.span_id
        self._source = source
        sampler = None if source is None else source.sampler
        self._follow = source is None or children_follow(sampler)
        self._root_flags = 0 if source is None else fixed_flags(sampler)
        self.announce = announce
        self.inherited = announce is None and (self._follow or self._root_flags is not None)
        if source is not None:
            self.span_class = span_class_for(source)
        self._quick = (
            announce is None and self._follow and self._writes_to_user and self._variable is not None
        )
        self.bound = True

    def begin_under(
        self, otel: Mapping[str, Any], function: Function, parent: AnyRecord | None, now_ns: int
    ) -> Begun | None:
        """See `Rules.begin_under`."""
        span: Any = otel.get(_SPAN_KEY)
        if span is None or not self._quick or (len(otel) > 1 and not _SPECIAL.isdisjoint(otel)):
            return None
        if type(span) is LentSpan:
            above = span.record
            origin, parent_id, flags, user = above.origin, above.span_id, above.flags, span.user
        else:
            origin = parent_id = span.get_span_context()
            if not origin.is_valid or (parent is not None and parent.origin is origin):
                return None
            flags = self._flags_under(origin)
            user = span
        if not flags & RECORDED:
            record = object.__new__(Record)
            record.function, record.origin, record.flags, record.start_ns = function, origin, 0, now_ns
            return record, None
        record = object.__new__(self.span_class)
        record.function = function
        record.origin = origin
        record.parent_id = parent_id
        record.flags = flags | FOREIGN
        record.span_id = self.span_id()
        record.start_ns = now_ns
        record.end_ns = 0
        lent = object.__new__(LentSpan)
        lent.record, lent.user = record, user
        values = otel.copy()  # type: ignore[attr-defined]  # a dict
        values[_SPAN_KEY] = lent
        context = contextvars.copy_context()
        context.run(self._variable.set, Context(values))
        return record, context

    def begin(self, birth: Birth) -> Begun | None:
        """See `Rules.begin`."""
        otel = birth.otel = self._context_of(birth)
        if otel and any(otel.get(key) for key in _SUPPRESSED):
            return None
        if not self.bound:
            self._look()
            if not self.bound:
                return self._unbound(birth), None
        span: Any = otel.get(_SPAN_KEY)
        above: SpanContext | None = None if span is None else span.get_span_context()
        if above is not None and not above.is_valid:
            span = above = None
        detached = _reason(birth.function, otel)
        if detached is not None:
            if above is None and birth.parent is not None:
                above = self._identity(birth.parent)
            return self._apart(birth, above, detached)
        if span is not None and above is not None:
            return self._under(birth, span, above)
        parent = birth.parent or (birth.adopt() if birth.adopt is not None else None)
        if parent is None:
            return self._root(birth), None
        return self._child(birth, parent)

    def decide(self, record: Any, otel: Context = _EMPTY) -> None:
        """Settle whether a deferred record has a span: a child needs to know, or it has ended."""
        tree = record.origin
        if tree.flags & DEFERRED and self.bound:
            tree.flags = self._sampled_root(record, otel, link=None)
        if not tree.flags & DEFERRED:
            record.flags = tree.flags
            record.__class__ = self.span_class  # the task may be older than the provider
            record.__dict__.pop("_context", None)
            self._announce(record, otel)

    # The cases.

    def _unbound(self, birth: Birth) -> Record:
        parent = birth.parent
        if parent is None:
            record = self._new_root(birth)
            record.flags = DEFERRED | UNBOUND
            return record
        return _unrecorded(birth, parent.origin, UNBOUND)

    def _root(self, birth: Birth) -> Record:
        record = self._new_root(birth)
        record.flags = DEFERRED
        if birth.in_callback:
            record.reason = "callback"
            record.carrier = birth.function.name in self.carriers
        else:
            self.decide(record, birth.otel)
        return record

    def _child(self, birth: Birth, parent: AnyRecord) -> Begun:
        if parent.flags & DEFERRED:
            self.decide(parent)
        tree = parent.origin
        flags, parent_id = parent.flags, getattr(parent, "span_id", 0)
        if flags & UNBOUND:  # older than tracing: its nearest ancestor with a span is the tree's first task
            if tree.flags & DEFERRED:
                tree.flags = self._sampled_flags(tree.function.qualname, tree.trace_id, birth.otel)
            flags, parent_id = tree.flags, tree.root_id
        if not flags & RECORDED and self._follow:
            return _unrecorded(birth, tree, 0), None
        reason = self._overgrown(tree, birth.start_ns) if flags & RECORDED else None
        if reason is not None:
            return self._apart(birth, self._identity(parent), reason)
        if isinstance(tree, Tree):
            tree.count += 1
        record = self._new_span(birth, origin=tree, parent_id=parent_id)
        record.flags = flags
        if not self._follow:
            above = SpanContext(tree.trace_id, parent_id, False, TraceFlags(flags & 0xFF), tree.trace_state)
            otel = set_span_in_context(NonRecordingSpan(above), birth.otel)
            self._ask(record, otel, flags & (FOREIGN | RANDOM))
        return self._complete(record, birth.otel), None

    def _under(self, birth: Birth, span: Any, above: SpanContext) -> Begun:
        origin: Any = above
        parent_id: Any = above
        flags = self._flags_under(above)
        above_record = _record_of(span, above, birth.parent)
        if above_record is not None:
            origin, parent_id, flags = above_record.origin, above_record.span_id, above_record.flags
        if not flags & RECORDED and (self._follow or self._source is None):
            return _unrecorded(birth, origin, 0), None
        record = self._new_span(birth, origin=origin, parent_id=parent_id)
        record.flags = flags | FOREIGN
        if not self._follow:
            self._ask(record, birth.otel, FOREIGN | flags & RANDOM)
        complete = self._complete(record, birth.otel)
        if birth.context is not None or not record.flags & RECORDED:
            return complete, None
        user = span.user if type(span) is LentSpan else span
        return record, self._with_current(birth.otel, self._lend(record, user))

    def _apart(self, birth: Birth, above: SpanContext | None, reason: str) -> Begun:
        """A trace of its own, linked to where it came from; nothing is current in it."""
        record = self._new_root(birth)
        record.reason, record.link = reason, above
        if self._follow and above is not None:
            sampled = RECORDED | SAMPLED if above.trace_flags & SAMPLED else 0
            record.flags = sampled and sampled | self._random_flag()
            record.origin.flags = record.flags
        else:
            record.flags = record.origin.flags = self._sampled_root(record, birth.otel, link=above)
        context = None
        if birth.context is None and (_SPAN_KEY in birth.otel or DETACHED_KEY in birth.otel):
            context = self._with_current(birth.otel, None)
        return self._complete(record, birth.otel), context

    # Building blocks.

    def _context_of(self, birth: Birth) -> Context:
        if birth.context is None:
            return self.current()  # type: ignore[return-value]  # OpenTelemetry's own
        if self._variable is not None:
            return birth.context.get(self._variable, _EMPTY)
        return birth.context.copy().run(otel_context.get_current)

    def _new_root(self, birth: Birth) -> TaskSpan:
        root_id = self.span_id()
        tree = Tree(
            trace_id=self.ids.trace_id(), root_id=root_id, start_ns=birth.start_ns, function=birth.function
        )
        record = self._new_span(birth, origin=tree, parent_id=None)
        record.span_id = root_id
        return record

    def _new_span(self, birth: Birth, *, origin: Any, parent_id: Any) -> TaskSpan:
        record = object.__new__(self.span_class)
        record.function = birth.function
        record.origin = origin
        record.parent_id = parent_id
        record.span_id = self.span_id()
        record.start_ns = birth.start_ns
        record.end_ns = 0
        record.site_code, record.site_instruction = birth.site or (None, 0)
        return record

    def _complete(self, record: TaskSpan, otel: Context) -> Record:
        """The record if it has a span, else one that costs less; who listens is told of the span."""
        if not record.flags & RECORDED:
            return _unrecorded(record, record.origin, 0)
        self._announce(record, otel)
        return record

    def _announce(self, record: Any, otel: Context) -> None:
        if self.announce is not None and record.flags & RECORDED:
            parent = record.parent
            if parent is not None and parent.span_id != _span_id_in(otel):
                otel = set_span_in_context(NonRecordingSpan(parent), otel)
            self.announce(record, otel)

    def _lend(self, record: TaskSpan, user: Any) -> Any:
        if not self._writes_to_user:
            return record
        lent = object.__new__(LentSpan)
        lent.record, lent.user = record, user
        return lent

    def _with_current(self, otel: Context, span: Any) -> contextvars.Context:
        """A copy of the caller's context with this span current, or with none."""
        values = {key: value for key, value in otel.items() if key != DETACHED_KEY}
        values.pop(_SPAN_KEY, None)
        if span is not None:
            values[_SPAN_KEY] = span
        context = contextvars.copy_context()
        context.run(otel_context.attach, Context(values))
        return context

    def _identity(self, parent: AnyRecord) -> SpanContext | None:
        if parent.flags & DEFERRED:
            self.decide(parent)
        return parent.get_span_context() if isinstance(parent, TaskSpan) else None

    def _overgrown(self, tree: Any, now_ns: int) -> str | None:
        if not isinstance(tree, Tree):
            return None
        if tree.count >= self.max_tasks:
            return "size"
        return "age" if now_ns - tree.start_ns >= self.max_age_ns else None

    # Sampling.

    def _random_flag(self) -> int:
        return RANDOM if self.ids.random else 0

    def _flags_under(self, above: SpanContext) -> int:
        if self._source is None:
            return 0
        random = above.trace_flags & RANDOM
        if self._follow:
            return RECORDED | SAMPLED | random if above.trace_flags & SAMPLED else 0
        return RECORDED | random

    def _sampled_root(self, record: Record, otel: Context, *, link: SpanContext | None) -> int:
        if self._root_flags is not None:
            return self._root_flags and self._root_flags | self._random_flag()
        links = () if link is None else (Link(link),)
        return self._asked(record, Context({k: v for k, v in otel.items() if k != _SPAN_KEY}), links) | (
            self._random_flag()
        )

    def _sampled_flags(self, name: str, trace_id: int, otel: Context) -> int:
        """The flags of a root that is not at hand any more."""
        if self._root_flags is not None or self._source is None:
            return self._root_flags or 0
        result = self._source.sampler.should_sample(otel, trace_id, name, SpanKind.INTERNAL, {}, ())
        return flags_of(result.decision) | self._random_flag()

    def _ask(self, record: TaskSpan, otel: Context, kept: int) -> None:
        record.flags = self._asked(record, otel, ()) | kept

    def _asked(self, record: Any, otel: Context, links: tuple[Link, ...]) -> int:
        """What the sampler says, exactly as the SDK would ask it."""
        if self._source is None:
            return 0
        attributes = record.creation_attributes()
        result = self._source.sampler.should_sample(
            otel, record.origin.trace_id, record.function.qualname, SpanKind.INTERNAL, attributes, links
        )
        if result.attributes != attributes:
            record.begun_with = dict(result.attributes or {})
        if result.trace_state is not None and isinstance(record.origin, Tree) and record.parent_id is None:
            record.origin.trace_state = result.trace_state
        return flags_of(result.decision)


def _unrecorded(of: Birth | Record, origin: Any, flags: int) -> Record:
    record = object.__new__(Record)
    record.function = of.function
    record.origin = origin
    record.flags = flags
    record.start_ns = of.start_ns
    return record


def _record_of(span: Any, above: SpanContext, parent: AnyRecord | None) -> Record | None:
    """The record under whose span a new task hangs, where that is not the user's span itself.

    The creating task, where its caller gave it a context of their own, is not current in it; it
    shows by having the very same span above it.
    """
    if type(span) is LentSpan:
        return span.record  # type: ignore[no-any-return]  # a TaskSpan
    if isinstance(span, TaskSpan):
        return span
    if parent is not None and parent.flags & FOREIGN and parent.flags & RECORDED and parent.origin is above:
        return parent if isinstance(parent, Record) else None
    return None


def _reason(function: Function, otel: Mapping[str, Any]) -> str | None:
    if function.detach:
        return "pattern"
    return "detached" if DETACHED_KEY in otel else None


def _span_id_in(otel: Context) -> int | None:
    span = otel.get(_SPAN_KEY)
    return span.get_span_context().span_id if span is not None else None  # type: ignore[attr-defined]
