"""What every report says of the task that it is about."""

from __future__ import annotations

from typing import Any

from .._signals import names
from ..observations import TaskFacts

__all__ = ["task_attributes"]


def task_attributes(task: TaskFacts | None) -> dict[str, Any]:
    """Its name, its function, and where it was created; of what is known."""
    if task is None:
        return {}
    attributes: dict[str, Any] = {names.TASK_NAME: task.name, names.CODE_FUNCTION_NAME: task.function}
    if task.created_file is not None:
        attributes[names.TASK_CREATED_FUNCTION] = task.created_function
        attributes[names.TASK_CREATED_FILE] = task.created_file
        attributes[names.TASK_CREATED_LINE] = task.created_line
    return attributes
