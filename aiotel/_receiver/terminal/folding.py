"""Choose the lines that a trace is shown in, so that a thousand spans still fit on a screen.

Equal siblings become one line with their number; what goes beyond the limits is counted on the line above it.
Nodes near the root, and those with an error below them, are unfolded first.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ..._signals import names

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ..trees import Trace, TraceNode

EQUAL_FROM = 4
MAX_SIBLINGS = 12
MAX_LINES = 120
MAX_DEPTH = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line: a span, several equal ones, or the rest of some siblings.

    `lasts` says for each level of indentation whether nothing follows there. `is_slowest` marks the one of
    several equal ones that is unfolded for all of them. `hidden` and `hidden_errors` count the spans below
    that have no line.
    """

    nodes: tuple[TraceNode, ...]
    lasts: tuple[bool, ...] = ()
    is_rest: bool = False
    is_slowest: bool = False
    hidden: int = 0
    hidden_errors: int = 0


@dataclass(slots=True)
class _Branch:
    nodes: tuple[TraceNode, ...]
    is_rest: bool = False
    is_slowest: bool = False
    branches: list[_Branch] = field(default_factory=list)
    unfolded: bool = False


def fold(
    trace: Trace,
    *,
    max_lines: int = MAX_LINES,
    max_depth: int = MAX_DEPTH,
    max_siblings: int = MAX_SIBLINGS,
) -> list[Line]:
    """The lines of a trace, in the order they are shown."""
    survey = _Survey(trace)
    tops = _group(trace.roots, survey, max_siblings)
    lines = len(tops)
    waiting = [(survey.urgency(branch, 0), number, 0, branch) for number, branch in enumerate(tops)]
    number = len(waiting)
    heapq.heapify(waiting)
    while waiting:
        _, _, depth, branch = heapq.heappop(waiting)
        below = _below(branch, survey, max_siblings)
        if depth >= max_depth or lines + len(below) > max_lines:
            continue
        branch.branches, branch.unfolded = below, True
        lines += len(below)
        for child in below:
            heapq.heappush(waiting, (survey.urgency(child, depth + 1), number, depth + 1, child))
            number += 1
    return list(_lines(tops, survey))


class _Survey:
    """What is known of each node's subtree: its shape, its size, its errors."""

    def __init__(self, trace: Trace) -> None:
        self.shape: dict[str, int] = {}
        self.size: dict[str, int] = {}
        self.errors: dict[str, int] = {}
        known: dict[object, int] = {}
        for _, node in reversed(list(trace.walk())):
            ids = [child.span.span_id for child in node.children]
            shape = (_look(node), frozenset(self.shape[id] for id in ids))
            self.shape[node.span.span_id] = known.setdefault(shape, len(known))
            self.size[node.span.span_id] = 1 + sum(self.size[id] for id in ids)
            self.errors[node.span.span_id] = is_error(node) + sum(self.errors[id] for id in ids)

    def urgency(self, branch: _Branch, depth: int) -> tuple[int, int]:
        errors = any(self.errors[node.span.span_id] > is_error(node) for node in branch.nodes)
        return (depth // 4 if errors else depth, -max(node.span.duration_ns for node in branch.nodes))


def is_error(node: TraceNode) -> bool:
    """Whether the span says that it failed."""
    return node.span.status == "ERROR" or node.span.attributes.get(names.TASK_OUTCOME) == "raised"


def _look(node: TraceNode) -> object:
    """What makes two siblings look the same."""
    span = node.span
    outcome, error = span.attributes.get(names.TASK_OUTCOME), span.attributes.get(names.ERROR_TYPE)
    return (span.name, span.kind, span.status, str(outcome), str(error), span.scope, node.orphan)


def _below(branch: _Branch, survey: _Survey, max_siblings: int) -> list[_Branch]:
    if branch.is_rest:
        return []
    if len(branch.nodes) == 1:
        return _group(branch.nodes[0].children, survey, max_siblings)
    # Of equal ones with children of their own, the slowest shows what they look like inside.
    slowest = max(branch.nodes, key=lambda node: node.span.duration_ns)
    return [_Branch((slowest,), is_slowest=True)] if slowest.children else []


def _group(nodes: Sequence[TraceNode], survey: _Survey, max_siblings: int) -> list[_Branch]:
    """Siblings as branches by start: the equal ones together, those beyond the limit in a rest at the end."""
    alike: dict[int, list[TraceNode]] = {}
    for node in nodes:
        alike.setdefault(survey.shape[node.span.span_id], []).append(node)
    branches: list[_Branch] = []
    for same in alike.values():
        branches += [_Branch(tuple(same))] if len(same) >= EQUAL_FROM else [_Branch((node,)) for node in same]
    rest: list[TraceNode] = []
    if len(branches) > max_siblings:
        branches.sort(key=lambda branch: _importance(branch, survey))
        rest = [node for branch in branches[max_siblings - 1 :] for node in branch.nodes]
        del branches[max_siblings - 1 :]
    branches.sort(key=lambda branch: branch.nodes[0].span.start_ns)
    return branches + ([_Branch(tuple(rest), is_rest=True)] if rest else [])


def _importance(branch: _Branch, survey: _Survey) -> tuple[bool, int]:
    failed = any(survey.errors[node.span.span_id] for node in branch.nodes)
    return (not failed, -sum(node.span.duration_ns for node in branch.nodes))


def _lines(tops: list[_Branch], survey: _Survey) -> Iterator[Line]:
    waiting: list[tuple[tuple[bool, ...], _Branch]] = [((), branch) for branch in reversed(tops)]
    while waiting:
        lasts, branch = waiting.pop()
        yield _line(branch, lasts, survey)
        below = [((*lasts, child is branch.branches[-1]), child) for child in branch.branches]
        waiting.extend(reversed(below))


def _line(branch: _Branch, lasts: tuple[bool, ...], survey: _Survey) -> Line:
    ids = [node.span.span_id for node in branch.nodes]
    hidden = sum(survey.size[id] for id in ids) - len(ids)
    errors = sum(survey.errors[id] - is_error(node) for id, node in zip(ids, branch.nodes, strict=True))
    if branch.unfolded and (len(ids) == 1 or branch.branches):  # of equal ones, one shows what is in all
        hidden = errors = 0
    return Line(
        nodes=branch.nodes,
        lasts=lasts,
        is_rest=branch.is_rest,
        is_slowest=branch.is_slowest,
        hidden=hidden,
        hidden_errors=errors,
    )
