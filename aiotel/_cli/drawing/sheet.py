"""What is written on: as wide as the terminal, coloured where it can be, with signs that it can show."""

from __future__ import annotations

import io
import os
import shutil
import sys
import unicodedata
from collections.abc import Mapping
from typing import Final, TextIO

from ..._receiver.terminal.text import Glyphs, glyphs

__all__ = ["Line", "Sheet", "cells", "cut", "sheet_on"]

Line = list[tuple[str, str]]
"""Pieces of text, each with its style."""

_STYLES: Final = {
    "head": "2",
    "dim": "2",
    "strong": "1",
    "bad": "31",
    "busy": "33",
    "good": "32",
    "name": "36",
}


class Sheet:
    """Takes lines, and cuts those that are too long; a pipe takes them as they are."""

    def __init__(
        self, stream: TextIO, *, width: int | None = None, colours: bool = False, encoding: str = "utf-8"
    ) -> None:
        self._stream = stream
        self._colours = colours
        self.width = width
        self.glyphs: Glyphs = glyphs(encoding)

    def write(self, line: Line) -> None:
        """Write a line."""
        left = self.width
        written = []
        for text, style in _without_blanks(line):
            shown = text if left is None else cut(text, left, more=self.glyphs.more)
            left = None if left is None else left - cells(shown)
            written.append(self._styled(shown, style))
            if shown != text:
                break
        self._stream.write("".join(written) + "\n")

    def _styled(self, text: str, style: str) -> str:
        code = _STYLES.get(style)
        return f"\x1b[{code}m{text}\x1b[0m" if self._colours and code and text else text


def sheet_on(stream: TextIO, environ: Mapping[str, str] = os.environ) -> Sheet:
    """The sheet for this stream; what its encoding cannot write is escaped rather than fatal."""
    if isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(errors="backslashreplace")
    is_terminal = stream.isatty()
    colours = is_terminal and not environ.get("NO_COLOR") and environ.get("TERM") != "dumb"
    width = shutil.get_terminal_size().columns if is_terminal else None
    return Sheet(stream, width=width, colours=colours, encoding=stream.encoding or sys.getdefaultencoding())


def _without_blanks(line: Line) -> Line:
    """The line without the blanks at its end."""
    kept = list(line)
    while kept and not kept[-1][0].strip(" "):
        kept.pop()
    if kept:
        kept[-1] = (kept[-1][0].rstrip(" "), kept[-1][1])
    return kept


def cells(text: str) -> int:
    """How many columns of a terminal the text takes."""
    return len(text) if text.isascii() else sum(map(_cells_of, text))


def cut(text: str, width: int, *, more: str = "…") -> str:
    """The text in so many columns at most, with a sign where something is missing."""
    if cells(text) <= width:
        return text
    if cells(more) > width:
        return more[: max(0, width)]
    left, shown = width - cells(more), []
    for char in text:
        left -= _cells_of(char)
        if left < 0:
            break
        shown.append(char)
    return "".join(shown) + more


def _cells_of(char: str) -> int:
    if unicodedata.combining(char) or char in "\u200c\u200d\ufe0f":
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1
