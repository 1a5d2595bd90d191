"""Tell on which line a task is created: the user's, past the frames of asyncio and others."""

from __future__ import annotations

import sys
from types import CodeType
from typing import Final

__all__ = ["site"]

# Modules whose frames lie between the user's line and `loop.create_task`.
_PLUMBING: Final = frozenset(
    {"asyncio.base_events", "asyncio.runners", "asyncio.taskgroups", "asyncio.tasks", "asyncio.timeouts"}
    | {"anyio._backends._asyncio", "aiotel._process", "uvloop"}
)


# The code and the offset of the instruction, which are made readable later.
if sys.version_info >= (3, 12):

    def site(depth: int) -> tuple[CodeType, int]:
        """The first frame that is the user's, `depth` or more above this one."""
        module_at = sys._getframemodulename
        while module_at(depth) in _PLUMBING:
            depth += 1
        frame = sys._getframe(depth)
        return frame.f_code, frame.f_lasti

else:

    def site(depth: int) -> tuple[CodeType, int]:
        """The first frame that is the user's, `depth` or more above this one."""
        frame = sys._getframe(depth)
        while frame.f_globals.get("__name__") in _PLUMBING and frame.f_back is not None:
            frame = frame.f_back
        return frame.f_code, frame.f_lasti
