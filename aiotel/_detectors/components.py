"""Where a graph goes round: its strongly connected components, and the shortest cycle through a node."""

from __future__ import annotations

from collections import deque
from collections.abc import Container, Iterator, Mapping, Sequence

__all__ = ["components", "shortest_cycle"]


def components(edges: Mapping[int, Sequence[int]]) -> Iterator[list[int]]:
    """Each component once, by Tarjan's algorithm; every end of an edge is to be a key as well."""
    search = _Search(edges)
    for root in edges:
        if root not in search.number:
            yield from search.from_root(root)


def shortest_cycle(edges: Mapping[int, Sequence[int]], start: int, inside: Container[int]) -> tuple[int, ...]:
    """The shortest way from a node back to itself within these; empty where there is none."""
    before: dict[int, int] = {}
    left = deque([start])
    while left:
        node = left.popleft()
        for end in edges[node]:
            if end == start:
                return _way(before, start, node)
            if end in inside and end not in before:
                before[end] = node
                left.append(end)
    return ()


def _way(before: Mapping[int, int], start: int, end: int) -> tuple[int, ...]:
    way = [end]
    while way[-1] != start:
        way.append(before[way[-1]])
    return tuple(reversed(way))


class _Search:
    """Without recursion, as chains of tasks are long."""

    def __init__(self, edges: Mapping[int, Sequence[int]]) -> None:
        self.number: dict[int, int] = {}
        self._edges = edges
        self._low: dict[int, int] = {}
        self._stack: list[int] = []
        self._on_stack: set[int] = set()

    def from_root(self, root: int) -> Iterator[list[int]]:
        """The components that can be reached from here, and were not yet."""
        work = [(root, iter(self._enter(root)))]
        while work:
            node, left = work[-1]
            end = next(left, None)
            if end is None:
                work.pop()
                if work:
                    self._lower(work[-1][0], self._low[node])
                if self._low[node] == self.number[node]:
                    yield self._leave(node)
            elif end not in self.number:
                work.append((end, iter(self._enter(end))))
            elif end in self._on_stack:
                self._lower(node, self.number[end])

    def _enter(self, node: int) -> Sequence[int]:
        self.number[node] = self._low[node] = len(self.number)
        self._stack.append(node)
        self._on_stack.add(node)
        return self._edges[node]

    def _lower(self, node: int, number: int) -> None:
        self._low[node] = min(self._low[node], number)

    def _leave(self, node: int) -> list[int]:
        component: list[int] = []
        while not component or component[-1] != node:
            component.append(self._stack.pop())
            self._on_stack.discard(component[-1])
        return component
