"""Walk once through all that a task is made of: its coroutines, where each stands, what each refers to.

A walk holds what it has come by. On the task's own loop it may simply be dropped; on another thread it is
handed to the loop when it is done with (see `_borrowed`), so that nothing of the program's dies here.
"""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Iterator
from functools import lru_cache
from types import AsyncGeneratorType, CodeType
from typing import Any, Final, NamedTuple

from .._record import line_of
from ..observations import Frame
from .blocks import Block, blocks_of
from .coroutines import DEPTH, coroutines, frame_of
from .owners import is_library
from .plumbing import is_plumbing

__all__ = ["Step", "Walk", "is_done", "place_of"]

NESTED: Final = 16
"""So many generators within each other are gone into."""


class Step(NamedTuple):
    """A coroutine, or a generator that one iterates or has entered, and where it stands."""

    coroutine: Any
    code: CodeType
    instruction: int
    module: str
    referents: list[Any]

    @property
    def at(self) -> Frame:
        """Its line, as plain data."""
        return place_of(self, _line(self.code, self.instruction))

    def blocks(self) -> list[Block]:
        """The `with` blocks that it is inside, outermost first."""
        return blocks_of(self.referents, self.code, self.instruction)


class Walk:
    """A task, and what it is made of, from its own coroutine to what it waits for."""

    def __init__(self, task: Any) -> None:
        self.waiter = getattr(task, "_fut_waiter", None)
        self.chain = list(coroutines(task))
        self.steps = [step for each in self.chain if (step := _step(each)) is not None]
        self.is_whole = len(self.chain) < DEPTH
        self.by_hand = False
        """Something that it is inside may release what it holds."""
        self._kept: list[Any] = []

    def keep(self, thing: Any) -> Any:
        """Hold this, too, until the walk is done with."""
        self._kept.append(thing)
        return thing

    def generators(self, step: Step) -> Iterator[Step]:
        """Those that the step iterates: suspended at a `yield`, inside blocks of their own."""
        for referent in step.referents:
            if type(referent) is AsyncGeneratorType and not any(referent is each for each in self.chain):
                yield from self.inside(referent)

    def inside(self, generator: Any) -> Iterator[Step]:
        """A generator, and where it stands; nothing where it has ended, or has not begun."""
        step = _step(self.keep(generator))
        if step is not None and step.instruction >= 0:
            self.keep(step)
            yield step

    def place(self) -> Step | None:
        """The innermost step that is the program's own; else the innermost that is not asyncio's."""
        outside = [step for step in self.steps if not is_plumbing(step.module)]
        own = [step for step in outside if not is_library(step.code.co_filename)]
        return next(reversed(own or outside or self.steps), None)


def is_done(future: Any) -> bool:
    """Whether a future has ended; one of a class with ideas of its own counts as if it had."""
    if not issubclass(type(future), asyncio.Future):
        return True
    return asyncio.Future.done(future)


def place_of(step: Step, line: int) -> Frame:
    """A line of the function in which a step is."""
    qualname = step.code.co_qualname
    function = f"{step.module}.{qualname}" if step.module else qualname
    return Frame(file=step.code.co_filename, line=line, function=function)


_line = lru_cache(4096)(line_of)


def _step(coroutine: Any) -> Step | None:
    frame = frame_of(coroutine)
    if frame is None:
        return None
    module = frame.f_globals.get("__name__")
    return Step(
        coroutine,
        frame.f_code,
        frame.f_lasti,
        module if isinstance(module, str) else "",
        gc.get_referents(coroutine),
    )
