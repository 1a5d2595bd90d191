"""Find which locks and semaphores a suspended task holds: those whose `async with` it is inside.

Through async generators and context managers made of them, and through exit stacks. Who acquires without a
block leaves no witness here: see the opt-in hook for owners.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import AsyncExitStack, _AsyncGeneratorContextManager
from types import MethodType
from typing import Any, Final

from .._snapshot import Held
from ..observations import Frame
from .owners import is_library
from .plumbing import is_plumbing
from .primitives import beneath, is_a, known
from .walks import NESTED, Step, Walk, place_of

__all__ = ["conditions_of", "held_by"]

_WAIT: Final = asyncio.Condition.wait.__code__


def held_by(walk: Walk) -> tuple[Held, ...]:
    """What the task holds, in the order in which it came by it."""
    by_hand = [_releases(step) for step in walk.steps]
    found = [
        held
        for number, step in enumerate(walk.steps)
        if not any(by_hand[number:])
        for held in _held(walk, step, None, 0)
    ]
    if walk.by_hand:
        return ()
    released = conditions_of(walk)
    return tuple(held for held in found if held.primitive.id not in released)


def conditions_of(walk: Walk) -> set[int]:
    """The locks of conditions that it waits on: it has let go of them, or is about to get them again."""
    waiting = (each for step in walk.steps if step.code is _WAIT for each in step.referents)
    return {id(beneath(each)) for each in waiting if is_a(each, asyncio.Condition)}


def _releases(step: Step) -> bool:
    """Whether the step is the program's and says `release` of something: of what it is inside, perhaps."""
    return "release" in step.code.co_names and not is_plumbing(step.module)


def _held(walk: Walk, step: Step, outer: Frame | None, depth: int) -> Iterator[Held]:
    for block in step.blocks():
        at = place_of(step, block.line)
        if outer is not None and is_library(at.file):
            at = outer
        yield from _managed(walk, block.manager, at, depth)
    if depth < NESTED:
        for inner in walk.generators(step):
            if not _releases(inner):
                yield from _held(walk, inner, step.at, depth + 1)


def _managed(walk: Walk, manager: Any, at: Frame, depth: int) -> Iterator[Held]:
    """What whoever is inside this context manager holds by it."""
    if is_a(manager, AsyncExitStack):
        for _, leave in list(getattr(manager, "_exit_callbacks", ())):
            if type(leave) is MethodType and leave.__name__ == "__aexit__":
                yield from _managed(walk, walk.keep(leave.__self__), at, depth)
    elif is_a(manager, _AsyncGeneratorContextManager) and depth < NESTED:
        for inner in walk.inside(manager.gen):
            walk.by_hand = walk.by_hand or _releases(inner)  # be it what a block around it holds
            yield from _held(walk, inner, at, depth + 1)
    else:
        found = known(manager)
        # anyio's say themselves who holds them.
        if found is not None and found.owners is None and found.primitive.kind in ("lock", "semaphore"):
            yield Held(primitive=found.primitive, at=at)
