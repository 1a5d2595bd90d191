"""Make the spans of tasks for a tracer of the SDK's: without it, and as it would have made them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from opentelemetry.context import Context
from opentelemetry.sdk.trace.sampling import SamplingResult
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    TraceFlags,
    get_current_span,
    set_span_in_context,
)

from ..._complaints import complaints
from ..._record import (
    ASKING,
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
from .contexts import SPAN_KEY, without_span
from .ids import Ids
from .sampling import children_follow, fixed_flags, flags_of, parent_based
from .source import Source
from .span import NO_STATE, TaskSpan, span_class_for
from .told import Told, fill, unrecorded

__all__ = ["SdkSpans"]


class SdkSpans:
    """Spans of one source. The sampler is asked wherever its answer is not certain."""

    def __init__(
        self, source: Source, ids: Ids, *, announce: Callable[[TaskSpan, Context], None] | None = None
    ) -> None:
        self._source = source
        self._ids = ids
        self._announce_to = announce
        self.follow = children_follow(source.sampler)
        self._fixed = fixed_flags(source.sampler)
        self._keeps = parent_based(source.sampler)
        self._asks = not self.follow and self._fixed is None
        self._random = RANDOM if ids.random else 0
        self.inherited = announce is None and not self._asks
        self._stays = self._keeps or bool(self._fixed)
        self.span_id = ids.span_id
        self.span_class = span_class_for(source)

    # What the rules ask for.

    def decide(self, record: Told) -> None:
        """Settle whether the first task of a trace has a span."""
        tree: Tree = record.origin
        record.__class__ = self.span_class
        if tree.flags & DEFERRED:
            self._identify(tree)
            tree.flags = self._flags_of_root(tree, record.born_in, record)
        record.span_id, record.flags = tree.root_id, tree.flags
        self._announce(record, record.born_in)

    def child(self, birth: Birth, parent: AnyRecord) -> Record:
        """A task in the trace of the task that creates it."""
        tree: Any = parent.origin
        flags = parent.flags
        if flags & UNBOUND:
            flags = self._flags_of_elder(tree, birth.otel)
        if not flags & (SAMPLED if self.follow else RECORDED | ASKING):
            return unrecorded(birth, tree, flags & FOREIGN)
        parent_id = tree.root_id if parent.flags & UNBOUND else getattr(parent, "span_id", 0)
        record = self._new(birth, tree, parent_id)
        record.flags = flags & ~ASKING
        if not (self._asks or self._announce_to):
            return record
        above = self._span_above(parent, tree, parent_id, flags)
        otel = set_span_in_context(above, birth.otel)
        if self._asks:
            record.parent_id = above.get_span_context()
            self._ask(record, otel, flags)
        return self._complete(record, otel)

    def under(self, birth: Birth, above: SpanContext, parent: Told | None) -> Record:
        """A task under the user's span `above`; or under the span of a task that is under one itself."""
        otel = birth.otel
        origin: Any = above
        parent_id: Any = above
        flags: int = above.trace_flags
        if parent is not None:
            origin, parent_id, flags = parent.origin, parent.span_id, parent.flags
            if _span_id_in(otel) != parent_id:
                otel = set_span_in_context(parent, otel)  # type: ignore[arg-type]  # a span
        record = self._new(birth, origin, parent_id)
        record.flags = self.flags_under(flags)
        if self._asks:
            record.parent_id = get_current_span(otel).get_span_context()
            self._ask(record, otel, record.flags)
        return self._complete(record, otel)

    def flags_under(self, flags: int) -> int:
        """The flags of a task under a span with these; without the sampler's answer, where it is asked."""
        kept = FOREIGN | flags & RANDOM
        if self.follow:
            return kept | RECORDED | SAMPLED if flags & SAMPLED else FOREIGN
        return kept | self._fixed if self._fixed else kept

    def apart(self, birth: Birth, parent: AnyRecord | None, above: SpanContext | None, reason: str) -> Record:
        """A task in a trace of its own, linked to where it would have belonged."""
        tree = Tree(birth.function, birth.start_ns)
        self._identify(tree)
        record = self._new(birth, tree, None)
        record.span_id = tree.root_id
        record.reason = reason
        record.link = above or (None if parent is None else self._identity(parent, birth.otel))
        otel = without_span(birth.otel)
        tree.flags = self._flags_kept(parent, record.link)
        if tree.flags & DEFERRED:
            tree.flags = self._flags_of_root(tree, otel, record)
        record.flags = tree.flags
        return self._complete(record, otel)

    def apart_at_once(
        self, function: Function, parent: AnyRecord, now_ns: int, reason: str
    ) -> TaskSpan | None:
        """What `apart` gives where the new trace is certain to be sampled, as the parent's is; else None."""
        if not self._stays or not isinstance(parent, TaskSpan):
            return None
        tree = Tree(function, now_ns)
        tree.trace_id, tree.root_id = self._ids.trace_id(), self.span_id()
        tree.flags = RECORDED | SAMPLED | self._random
        record = object.__new__(self.span_class)
        record.function = function
        record.origin = tree
        record.parent_id = None
        record.flags = tree.flags
        record.span_id = tree.root_id
        record.start_ns = now_ns
        record.end_ns = 0
        record.reason = reason
        record.link = parent.get_span_context()
        return record

    # Building blocks.

    def _new(self, birth: Birth, origin: Any, parent_id: Any) -> TaskSpan:
        record = object.__new__(self.span_class)
        fill(record, birth, origin)
        record.parent_id = parent_id
        record.span_id = self.span_id()
        return record

    def _identify(self, tree: Tree) -> None:
        tree.trace_id, tree.root_id = self._ids.trace_id(), self.span_id()

    def _complete(self, record: TaskSpan, otel: Context) -> Record:
        """The record if it has a span, or is to be asked about; else one that costs less."""
        if record.flags & RECORDED:
            self._announce(record, otel)
            return record
        return record if record.flags & ASKING else unrecorded(record, record.origin, record.flags & FOREIGN)

    def _announce(self, record: Any, otel: Context) -> None:
        if self._announce_to is not None and record.flags & RECORDED:
            self._announce_to(record, otel)

    def _identity(self, parent: AnyRecord, otel: Context) -> SpanContext | None:
        """What a link to this task's span says; where it has none, to the first of its trace that has."""
        if isinstance(parent, TaskSpan):
            return parent.get_span_context()
        if not parent.flags & UNBOUND:
            return None
        tree: Tree = parent.origin
        flags = self._flags_of_elder(tree, otel)
        above: SpanContext = self._span_above(parent, tree, tree.root_id, flags).get_span_context()
        return above

    @staticmethod
    def _span_above(parent: AnyRecord, tree: Any, parent_id: int, flags: int) -> Any:
        """The parent's span; of one that there is none of, its identity."""
        if isinstance(parent, TaskSpan):
            return parent
        state = tree.trace_state or NO_STATE
        return NonRecordingSpan(SpanContext(tree.trace_id, parent_id, False, TraceFlags(flags & 0xFF), state))

    # Sampling.

    def _flags_of_root(self, tree: Tree, otel: Context, record: Any = None) -> int:
        if self._fixed is not None:
            return self._fixed and self._fixed | self._random
        result = self._asked(tree, otel, record, tree.function.qualname)
        if result is None:
            return 0
        tree.trace_state = result.trace_state
        flags = flags_of(result.decision) or (ASKING if self._asks else 0)
        return flags and flags | self._random

    def _flags_of_elder(self, tree: Tree, otel: Context) -> int:
        """The flags of a trace whose first task is older than the provider, and perhaps gone."""
        if tree.flags & DEFERRED:
            self._identify(tree)
            tree.flags = self._flags_of_root(tree, otel)
        return tree.flags

    def _flags_kept(self, parent: AnyRecord | None, above: SpanContext | None) -> int:
        """A linked trace is kept where the one that it comes from is, as a child of that would be."""
        if not self._keeps or (above is None and parent is None):
            return DEFERRED
        if above is not None:
            sampled = above.trace_flags & SAMPLED
        else:
            sampled = 0 if parent is None else parent.flags & SAMPLED
        if sampled:
            return RECORDED | SAMPLED | self._random
        return ASKING if self._asks else 0

    def _ask(self, record: TaskSpan, otel: Context, flags: int) -> None:
        """Let the sampler decide about a child, as the SDK would."""
        result = self._asked(record.origin, otel, record, record.function.qualname)
        decided = 0
        if result is not None:
            decided = flags_of(result.decision)
            record.state = result.trace_state or NO_STATE
        record.flags = (decided or ASKING) | flags & (FOREIGN | RANDOM)

    def _asked(self, origin: Any, otel: Context, record: Any, name: str) -> SamplingResult | None:
        attributes = {} if record is None else record.creation_attributes()
        links: tuple[Link, ...] = () if record is None else record.own_links()
        try:
            result = self._source.sampler.should_sample(
                otel, origin.trace_id, name, SpanKind.INTERNAL, attributes, links
            )
        except Exception as error:  # noqa: BLE001  # a stranger's: neither the program nor we are to blame
            complaints.add("sampler", f"the sampler failed, so a task has no span: {error!r}")
            return None
        if record is not None and result.attributes != attributes:
            record.begun_with = dict(result.attributes or {})
        return result


def _span_id_in(otel: Context) -> int | None:
    span: Any = otel.get(SPAN_KEY)
    return None if span is None else span.get_span_context().span_id
