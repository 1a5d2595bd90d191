"""Walk through the coroutines that a task is made of, and their frames; on the loop's thread."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from typing import Any, Final

__all__ = ["DEPTH", "coroutines", "frame_of", "own"]

DEPTH: Final = 200
"""How many coroutines of a task are looked at."""

# In a coroutine object these name what it awaits: for native ones, for generators, for async generators.
_AWAITED: Final = ("cr_await", "gi_yieldfrom", "ag_await")
_FRAMES: Final = ("cr_frame", "gi_frame", "ag_frame")


def own(thing: Any, *attributes: str) -> Any:
    """The first of these attributes that its class has, else None; no stranger's `__getattr__` is asked."""
    return next((getattr(thing, name) for name in attributes if hasattr(type(thing), name)), None)


def frame_of(coroutine: Any) -> Any:
    """The frame in which a coroutine stands."""
    return own(coroutine, *_FRAMES)


def coroutines(task: Any) -> Iterator[Any]:
    """The task's coroutine, the one that this awaits, and so on."""
    coroutine = task.get_coro()
    for _ in range(DEPTH):
        if coroutine is None:
            return
        yield coroutine
        coroutine = _awaited(coroutine)


def _awaited(coroutine: Any) -> Any:
    if any(hasattr(type(coroutine), name) for name in _AWAITED):
        return own(coroutine, *_AWAITED)
    # A step of an async generator names nothing, but it refers to its generator.
    return next((each for each in gc.get_referents(coroutine) if hasattr(type(each), "ag_frame")), None)
