"""The strongly connected components of a graph, by Tarjan's algorithm. Chains are long: no recursion."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

__all__ = ["components"]


def components(edges: Mapping[int, Sequence[int]]) -> Iterator[list[int]]:
    """Each component once; every end of an edge is to be a key as well."""
    search = _Search(edges)
    for root in edges:
        if root not in search.number:
            yield from search.from_root(root)


class _Search:
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
