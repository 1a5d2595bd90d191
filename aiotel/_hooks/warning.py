"""Make Python's warning of a coroutine that was never awaited where a frame of ours lies on the way.

A loop's `close` lets go of its tasks, and ours stands in front of it: uvloop's has no frame of its own, so
that ours would be named in the place of the line that closes the loop.
"""

from __future__ import annotations

import linecache
import traceback
import warnings
from types import FrameType, FunctionType
from typing import Any, Final

__all__ = ["is_ours", "is_pythons", "warn_past"]

_HOOKS: Final = __name__.rpartition(".")[0]


def is_ours(frame: FrameType) -> bool:
    """Whether this is a frame of a hook."""
    return frame.f_globals.get("__package__") == _HOOKS


def is_pythons(found: object) -> bool:
    """Whether this is what Python itself has for this warning."""
    return type(found) is FunctionType and found.__module__ in ("warnings", "_py_warnings")


def warn_past(frame: FrameType, coro: Any, *, above: int) -> None:
    """Warn as Python does, of the first line that is not ours; `above` counts the frames over `frame`."""
    level = above + 2
    below = frame.f_back
    while below is not None and is_ours(below):
        level += 1
        below = below.f_back
    lines = [f"coroutine '{coro.__qualname__}' was never awaited\n"]
    if coro.cr_origin is not None:
        lines.append("Coroutine created at (most recent call last)\n")
        lines += traceback.format_list(
            [
                traceback.FrameSummary(file, line, function, line=linecache.getline(file, line))
                for file, line, function in reversed(coro.cr_origin)
            ]
        )
    warnings.warn("".join(lines).rstrip("\n"), category=RuntimeWarning, stacklevel=level + 1, source=coro)
