"""What each request gives: a snapshot as JSON, whole or in part, and never more than fits."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any, Protocol

from .._snapshot import Snapshot, TaskView
from .bounds import ANSWER_BYTES, SNAPSHOT_S
from .matches import matching
from .plain import to_plain
from .protocol import Refusal, Request

__all__ = ["Answers", "TakesSnapshots"]

_ROOM = 65536
"""Kept for what is around the tasks."""
_LEAST = 4096
"""With less left than that no task is tried any more."""


class TakesSnapshots(Protocol):
    """Whoever takes snapshots."""

    def __call__(self, *, timeout: float) -> Snapshot:
        """A snapshot, within so many seconds."""


class Answers:
    """Answers what is asked about this process."""

    def __init__(self, snapshot: TakesSnapshots, *, version: str) -> None:
        self._snapshot = snapshot
        self._version = version
        self.commands: Mapping[str, Callable[[Request], bytes]] = {
            "ps": self._without_stacks,
            "tree": self._without_stacks,
            "where": self._where,
            "dump": self._all,
        }

    def _without_stacks(self, _: Request) -> bytes:
        snapshot = self._snapshot(timeout=SNAPSHOT_S)
        return self._encoded(replace(snapshot, tasks=tuple(map(_without_stack, snapshot.tasks))))

    def _all(self, _: Request) -> bytes:
        return self._encoded(self._snapshot(timeout=SNAPSHOT_S))

    def _where(self, request: Request) -> bytes:
        """The tasks that are meant, with their stacks, then the others: some have to do with these."""
        if not request.task:
            raise Refusal("`where` needs a task: its name, the beginning of its name, or its id")
        snapshot = self._snapshot(timeout=SNAPSHOT_S)
        found = matching(snapshot.tasks, request.task)
        if not found:
            more = f" ({snapshot.left_out:,} were not looked at)" if snapshot.left_out else ""
            raise Refusal(f"no task is called {request.task!r}{more}")
        ids = [view.id for view in found]
        others = (_without_stack(view) for view in snapshot.tasks if view.id not in ids)
        return self._encoded(replace(snapshot, tasks=(*found, *others)), matches=ids)

    def _encoded(self, snapshot: Snapshot, **more: Any) -> bytes:
        tasks, left_out = _encoded_tasks(snapshot.tasks)
        bare = to_plain(replace(snapshot, tasks=(), left_out=snapshot.left_out + left_out))
        bare.update(more)
        head = json.dumps(bare).encode()[:-1]
        return self._envelope(b'%b,"tasks":[%b]}' % (head, tasks), "snapshot")

    def _envelope(self, body: bytes, name: str) -> bytes:
        about = {
            "pid": os.getpid(),
            "command": _command(),
            "python": sys.version.partition(" ")[0],
            "aiotel": self._version,
        }
        return b'%b,"%b":%b}' % (json.dumps(about).encode()[:-1], name.encode(), body)


def _encoded_tasks(tasks: Iterable[TaskView]) -> tuple[bytes, int]:
    """As many as fit, one after the other: one great piece would keep the GIL for all the time it takes."""
    encoded: list[bytes] = []
    left, left_out = ANSWER_BYTES - _ROOM, 0
    for view in tasks:
        task = b"" if left < _LEAST else json.dumps(to_plain(view), separators=(",", ":")).encode()
        if not task or len(task) >= left:
            left_out += 1
            continue
        left -= len(task) + 1
        encoded.append(task)
    return b",".join(encoded), left_out


def _without_stack(view: TaskView) -> TaskView:
    """The task without its stack, but for one that runs: of that nothing else says where it is."""
    return view if view.state == "running" else replace(view, stack=())


def _command() -> str:
    """What runs here, as short as it can be said."""
    module = getattr(getattr(sys.modules.get("__main__"), "__spec__", None), "name", None)
    if module:
        return str(module).removesuffix(".__main__")
    arguments = sys.argv or [""]
    return str(arguments[0]).rpartition("/")[2]
