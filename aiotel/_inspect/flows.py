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

SPAN: Final = 50
"""An expression of more lines is not taken for one."""
_ENTRY: Final = frozenset({"RESUME", "RETURN_GENERATOR", "MAKE_CELL", "COPY_FREE_VARS"})
_LEAVES: Final = ("RETURN", "RAISE", "RERAISE", "JUMP_BACKWARD", "JUMP_FORWARD")
# What these leave behind is for the next instruction, on whatever line.
_UNFINISHED: Final = (
    "LOAD_",
    "BINARY_",
    "CALL",
    "COMPARE_",
    "BUILD_",
    "UNARY_",
    "FORMAT_",
    "CONTAINS_",
    "IS_",
)
_SCOPES: Final = ("FAST", "DEREF", "NAME", "GLOBAL")


@dataclass(slots=True)
class _Statement:
    """Instructions that belong to one line, or to one expression of several lines."""

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
        after = [each for each in statements if each.first > source.first]
        between = [*after, *(each for each in statements if each.first < target.first)]
    tainted = set(source.defines)
    deciding = [source]
    for each in between:
        if each.uses & tainted:
            tainted |= each.defines
            deciding.append(each)
        else:
            tainted -= each.defines
    if target.uses & tainted:
        return "derived"
    leaving = _leaving(instructions)
    return "decided" if any(_decides(each, write, leaving) for each in deciding) else None


def _decides(statement: _Statement, write: int, leaving: set[int]) -> bool:
    """Whether the write is made or not as the statement finds: it jumps over it, or leaves before it."""
    return statement.first < write and any(
        skip > write or (statement.last < skip <= write and skip in leaving) for skip in statement.skips
    )


def _leaving(instructions: list[dis.Instruction]) -> set[int]:
    """The offsets that are not reached from the instruction before them."""
    return {after.offset for before, after in pairwise(instructions) if before.opname.startswith(_LEAVES)}


def _statements(instructions: list[dis.Instruction]) -> Iterator[_Statement]:
    groups = _groups(instructions)
    statement: _Statement | None = None
    group, unfinished = 0, False
    for each in instructions:
        line = each.positions.lineno if each.positions is not None else None
        belongs = group if line is None else groups.get(line, line)
        if statement is None or (belongs != group and not unfinished):
            if statement is not None:
                yield statement
            statement = _Statement(each.offset)
        group, unfinished = belongs, each.opname.startswith(_UNFINISHED)
        statement.last = each.offset
        _add(statement, each)
    if statement is not None:
        yield statement


def _add(statement: _Statement, instruction: dis.Instruction) -> None:
    name, value = instruction.opname, instruction.argval
    if "POP_JUMP" in name or "JUMP_IF" in name:
        statement.skips.append(value)
        return
    # Newer Pythons join two of them: `STORE_FAST_LOAD_FAST`, `LOAD_FAST_BORROW_LOAD_FAST_BORROW`.
    actions = [part for part in name.split("_") if part in ("LOAD", "STORE")]
    if not any(scope in name for scope in _SCOPES) or name in ("LOAD_SUPER_ATTR", "LOAD_GLOBAL"):
        return
    values = value if isinstance(value, tuple) else (value,)
    for action, variable in zip(actions, values, strict=False):
        if isinstance(variable, str):
            (statement.uses if action == "LOAD" else statement.defines).add(variable)


def _groups(instructions: list[dis.Instruction]) -> dict[int, int]:
    """Of each line the first of the expression that it is a part of."""
    first: dict[int, int] = {}
    spans = sorted(
        {
            (each.positions.lineno, each.positions.end_lineno)
            for each in instructions
            if each.positions is not None
            and each.positions.lineno is not None
            and each.positions.end_lineno is not None
            and 0 <= each.positions.end_lineno - each.positions.lineno <= SPAN
            and each.opname not in _ENTRY
        }
    )
    for start, end in spans:
        root = first.get(start, start)
        for line in range(start, end + 1):
            first.setdefault(line, root)
    return first
