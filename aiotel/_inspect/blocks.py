"""See which `with` blocks a suspended coroutine is inside: what they will exit, and the line of each.

A suspended frame has the `__aexit__` of each block that it is in on its value stack, which the garbage
collector is shown, so it can be seen by `gc.get_referents`; nothing is called, nothing is patched. The
exception table of its code says how many blocks there are at that instruction: where the two do not agree,
nothing is told.
"""

from __future__ import annotations

import dis
from collections.abc import Iterator
from functools import lru_cache
from types import (
    BuiltinMethodType,
    CodeType,
    FunctionType,
    MethodDescriptorType,
    MethodType,
    MethodWrapperType,
    WrapperDescriptorType,
)
from typing import Any, Final, NamedTuple

from .._record import line_of

__all__ = ["Block", "blocks_of"]

_EXITS: Final = frozenset({"__exit__", "__aexit__"})
_BUILTIN: Final = frozenset({BuiltinMethodType, MethodWrapperType})
# Since 3.14 the method and what it is bound to lie beside each other.
_UNBOUND: Final = frozenset({FunctionType, MethodDescriptorType, WrapperDescriptorType})
_BLOCKS: Final = 64
"""So many blocks around one instruction are looked for."""

_NEAR: Final = 16
"""So many bytes before where a coroutine stands is what made it stand there."""
_AWAIT: Final = dis.opmap["GET_AWAITABLE"]
_PUSH: Final = dis.opmap["PUSH_EXC_INFO"]
_EXCEPT: Final = dis.opmap["WITH_EXCEPT_START"]


class Block(NamedTuple):
    """A block that is being executed: what was entered, and the line of its `with`."""

    manager: Any
    line: int


def blocks_of(referents: list[Any], code: CodeType, instruction: int) -> list[Block]:
    """The blocks that a suspended coroutine or generator is inside, outermost first.

    `referents` is what it refers to, in the collector's order; `instruction` the offset in bytes at which it
    stands. Empty where that is not certain.
    """
    lines = _lines(code, instruction)
    managers = list(_managers(referents)) if lines else []
    # One that is still being entered is the last, and has no handler yet.
    if len(managers) == len(lines) + 1 and _enters(code, instruction):
        managers.pop()
    if len(managers) != len(lines):
        return []
    return [Block(manager, line) for manager, line in zip(managers, lines, strict=True)]


def _managers(referents: list[Any]) -> Iterator[Any]:
    """What the frame is to exit, in the order of its stack."""
    following = iter([*referents[1:], None])
    for referent, after in zip(referents, following, strict=True):
        kind = type(referent)
        if kind is MethodType:
            # Its function may be any object, with names of its own.
            if type(referent.__func__) is FunctionType and referent.__func__.__name__ in _EXITS:
                yield referent.__self__
        elif kind in _BUILTIN:
            if referent.__name__ in _EXITS:
                yield referent.__self__
        elif kind in _UNBOUND and referent.__name__ in _EXITS and type(after) is not CodeType:
            yield after  # before its own code, it would be the function that runs


@lru_cache(1024)
def _lines(code: CodeType, instruction: int) -> tuple[int, ...]:
    """The lines of the `with` blocks around an instruction, outermost first."""
    table, found = _exception_table(code), []
    at = instruction
    for _ in range(_BLOCKS):
        at = next((target for start, stop, target in table if start <= at < stop), -1)
        if at < 0:
            break
        if _is_of_with(code.co_code, at):
            found.append(line_of(code, at))
    return tuple(reversed(found))


def _is_of_with(instructions: bytes, at: int) -> bool:
    """Whether the handler at this offset is that of a `with`."""
    return instructions[at] == _PUSH and instructions[at + 2] == _EXCEPT


@lru_cache(1024)
def _enters(code: CodeType, instruction: int) -> bool:
    """Whether what is awaited at this instruction is an `__aenter__`."""
    instructions = code.co_code
    for at in range(instruction, max(instruction - _NEAR, -1), -2):
        if instructions[at] == _AWAIT:
            return instructions[at + 1] == 1  # 2 where a block is left
    return False


def _exception_table(code: CodeType) -> list[tuple[int, int, int]]:
    """From, to, and the handler: offsets in bytes; the format is described in CPython's internal docs."""
    entries, numbers = [], _numbers(code.co_exceptiontable)
    for start in numbers:
        length, target, _ = next(numbers), next(numbers), next(numbers)
        entries.append((start * 2, (start + length) * 2, target * 2))
    return entries


def _numbers(table: bytes) -> Iterator[int]:
    """Six bits in each byte; the seventh says that there are more."""
    value = 0
    for byte in table:
        value = value << 6 | byte & 0x3F
        if not byte & 0x40:
            yield value
            value = 0
