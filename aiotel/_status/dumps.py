"""A snapshot as plain words and data for a log: as much of it as a log can take."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Final

from .._snapshot import Snapshot, TaskView
from ..observations import Dumped, Frame
from .plain import to_plain

__all__ = ["dumped"]

LINES: Final = 50
"""So many tasks are told in words."""
BYTES: Final = 64 * 1024
"""So much is told as data."""
_LONGEST: Final = 200


def dumped(snapshot: Snapshot) -> Dumped:
    """What is told of the snapshot: first of those that run, then of those that have waited longest."""
    tasks = sorted(snapshot.tasks, key=lambda view: (view.state == "waiting", _since_ns(view), view.id))
    data, told = _as_json(tasks)
    return Dumped(
        words="\n".join((_headline(snapshot), *_lines(tasks, snapshot))),
        tasks=data,
        count=len(tasks) + snapshot.left_out,
        left_out=len(tasks) - told + snapshot.left_out,
        time_ns=snapshot.time_ns,
    )


def _headline(snapshot: Snapshot) -> str:
    states = Counter(view.state for view in snapshot.tasks)
    said = ", ".join(f"{number} {state}" for state, number in states.most_common())
    total = len(snapshot.tasks) + snapshot.left_out
    blocked = "".join(
        f"; loop {loop.number} has not gone on for {loop.stuck_ns / 1e9:.1f} s"
        for loop in snapshot.loops
        if loop.stuck_ns >= 100_000_000
    )
    return f"Snapshot: {total} task{'' if total == 1 else 's'}{f' ({said})' if said else ''}{blocked}"


def _lines(tasks: list[TaskView], snapshot: Snapshot) -> Iterator[str]:
    holders = {held.primitive.id: view for view in tasks for held in view.holds}
    for view in tasks[:LINES]:
        yield f"  {view.task.name[:_LONGEST]!r} ({view.task.function}) {_does(view, snapshot, holders)}"
    if len(tasks) > LINES or snapshot.left_out:
        yield f"  ... and {max(0, len(tasks) - LINES) + snapshot.left_out} more"


def _does(view: TaskView, snapshot: Snapshot, holders: dict[int, TaskView]) -> str:
    waiting = view.waiting
    if waiting is None:
        return f"is {view.state}{_where(view.stack[-1] if view.stack else None)}"
    primitive = waiting.primitive
    holder = None if primitive is None else holders.get(primitive.id)
    held = "" if holder is None else f", which {holder.task.name[:_LONGEST]!r} holds,"
    waited = max(0, snapshot.now_ns - waiting.since_ns) / 1e9
    return f"has waited {waited:.1f} s for: {waiting.kind}{held}{_where(waiting.at)}"


def _where(at: Frame | None) -> str:
    return "" if at is None else f" at line {at.line} of {at.function} ({at.file})"


def _as_json(tasks: list[TaskView]) -> tuple[str, int]:
    """The tasks without their stacks, and how many of them there is room for."""
    encoded: list[str] = []
    left = BYTES
    for view in tasks:
        plain: Any = to_plain(view if view.state == "running" else replace(view, stack=()))
        task = json.dumps(plain, separators=(",", ":"))
        left -= len(task) + 1
        if left < 0:
            break
        encoded.append(task)
    return f"[{','.join(encoded)}]", len(encoded)


def _since_ns(view: TaskView) -> int:
    return view.created_ns if view.waiting is None else view.waiting.since_ns
