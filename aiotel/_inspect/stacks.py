"""See where a thread is, from another, without ever holding its frames.

Whoever holds a frame last lets go of what is in its variables, and that is to happen where the program would
have it happen. So a stack is read by one chain of C calls, in which no other thread can run: what it gives is
code, which holds nothing of the program's, and numbers.
"""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Iterable
from contextlib import suppress
from itertools import accumulate, chain, repeat, tee
from operator import attrgetter, call, getitem
from types import CodeType
from typing import Any, Final, NamedTuple

from .._record import line_of
from ..observations import Frame

__all__ = ["Place", "stack_of", "top_of"]

_frames: Final = (sys._current_frames,)
_position: Final = attrgetter("f_code", "f_lasti")
_code: Final[Any] = attrgetter("f_code")
_globals: Final = attrgetter("f_globals")
_step: Any = getattr


class Place(NamedTuple):
    """Where a thread is in one function; symbols are for later, they may need files."""

    code: CodeType
    instruction: int
    module: str

    @property
    def function(self) -> str:
        """The function: module.qualname."""
        return f"{self.module}.{self.code.co_qualname}" if self.module else self.code.co_qualname

    @property
    def frame(self) -> Frame:
        """The same as plain data."""
        return Frame(file=self.code.co_filename, line=self.line, function=self.function)

    @property
    def line(self) -> int:
        """The line of the function."""
        return line_of(self.code, self.instruction)


def stack_of(ident: int, limit: int) -> list[Place]:
    """Where this thread (by its `threading.get_ident()`) is, innermost first; empty where there is none.

    The `limit` innermost functions at most.
    """
    found: deque[tuple[tuple[CodeType, int], object]] = deque()
    # The frame below the outermost is None, which has no code; a thread that is no more has no frame at all.
    with suppress(AttributeError, KeyError):
        found.extend(_walk(ident, limit))
    return [
        Place(code, instruction, module if isinstance(module, str) else "")
        for (code, instruction), module in found
    ]


def top_of(ident: int) -> CodeType | None:
    """The code that this thread is in; None where there is no such thread."""
    try:
        code: CodeType = next(map(_code, map(getitem, map(call, _frames), (ident,))))
    except KeyError:
        return None
    return code


def _walk(ident: int, limit: int) -> Iterable[tuple[tuple[CodeType, int], object]]:
    """Reads while it is gone through. In no variable: `tee` keeps what it has given until it goes itself."""
    top = map(getitem, map(call, _frames), (ident,))
    frames, again = tee(accumulate(chain(top, repeat("f_back", limit - 1)), _step))
    modules = map(dict.get, map(_globals, again), repeat("__name__"))
    return zip(map(_position, frames), modules, strict=False)
