"""The wait graph for Graphviz or Mermaid: tasks, what they hold, and what they wait for."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

from ..._snapshot import Primitive, TaskView
from .waits import Waits
from .words import Words

__all__ = ["dot", "mermaid"]

MOST: Final = 500
"""More nodes than that nobody can read, and no renderer takes."""


class _Edge(NamedTuple):
    start: str
    end: str
    label: str
    is_held: bool = False


class _Graph:
    """Nodes and edges: of the tasks that have to do with another, or with something that is held."""

    def __init__(self, waits: Waits, words: Words) -> None:
        self._waits = waits
        self._words = words
        self.circle = {f"t{task}" for circle in waits.circles() for task in circle}
        self.tasks: dict[str, TaskView] = {}
        self.primitives: dict[str, Primitive] = {}
        self.edges: list[_Edge] = []
        for view in sorted(waits.tasks.values(), key=lambda view: (view.created_ns, view.id)):
            if len(self.tasks) >= MOST:
                break
            self._add(view)
        self.edges = [edge for edge in self.edges if {edge.start, edge.end} <= self._nodes()]

    def label(self, view: TaskView) -> str:
        """The words in a task's node."""
        words = self._words
        waited = f"waits {words.waited(view)}" if view.waiting is not None else words.state(view)
        return "\n".join(filter(None, (words.name(view), words.function(view), waited, words.at(view))))

    def name(self, primitive: Primitive) -> str:
        """The words in a primitive's node."""
        return self._words.primitive(primitive)

    def _add(self, view: TaskView) -> None:
        waiting = view.waiting
        wanted = None if waiting is None else waiting.primitive
        is_alone = not self._waits.targets[view.id] and not self._waits.sources.get(view.id)
        if is_alone and not view.holds and wanted is None:
            return
        node = f"t{view.id}"
        self.tasks[node] = view
        for held in view.holds:
            self.primitives[f"p{held.primitive.id}"] = held.primitive
            self.edges.append(_Edge(f"p{held.primitive.id}", node, "held by", is_held=True))
        if wanted is not None:
            self.primitives[f"p{wanted.id}"] = wanted
            self.edges.append(_Edge(node, f"p{wanted.id}", "waits for"))
        for task in () if waiting is None else waiting.tasks:
            self.edges.append(_Edge(node, f"t{task}", "waits for"))

    def _nodes(self) -> set[str]:
        return {*self.tasks, *self.primitives}


def dot(waits: Waits, words: Words) -> Iterator[str]:
    """The lines of a graph for Graphviz."""
    graph = _Graph(waits, words)
    yield "digraph waits {"
    yield "  rankdir=LR;"
    yield '  node [fontname="sans-serif", shape=box, style=rounded];'
    for node, view in graph.tasks.items():
        red = ", color=red" if node in graph.circle else ""
        yield f"  {node} [label={_quoted(graph.label(view))}{red}];"
    for node, primitive in graph.primitives.items():
        yield f"  {node} [label={_quoted(graph.name(primitive))}, shape=ellipse, style=solid];"
    for edge in graph.edges:
        style = "dashed" if edge.is_held else "solid"
        yield f"  {edge.start} -> {edge.end} [label={_quoted(edge.label)}, style={style}];"
    yield "}"


def mermaid(waits: Waits, words: Words) -> Iterator[str]:
    """The lines of a graph for Mermaid."""
    graph = _Graph(waits, words)
    yield "flowchart LR"
    for node, view in graph.tasks.items():
        yield f'  {node}["{_escaped(graph.label(view))}"]'
    for node, primitive in graph.primitives.items():
        yield f'  {node}(["{_escaped(graph.name(primitive))}"])'
    for edge in graph.edges:
        arrow = "-.->" if edge.is_held else "-->"
        yield f"  {edge.start} {arrow}|{edge.label}| {edge.end}"
    circle = [node for node in graph.tasks if node in graph.circle]
    if circle:
        yield "  classDef circle stroke:#d00,stroke-width:2px"
        yield f"  class {','.join(circle)} circle"


def _quoted(text: str) -> str:
    """A text of Graphviz: only quotes, backslashes and ends of lines mean anything in one."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'


def _escaped(text: str) -> str:
    """A text of Mermaid, where anything but letters may mean something: by its number, then."""
    return "".join(
        "<br>" if char == "\n" else char if char.isalnum() or char in " .:_-,/" else f"#{ord(char)};"
        for char in text
    )
