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

__all__ = ["is_pythons", "not_ours", "warn_past"]

_HOOKS: Final = __name__.rpartition(".")[0]


def not_ours(frame: FrameType) -> tuple[FrameType, int]:
    """The first frame that is no hook's, and how many of those were on the way."""
    count = 0
    while frame.f_globals.get("__package__") == _HOOKS and frame.f_back is not None:
        frame = frame.f_back
        count += 1
    return frame, count


def is_pythons(found: object) -> bool:
    """Whether this is what Python itself has for this warning."""
    return type(found) is FunctionType and found.__module__ in ("warnings", "_py_warnings")


def warn_past(coro: Any, *, frames: int) -> None:
    """Warn as Python does, but of the line that is so many frames below the caller's."""
    lines = [f"coroutine '{coro.__qualname__}' was never awaited\n"]
    if coro.cr_origin is not None:
        lines.append("Coroutine created at (most recent call last)\n")
        lines += traceback.format_list(
            [
                traceback.FrameSummary(file, line, function, line=linecache.getline(file, line))
                for file, line, function in reversed(coro.cr_origin)
            ]
        )
    warnings.warn("".join(lines).rstrip("\n"), category=RuntimeWarning, stacklevel=frames + 2, source=coro)
