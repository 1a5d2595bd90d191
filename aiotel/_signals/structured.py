"""Give an exception the form of structlog's structured tracebacks, from plain data; never with locals."""

from __future__ import annotations

import os
from typing import Any

from ..observations import ExceptionFacts, Frame

__all__ = ["structured"]


def structured(exception: ExceptionFacts) -> list[dict[str, Any]]:
    """What `structlog.processors.dict_tracebacks` makes of the exception: itself, then what it came from."""
    stacks = []
    current: ExceptionFacts | None = exception
    is_cause = False
    while current is not None:
        stacks.append(_stack(current, is_cause=is_cause))
        is_cause = current.chained == "cause"
        current = current.cause
    return stacks


def _stack(exception: ExceptionFacts, *, is_cause: bool) -> dict[str, Any]:
    return {
        "exc_type": _last(exception.type),
        "exc_value": exception.message,
        "exc_notes": [],
        "syntax_error": None,
        "is_cause": is_cause,
        "frames": _frames(exception),
        "is_group": bool(exception.leaves),
        "exceptions": [structured(leaf) for leaf in exception.leaves],
    }


def _frames(exception: ExceptionFacts) -> list[dict[str, Any]]:
    frames = [_frame(frame) for frame in exception.frames]
    if exception.frames_left_out:
        left_out = f"Skipped frames: {exception.frames_left_out}"
        frames.insert(len(frames) // 4, {"filename": "", "lineno": -1, "name": left_out})
    return frames


def _frame(frame: Frame) -> dict[str, Any]:
    file = frame.file
    return {
        "filename": os.path.abspath(file) if file and not file.startswith("<") else file or "?",  # noqa: PTH100  # as structlog
        "lineno": frame.line,
        "name": _last(frame.function),
    }


def _last(name: str) -> str:
    """The name alone: structlog leaves out what it is qualified by."""
    return name.rpartition(".")[2]
