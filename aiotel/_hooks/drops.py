"""Find the line that called a coroutine function and dropped what it got, from where the coroutine died.

The frame that runs when a coroutine goes is that line's in the usual mistakes (`fetch()`, `if user.save():`),
and somebody else's in the rest: a local variable goes with its frame, and the caller runs by then. So the
bytecode is asked: what is not certain is not told.
"""

from __future__ import annotations

import dis
from collections.abc import Iterator
from dataclasses import dataclass
from types import CodeType, FrameType
from typing import Final

from .._inspect.plumbing import is_plumbing

__all__ = ["forget_sites", "line_of_drop"]

LONGEST: Final = 32768
"""Code of more bytes is not looked through: this runs on the program's thread, once for each site."""
KNOWN: Final = 1024
"""How many sites are remembered."""

_CALLS: Final = frozenset({"CALL", "CALL_KW", "CALL_FUNCTION_EX"})
_DROPS: Final = ("POP_TOP", "POP_EXCEPT", "STORE_", "DELETE_")
"""Instructions that let go of something, and run nobody's code while they do."""

_known: dict[tuple[CodeType, int, CodeType], int | None] = {}


@dataclass(frozen=True, slots=True)
class _Call:
    """A call of something of that name, whose result nobody awaits on the spot."""

    offset: int
    line: int
    last_line: int
    kept_in: frozenset[tuple[str, str]]
    """The variable that its result went into at once: of which kind, and its name."""


def line_of_drop(frame: FrameType, callee: CodeType, name: str) -> int | None:
    """The line that called `callee`, whose coroutines have this name; None where that is not certain."""
    if is_plumbing(frame.f_globals.get("__name__")):
        return None
    key = (frame.f_code, frame.f_lasti, callee)
    if key not in _known:
        if len(_known) >= KNOWN:
            _known.clear()
        _known[key] = _line(frame, frozenset({name, callee.co_name}))
    return _known[key]


def forget_sites() -> None:
    """Hold no code of the program's any more."""
    _known.clear()


def _line(frame: FrameType, names: frozenset[str]) -> int | None:
    code = frame.f_code
    if len(code.co_code) > LONGEST or frame.f_lasti < 0:
        return None
    instructions = list(dis.get_instructions(code))
    # Where the instruction has a cache behind it, the offset may lie in there.
    current = next(each for each in reversed(instructions) if each.offset <= frame.f_lasti)
    first, last = _lines(current)
    calls = list(_calls(instructions, names))
    here = [call for call in calls if call.line <= last and call.last_line >= first]
    if here:
        return _nearest(here, current.offset).line
    if not current.opname.startswith(_DROPS):
        return None
    # What was kept in a variable, and then overwritten: if the code has but one such call, and what it gave
    # went into that very variable, it was that one.
    if len(calls) == 1 and calls[0].kept_in & _variables(current):
        return calls[0].line
    # The value of an expression that nobody uses: a call by another name.
    return frame.f_lineno if current.opname == "POP_TOP" and not calls else None


def _nearest(calls: list[_Call], offset: int) -> _Call:
    return max(
        (call for call in calls if call.offset <= offset), key=lambda call: call.offset, default=calls[0]
    )


def _calls(instructions: list[dis.Instruction], names: frozenset[str]) -> Iterator[_Call]:
    """The calls of a function of these names: what is called begins where the call itself begins."""
    callee: tuple[int, int | None] | None = None
    for instruction, following in zip(instructions, [*instructions[1:], None], strict=True):
        line, column = _start(instruction)
        if instruction.opname.startswith("LOAD_") and instruction.argval in names:
            callee = line, column
        elif instruction.opname in _CALLS and callee == (line, column):
            callee = None
            if following is None or following.opname != "GET_AWAITABLE":
                kept_in = frozenset() if following is None else _variables(following)
                yield _Call(instruction.offset, *_lines(instruction), kept_in)


def _variables(instruction: dis.Instruction) -> frozenset[tuple[str, str]]:
    """The variables that this sets or deletes first of all: of which kind, and their names."""
    way, _, kind = instruction.opname.partition("_")
    kind, _, more = kind.partition("_")
    if way not in {"STORE", "DELETE"} or kind not in {"FAST", "NAME", "DEREF", "GLOBAL"}:
        return frozenset()
    names = instruction.argval if isinstance(instruction.argval, tuple) else (instruction.argval,)
    return frozenset((kind, str(name)) for name in (names if more.startswith("STORE") else names[:1]))


def _start(instruction: dis.Instruction) -> tuple[int, int | None]:
    positions = instruction.positions
    return (0, None) if positions is None else (positions.lineno or 0, positions.col_offset)


def _lines(instruction: dis.Instruction) -> tuple[int, int]:
    positions = instruction.positions
    if positions is None or positions.lineno is None:
        return 0, 0
    return positions.lineno, positions.end_lineno or positions.lineno
