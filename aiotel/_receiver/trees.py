"""Build trees of spans, whatever order, gaps or nonsense they came with."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from .received import ReceivedSpan


# Compared by identity: a comparison by value would go as deep as the tree, and Python cannot.
@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TraceNode:
    """A span and the spans below it, by start. An orphan names a parent that has not been received."""

    span: ReceivedSpan
    children: tuple[TraceNode, ...] = ()
    orphan: bool = False

    def __repr__(self) -> str:
        return f"<TraceNode {self.span.name!r}, {len(self.children)} children>"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Trace:
    """All spans of one trace. `roots` are its tops by start: true roots, and orphans."""

    trace_id: str
    roots: tuple[TraceNode, ...]

    def walk(self) -> Iterator[tuple[int, TraceNode]]:
        """Each node with its depth, 0 for a root; parents before children, siblings by start."""
        waiting = [(0, root) for root in reversed(self.roots)]
        while waiting:
            depth, node = waiting.pop()
            yield depth, node
            waiting.extend((depth + 1, child) for child in reversed(node.children))

    def outline(self) -> list[str]:
        """The names, indented by two spaces a level; an orphan has `?` before its name."""
        return ["  " * depth + ("? " if node.orphan else "") + node.span.name for depth, node in self.walk()]

    @property
    def spans(self) -> list[ReceivedSpan]:
        """The spans, in the order of `walk()`."""
        return [node.span for _, node in self.walk()]

    @property
    def start_ns(self) -> int:
        """When the first of its spans started."""
        return min(span.start_ns for span in self.spans)

    @property
    def end_ns(self) -> int:
        """When the last of its spans ended."""
        return max(span.end_ns for span in self.spans)


def build(spans: Iterable[ReceivedSpan]) -> list[Trace]:
    """The traces that these spans form, by start. Of a span that came twice, the first counts."""
    by_trace: dict[str, dict[str, ReceivedSpan]] = defaultdict(dict)
    for span in spans:
        by_trace[span.trace_id].setdefault(span.span_id, span)
    traces = [_trace(trace_id, by_id) for trace_id, by_id in by_trace.items()]
    return sorted(traces, key=lambda trace: trace.start_ns)


def _trace(trace_id: str, by_id: dict[str, ReceivedSpan]) -> Trace:
    children: dict[str, list[ReceivedSpan]] = defaultdict(list)
    tops: list[ReceivedSpan] = []
    for span in sorted(by_id.values(), key=lambda span: (span.start_ns, -span.end_ns)):
        if span.parent_span_id in by_id and span.parent_span_id is not None:
            children[span.parent_span_id].append(span)
        else:
            tops.append(span)
    nodes: dict[str, TraceNode] = {}
    for top in tops:
        _grow(top, children, nodes)
    for span in by_id.values():
        if span.span_id not in nodes:
            tops.append(_earliest_of_circle(span, by_id))
            _grow(tops[-1], children, nodes)
    tops.sort(key=lambda span: span.start_ns)
    return Trace(trace_id=trace_id, roots=tuple(nodes[top.span_id] for top in tops))


def _earliest_of_circle(span: ReceivedSpan, by_id: dict[str, ReceivedSpan]) -> ReceivedSpan:
    """Where to cut the circle of parents that this span hangs on: no tree has one, but a sender may."""
    above = span
    path: dict[str, ReceivedSpan] = {}
    while above.span_id not in path:
        path[above.span_id] = above
        above = by_id[str(above.parent_span_id)]
    on_the_way_there = list(path).index(above.span_id)
    return min(list(path.values())[on_the_way_there:], key=lambda span: span.start_ns)


def _grow(top: ReceivedSpan, children: dict[str, list[ReceivedSpan]], nodes: dict[str, TraceNode]) -> None:
    """Add the nodes of the tree under `top`, leaves first; without recursion, for a trace may be deep."""
    order, waiting, met = [], [top], {top.span_id}
    while waiting:
        span = waiting.pop()
        order.append(span)
        below = [child for child in children[span.span_id] if child.span_id not in met]
        children[span.span_id] = below
        met.update(child.span_id for child in below)
        waiting.extend(below)
    for span in reversed(order):
        nodes[span.span_id] = TraceNode(
            span=span,
            children=tuple(nodes[child.span_id] for child in children[span.span_id]),
            orphan=span is top and span.parent_span_id is not None,
        )
