"""Find the tasks that somebody means."""

from __future__ import annotations

from collections.abc import Sequence

from .._snapshot import TaskView

__all__ = ["matching"]

MOST = 20
"""So many tasks are told where a name means more than one."""


def matching(tasks: Sequence[TaskView], text: str) -> list[TaskView]:
    """Those with this id; else with this name; else whose name, function or its last part begins so."""
    for means in (_has_id, _has_name, _begins):
        found = [view for view in tasks if means(view, text)]
        if found:
            return found[:MOST]
    return []


def _has_id(view: TaskView, text: str) -> bool:
    return text in (str(view.id), f"{view.id:#x}")


def _has_name(view: TaskView, text: str) -> bool:
    return view.task.name == text


def _begins(view: TaskView, text: str) -> bool:
    function = view.task.function
    return any(each.startswith(text) for each in (view.task.name, function, function.rpartition(".")[2]))
