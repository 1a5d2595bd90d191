"""What tasks do, in few words: names made harmless, files without their directories, short times."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import PurePath

from ..._receiver.terminal.text import neutral
from ..._snapshot import Primitive, Snapshot, TaskView, Waiting
from ...observations import Frame
from .waits import Waits

__all__ = ["Words", "age", "place"]

_LONGEST = 100
_PLURALS = {"gather": "gather", "task group": "TaskGroup", "wait": "asyncio.wait"}
_BARE = {
    "executor": "a thread",
    "subprocess": "a subprocess",
    "io": "I/O",
    "future": "a future",
    "unknown": "something unknown",
}
_NAMELESS = {"__init__.py", "__main__.py", "main.py", "app.py"}
"""Files of which a program has many."""


class Words:
    """Words for the tasks of one snapshot. Locks and their like are told apart by letters."""

    def __init__(self, snapshot: Snapshot, waits: Waits) -> None:
        self._now_ns = snapshot.now_ns
        self._waits = waits
        self._letters = _letters(snapshot.tasks)

    def name(self, view: TaskView) -> str:
        """The task's name."""
        return neutral(view.task.name, limit=_LONGEST)

    def function(self, view: TaskView) -> str:
        """The function of its coroutine."""
        return _function(view.task.function)

    def state(self, view: TaskView) -> str:
        """What it does, in one word."""
        return "new" if view.state == "not started" else neutral(view.state, limit=20)

    def age(self, view: TaskView) -> str:
        """How old it is; nothing where that is not known."""
        return age(self._now_ns - view.created_ns) if view.created_ns else ""

    def waited_ns(self, view: TaskView) -> int:
        """For how long it has waited at least."""
        return 0 if view.waiting is None else max(0, self._now_ns - view.waiting.since_ns)

    def waited(self, view: TaskView) -> str:
        """The same in words: the time is from the first look at it, so it may be longer."""
        return age(self.waited_ns(view)) if view.waiting is not None else ""

    def at(self, view: TaskView) -> str:
        """The line on which it is."""
        if view.waiting is not None:
            return place(view.waiting.at)
        return place(view.stack[-1]) if view.stack else ""

    def waits_for(self, view: TaskView) -> str:
        """What it waits for, and who has it."""
        waiting = view.waiting
        if waiting is None:
            return ""
        primitive = waiting.primitive
        what = self._what(waiting) if primitive is None else self.primitive(primitive)
        holders = [] if primitive is None else self._waits.holders(primitive.id)
        who = f", held by {self._listed(holders)}" if holders else ""
        return f"{what}{who}{self._left(waiting)}"

    def does(self, view: TaskView) -> str:
        """What it does, as a verb."""
        waiting = view.waiting
        if waiting is None:
            return self.state(view)
        if waiting.kind == "sleep":
            return f"sleeps{self._left(waiting)}"
        return f"waits {self.waited(view)} for {self.waits_for(view)}"

    def holds(self, view: TaskView, *, where: bool = False) -> str:
        """What it holds."""
        return ", ".join(
            self.primitive(held.primitive) + (f" since {place(held.at)}" if where and held.at else "")
            for held in view.holds
        )

    def primitive(self, primitive: Primitive) -> str:
        """A lock or the like: its class and a letter."""
        letter = self._letters.get(primitive.id, "")
        return f"{neutral(primitive.name, limit=40)} {letter}".rstrip()

    def _what(self, waiting: Waiting) -> str:
        if waiting.kind == "task":
            return self._listed(waiting.tasks) or "a task"
        if waiting.kind in _PLURALS:
            number = len(waiting.tasks)
            return f"{_PLURALS[waiting.kind]} of {number} task{'' if number == 1 else 's'}"
        what = neutral(waiting.what, limit=_LONGEST)
        if waiting.kind == "sleep":
            return "sleep"
        return what or _BARE.get(waiting.kind, neutral(waiting.kind, limit=20))

    def _left(self, waiting: Waiting) -> str:
        if waiting.deadline_ns is None:
            return ""
        left = age(max(0, waiting.deadline_ns - self._now_ns))
        return f", {left} left" if waiting.kind == "sleep" else f", times out in {left}"

    def _listed(self, tasks: Sequence[int]) -> str:
        names = [self.name(self._waits.tasks[task]) for task in tasks if task in self._waits.tasks]
        more = f" and {len(names) - 2} more" if len(names) > 2 else ""
        return ", ".join(names[:2]) + more


def age(ns: int) -> str:
    """A time in at most six characters: `0.12s`, `12s`, `3m20s`, `2h05m`, `3d04h`."""
    seconds = max(0, ns) / 1e9
    if seconds < 0.995:
        return f"{seconds:.2f}s"
    if seconds < 9.95:
        return f"{seconds:.1f}s"
    whole = round(seconds)
    for size, unit, small, letter in ((86400, "d", 3600, "h"), (3600, "h", 60, "m"), (60, "m", 1, "s")):
        if whole >= size:
            return f"{whole // size}{unit}{whole % size // small:02}{letter}"
    return f"{whole}s"


def place(frame: Frame | None) -> str:
    """A line of source: the name of the file, with its directory where it has the name of many."""
    if frame is None or not frame.file:
        return ""
    path = PurePath(frame.file)
    name = "/".join(path.parts[-2:]) if path.name in _NAMELESS else path.name
    return f"{neutral(name.lstrip('/'), limit=_LONGEST)}:{frame.line}"


def _function(name: str) -> str:
    return neutral(name.removeprefix("__main__."), limit=_LONGEST)


def _letters(tasks: Iterable[TaskView]) -> dict[int, str]:
    """A letter for each primitive that is waited for or held: from A on for each class."""
    found: dict[int, str] = {}
    numbers: Counter[str] = Counter()
    for view in sorted(tasks, key=lambda view: (view.created_ns, view.id)):
        waited = () if view.waiting is None or view.waiting.primitive is None else (view.waiting.primitive,)
        for primitive in (*(held.primitive for held in view.holds), *waited):
            if primitive.id not in found:
                found[primitive.id] = _letter(numbers[primitive.name])
                numbers[primitive.name] += 1
    return found


def _letter(number: int) -> str:
    """A to Z, AA to ZZ, and so on."""
    letters = ""
    while number >= 0:
        letters = chr(ord("A") + number % 26) + letters
        number = number // 26 - 1
    return letters
