"""Tell from the code of a function whether what it writes comes from what it has read before.

By instructions and lines alone, and in their order: it finds less than there is, and what it finds is there.
"""

from __future__ import annotations

import dis
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from types import CodeType
from typing import Final

from ..observations import Staleness

__all__ = ["use_of"]

_AWAITS: Final = "JUMP_BACKWARD_NO_INTERRUPT"
"""The loop of an `await`."""
_LEAVES: Final = ("RETURN_VALUE", "RETURN_CONST", "RAISE", "RERAISE")
# What these leave behind is for the next instruction, on whatever line.
_UNFINISHED: Final = (
    *("LOAD_", "BINARY_", "CALL", "COMPARE_", "BUILD_", "UNARY_", "FORMAT_", "CONTAINS_", "IS_"),
    *("END_SEND", _AWAITS),
)
_SCOPES: Final = ("FAST", "DEREF", "NAME")


@dataclass(slots=True)
class _Statement:
    """Instructions on one line after the other, or of one expression of several lines."""

    first: int
    last: int = 0
    uses: set[str] = field(default_factory=set)
    defines: set[str] = field(default_factory=set)
    skips: list[int] = field(default_factory=list)
    """Where its conditional jumps go to."""


def use_of(code: CodeType, read: int, write: int) -> Staleness | None:
    """How what the instruction at `write` stores depends on the one at `read`: offsets in bytes.

    None where it does not, as far as is known.
    """
    instructions = list(dis.get_instructions(code))
    statements = list(_statements(instructions))
    source = next((each for each in statements if each.first <= read <= each.last), None)
    target = next((each for each in statements if each.first <= write <= each.last), None)
    if source is None or target is None:
        return None
    if source is target:
        return "derived" if read < write else None
    between = [each for each in statements if source.first < each.first < target.first]
    if target.first < source.first:  # in the next round of a loop
        start, end = _loop(instructions, write, read)
        between = [each for each in statements if source.first < each.first <= end]
        between += [each for each in statements if start <= each.first < target.first]
    tainted, deciding = set(source.defines), [source]
    for each in between:
        if each.uses & tainted:
            tainted |= each.defines
            deciding.append(each)
        else:
            tainted -= each.defines
    if target.uses & tainted:
        return "derived"
    leaving = _leaving(instructions, write)
    return "decided" if any(_decides(each, write, leaving) for each in deciding) else None


def _decides(statement: _Statement, write: int, leaving: set[int]) -> bool:
    """Whether the write is made or not as the statement finds: it jumps over it, or leaves before it."""
    return statement.first < write and any(
        skip > write or (statement.last < skip <= write and skip in leaving) for skip in statement.skips
    )


def _leaving(instructions: list[dis.Instruction], write: int) -> set[int]:
    """The offsets behind an instruction from which the write is not reached, but in a loop's next round."""
    return {
        after.offset
        for before, after in pairwise(instructions)
        if before.opname.startswith(_LEAVES)
        or (before.opname in ("JUMP_BACKWARD", "JUMP_FORWARD") and not before.offset < before.argval <= write)
    }


def _loop(instructions: list[dis.Instruction], inner: int, outer: int) -> tuple[int, int]:
    """From where to where the innermost loop goes that has both in it; nowhere where there is none."""
    loops = [
        (each.argval, each.offset)
        for each in instructions
        if "JUMP_BACKWARD" in each.opname and each.opname != _AWAITS and each.argval <= inner
    ]
    return min(
        (each for each in loops if each[1] >= outer), key=lambda each: each[1] - each[0], default=(0, -1)
    )


def _statements(instructions: list[dis.Instruction]) -> Iterator[_Statement]:
    statement: _Statement | None = None
    last, unfinished = 0, False
    for each in instructions:
        line = (each.positions and each.positions.lineno) or last
        if statement is None or (line != last and not unfinished):
            if statement is not None:
                yield statement
            statement = _Statement(each.offset)
        last, unfinished = line, each.opname.startswith(_UNFINISHED)
        statement.last = each.offset
        _add(statement, each)
    if statement is not None:
        yield statement


def _add(statement: _Statement, instruction: dis.Instruction) -> None:
    name, value = instruction.opname, instruction.argval
    if "POP_JUMP" in name or "JUMP_IF" in name:
        statement.skips.append(value)
        return
    if not any(scope in name.split("_") for scope in _SCOPES):
        return
    # Newer Pythons join two of them: `STORE_FAST_LOAD_FAST`, `LOAD_FAST_BORROW_LOAD_FAST_BORROW`.
    actions = [part for part in name.split("_") if part in ("LOAD", "STORE")]
    values = value if isinstance(value, tuple) else (value,)
    for action, variable in zip(actions, values, strict=False):
        if isinstance(variable, str):
            (statement.uses if action == "LOAD" else statement.defines).add(variable)
