"""What is said above a table or a tree: which process, which loops, and whether one is blocked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, Final

from ..._receiver.terminal.text import count, neutral
from ..._snapshot import LoopView, Snapshot
from .sheet import Line
from .words import age

__all__ = ["lines", "rest"]

BLOCKED_NS: Final = 100_000_000
"""A loop that has not gone on for so long is said to be blocked."""


def lines(about: Mapping[str, Any], snapshot: Snapshot) -> Iterator[Line]:
    """Which process it is, and how its loops do."""
    total = sum(loop.tasks for loop in snapshot.loops)
    states = Counter(view.state for view in snapshot.tasks)
    said = ", ".join(f"{number:,} {state}" for state, number in states.most_common())
    command, python = (neutral(str(about.get(key, "?")), limit=100) for key in ("command", "python"))
    yield [
        (command or "python", "strong"),
        (f"  process {about.get('pid')}, Python {python}", ""),
        (f", {count(total, 'task')}{': ' if said else ''}{said}", ""),
    ]
    for loop in snapshot.loops:
        if len(snapshot.loops) > 1 or loop.stuck_ns >= BLOCKED_NS or not loop.running:
            yield _loop(loop)


def rest(snapshot: Snapshot) -> Iterator[Line]:
    """What was left out."""
    if snapshot.left_out:
        yield [
            (f"{count(snapshot.left_out, 'more task')} could not be looked at in time, or do not fit", "busy")
        ]


def _loop(loop: LoopView) -> Line:
    name = neutral(loop.kind.rpartition(".")[2], limit=60)
    thread = f" in {neutral(loop.thread, limit=60)}" if loop.thread else ""
    line: Line = [(f"loop {loop.number}", "dim"), (f"  {name}{thread}, {count(loop.tasks, 'task')}", "")]
    if not loop.running:
        return [*line, (", does not run", "dim")]
    if loop.stuck_ns >= BLOCKED_NS:
        line.append((f", BLOCKED for {age(loop.stuck_ns)}", "bad"))
    return line
