"""Have snapshots drawn, and read what is there."""

from __future__ import annotations

import io
import unicodedata
from collections.abc import Iterable

from aiotel._cli.drawing import table
from aiotel._cli.drawing.sheet import Line, Sheet
from aiotel._cli.drawing.tree import Tree
from aiotel._cli.drawing.waits import Waits
from aiotel._cli.drawing.words import Words
from aiotel._snapshot import Snapshot


def written(lines: Iterable[Line], *, width: int | None = None) -> list[str]:
    """The lines as they are in a file."""
    stream = io.StringIO()
    sheet = Sheet(stream, width=width)
    for line in lines:
        sheet.write(line)
    return stream.getvalue().splitlines()


def is_harmless(line: str) -> bool:
    """Whether no terminal takes any of it for a command."""
    hidden = {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"}
    return not any(unicodedata.category(char) in hidden and char not in "\u200c\u200d" for char in line)


def read(snapshot: Snapshot) -> tuple[Waits, Words]:
    waits = Waits(snapshot)
    return waits, Words(snapshot, waits)


def table_of(snapshot: Snapshot, *, width: int | None = None, every: bool = False) -> list[str]:
    _, words = read(snapshot)
    return written(table.lines(snapshot.tasks, words, width=width, more="…", every=every), width=width)


def tree_of(snapshot: Snapshot, *, encoding: str = "utf-8") -> list[str]:
    waits, words = read(snapshot)
    return written(Tree(waits, words, Sheet(io.StringIO(), encoding=encoding).glyphs).lines())
