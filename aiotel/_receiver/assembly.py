"""Hold the spans of a trace back until it looks complete, so that it can be shown in one piece."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from . import trees

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from .received import ReceivedSpan

# A sender exports what has ended every five seconds by default, and a root ends last: when it is there, the
# others are or will be with the next request of a second exporter.
SETTLE_SECONDS = 0.5
# A parent in another process may be sent here, too, or never.
REMOTE_SECONDS = 2.0
QUIET_SECONDS = 6.0
# A trace that goes on for long is shown bit by bit.
HOLD_SECONDS = 15.0

_MAX_HELD_SPANS = 50_000
_MAX_KNOWN_SPANS = 50_000

_PARENT_IS_REMOTE = 0x200  # in a span's flags, where the sender says so at all


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """A trace, or what came later of one shown before; `known` names those shown then, by span id."""

    trace: trees.Trace
    is_addition: bool = False
    known: Mapping[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class _Held:
    first_at: float
    patience: float
    last_at: float = 0.0
    spans: list[ReceivedSpan] = field(default_factory=list)

    def add(self, span: ReceivedSpan, now: float) -> None:
        self.spans.append(span)
        self.last_at = now
        if span.parent_span_id is None:
            self.patience = SETTLE_SECONDS
        elif span.flags & _PARENT_IS_REMOTE:
            self.patience = min(self.patience, REMOTE_SECONDS)

    def due_at(self) -> float:
        return min(self.last_at + self.patience, self.first_at + HOLD_SECONDS)


class Assembly:
    """The traces that are not shown yet, and the names of those that were. Times are monotonic seconds."""

    def __init__(self) -> None:
        self._held: OrderedDict[str, _Held] = OrderedDict()
        self._known: OrderedDict[str, dict[str, str]] = OrderedDict()
        self._held_spans = 0
        self._known_spans = 0

    def add(self, spans: Iterable[ReceivedSpan], now: float) -> None:
        """Take spans as they come."""
        for span in spans:
            held = self._held.get(span.trace_id)
            if held is None:
                patience = SETTLE_SECONDS if span.trace_id in self._known else QUIET_SECONDS
                held = self._held[span.trace_id] = _Held(first_at=now, patience=patience)
            held.add(span, now)
            self._held_spans += 1

    def due(self, now: float) -> list[Piece]:
        """The traces that have waited long enough, or too many to wait."""
        ready = [trace_id for trace_id, held in self._held.items() if held.due_at() <= now]
        pieces = [self._release(trace_id) for trace_id in ready]
        while self._held_spans > _MAX_HELD_SPANS:
            pieces.append(self._release(next(iter(self._held))))
        return pieces

    def rest(self) -> list[Piece]:
        """All that is still held."""
        return [self._release(trace_id) for trace_id in list(self._held)]

    def next_due(self) -> float | None:
        """When `due` should be asked next; None while nothing is held."""
        return min((held.due_at() for held in self._held.values()), default=None)

    def _release(self, trace_id: str) -> Piece:
        spans = self._held.pop(trace_id).spans
        self._held_spans -= len(spans)
        known = dict(self._known.get(trace_id, {}))
        self._remember(trace_id, spans)
        (trace,) = trees.build(spans)
        return Piece(trace=trace, is_addition=bool(known), known=known)

    def _remember(self, trace_id: str, spans: list[ReceivedSpan]) -> None:
        known = self._known.setdefault(trace_id, {})
        self._known.move_to_end(trace_id)
        self._known_spans -= len(known)
        known.update((span.span_id, span.name[:100]) for span in spans)
        self._known_spans += len(known)
        while self._known_spans > _MAX_KNOWN_SPANS and self._known:
            self._known_spans -= len(self._known.popitem(last=False)[1])
