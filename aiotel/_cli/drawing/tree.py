"""Who waits for whom, as a tree: below each task those that it waits for; circles on their own, first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from ..._receiver.terminal.text import Glyphs
from .sheet import Line
from .waits import Waits
from .words import Words, age

__all__ = ["Tree", "of_circle"]

DEEPEST: Final = 40
"""What is deeper is not drawn."""
ALIKE: Final = 4
"""So many tasks beside each other that do the same, and wait for no other, are one line."""
MOST_IN_CIRCLE: Final = 20


class Tree:
    """The tree of one snapshot. A task is drawn once, and referred to wherever else somebody waits for it."""

    def __init__(self, waits: Waits, words: Words, glyphs: Glyphs) -> None:
        self._waits = waits
        self._words = words
        self._glyphs = glyphs
        self._corners = ("/> ", "|  ", "\\- ") if glyphs.times == "x" else ("╭▶ ", "│  ", "╰─ ")
        self._drawn: set[int] = set()

    def lines(self) -> Iterator[Line]:
        """The circles, then the tree."""
        for circle in self._waits.circles():
            yield from self._circle(circle)
            yield []
        yield from self._beside(self._roots(), "", ())
        # Those that only tasks of a circle wait for: they would not be met from any root.
        yield from self._beside([task for task in self._waits.tasks if task not in self._drawn], "", ())

    def _roots(self) -> list[int]:
        """Those that nobody waits for, the oldest first."""
        tasks = sorted(self._waits.tasks.values(), key=lambda view: (view.created_ns, view.id))
        return [view.id for view in tasks if not self._waits.sources.get(view.id)]

    def _circle(self, circle: Sequence[int]) -> Iterator[Line]:
        first, middle, last = self._corners
        yield [(of_circle(circle, self._words, self._waits), "bad")]
        for index, task in enumerate(circle[:MOST_IN_CIRCLE]):
            corner = first if index == 0 else last if index == len(circle) - 1 else middle
            yield [("  " + corner, "bad"), *self._task(task)]
        if len(circle) > MOST_IN_CIRCLE:
            yield [(f"  {last}and {len(circle) - MOST_IN_CIRCLE} more", "bad")]
        self._drawn.update(circle)

    def _beside(self, tasks: Sequence[int], indent: str, path: tuple[int, ...]) -> Iterator[Line]:
        """Tasks beside each other, each with what is below it."""
        groups = self._groups(tasks)
        for index, group in enumerate(groups):
            is_last = index == len(groups) - 1
            branch = indent + (self._glyphs.last if is_last else self._glyphs.branch) if path else ""
            below = indent + ("   " if is_last else self._glyphs.down) if path else ""
            if len(group) > 1:
                self._drawn.update(group)
                yield [(branch, "dim"), (f"{len(group)}x ", "strong"), *self._task(group[0])]
            else:
                yield from self._one(group[0], branch, below, path)

    def _one(self, task: int, branch: str, below: str, path: tuple[int, ...]) -> Iterator[Line]:
        view = self._waits.tasks[task]
        if task in self._drawn:
            sign = self._glyphs.link + " "
            yield [(branch, "dim"), (sign, "dim"), (self._words.name(view), "name"), (", see above", "dim")]
            return
        self._drawn.add(task)
        yield [(branch, "dim"), *self._task(task)]
        if len(path) < DEEPEST:
            yield from self._beside(self._waits.targets[task], below, (*path, task))
        elif self._waits.targets[task]:
            yield [(f"{below}{self._glyphs.last}{self._glyphs.more}", "dim")]

    def _groups(self, tasks: Sequence[int]) -> list[list[int]]:
        """Those alike together, where they are many; in the order of the first of each."""
        alike: dict[object, list[int]] = {}
        for task in tasks:
            view = self._waits.tasks[task]
            same = (view.state, view.task.function, self._words.waits_for(view), self._words.at(view))
            can_be_joined = task not in self._drawn and not view.holds and not self._waits.targets[task]
            alike.setdefault(same if can_be_joined else task, []).append(task)
        groups = alike.values()
        return [part for group in groups for part in ([group] if len(group) >= ALIKE else _each(group))]

    def _task(self, task: int) -> Line:
        """A task in one line."""
        view, words = self._waits.tasks[task], self._words
        holds = words.holds(view)
        line: Line = [(words.name(view), "name"), (f"  {words.function(view)}", "")]
        if words.at(view):
            line.append((f"  {words.at(view)}", "dim"))
        if holds:
            line.append((f"  holds {holds},", ""))
        style = {"running": "busy", "waiting": ""}.get(view.state, "good")
        line.append((f"{' ' if holds else '  '}{words.does(view)}", style))
        return line


def of_circle(circle: Sequence[int], words: Words, waits: Waits) -> str:
    """The headline of a circle."""
    longest = age(max(words.waited_ns(waits.tasks[task]) for task in circle))
    if len(circle) == 1:
        return f"a task has waited {longest} for itself"
    return f"{len(circle)} tasks have waited up to {longest} for each other in a circle"


def _each(group: Sequence[int]) -> list[list[int]]:
    return [[task] for task in group]
