"""Shorten a printed Python traceback to the frames that matter: the program's own last ones."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import PurePath
from typing import TYPE_CHECKING

from .._inspect.owners import is_library

if TYPE_CHECKING:
    from collections.abc import Iterator

KEEP = 4

_FRAME = re.compile(r'^ *File "(?P<file>[^"]*)", line (?P<line>\d+)(?:, in (?P<function>.*))?$')
_MARKS = re.compile(r"^ +[~^]+[ ~^]*$|^ *\[Previous line repeated")
_TITLE = re.compile(r"^ *(?:Exception Group )?Traceback \(most recent call last\):$")
_GROUP = "+ Exception Group Traceback"
_BARS = re.compile(r"^ +[|+] ?")  # what stands before each line of an exception group
_SUB_EXCEPTION = re.compile(r"^[-+]+ (\d+) -+$|^-+$")
# The greedy start finds the last of these directories: packages stand below Python's own.
_PACKAGE = re.compile(r".*(?:site-packages|dist-packages|python\d[\d.]*|Lib)[/\\]([^/\\.]+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """A place in the program, and the source line there if it was printed."""

    file: str
    line: str
    function: str
    source: str = ""

    @property
    def is_library(self) -> bool:
        """Whether it belongs to an installed package or to Python itself."""
        return is_library(self.file)

    @property
    def package(self) -> str:
        """The package of a library's frame; `python` where there is no telling."""
        found = _PACKAGE.match(self.file)
        return found[1] if found else "python"


@dataclass(frozen=True, slots=True, kw_only=True)
class Folded:
    """Frames left out: how many, and of which packages; of the program's own there are no packages."""

    count: int
    packages: tuple[str, ...] = ()


def shorten(text: str, *, keep: int = KEEP) -> list[Frame | Folded | str]:
    """The traceback's parts in their order: frames, what was left out of them, and all other lines.

    Runs of library frames are folded; of the program's own frames in a row of calls the last few are kept.
    Where all are a library's, the last two are. Texts that are no Python traceback come back line by line.
    """
    parts: list[Frame | Folded | str] = []
    calls: list[Frame] = []
    for part in _parse(text):
        if isinstance(part, Frame):
            calls.append(part)
            continue
        parts += _fold(calls, keep)
        calls = []
        parts.append(part)
    return parts + _fold(calls, keep)


def short_path(file: str, *, here: str = "") -> str:
    """A file as a reader knows it: from `here` downwards, or its last three parts."""
    path = PurePath(file)
    if here and path.is_relative_to(here):
        return str(path.relative_to(here))
    return str(PurePath("…", *path.parts[-3:])) if len(path.parts) > 4 else file


def _parse(text: str) -> Iterator[Frame | str]:
    frame: Frame | None = None
    for line in _unbarred(text):
        found = _FRAME.match(line)
        if frame and not found and line.startswith("    "):
            # The line of source right under its frame; what comes after are marks below it.
            if not frame.source and not _MARKS.match(line):
                frame = replace(frame, source=line.strip())
            continue
        if frame:
            yield frame
        frame = (
            Frame(file=found["file"], line=found["line"], function=found["function"] or "") if found else None
        )
        if not found and line.strip() and not _TITLE.match(line) and not _MARKS.match(line):
            yield line.strip()
    if frame:
        yield frame


def _unbarred(text: str) -> Iterator[str]:
    """The lines; those of an exception group without their bars."""
    if _GROUP not in text:
        yield from text.splitlines()
        return
    for line in text.splitlines():
        bare = _BARS.sub("", line)
        part = _SUB_EXCEPTION.match(bare)
        if part is None:
            yield bare
        elif part[1]:
            yield f"sub-exception {part[1]}:"


def _fold(calls: list[Frame], keep: int) -> list[Frame | Folded | str]:
    if not calls:
        return []
    own = [index for index, frame in enumerate(calls) if not frame.is_library]
    kept = own[-keep:] if own else range(max(0, len(calls) - 2), len(calls))
    parts: list[Frame | Folded | str] = []
    after = 0
    for index in [*kept, len(calls)]:
        if left_out := calls[after:index]:
            packages = dict.fromkeys(frame.package for frame in left_out if frame.is_library)
            parts.append(Folded(count=len(left_out), packages=tuple(packages)))
        if index < len(calls):
            parts.append(calls[index])
        after = index + 1
    return parts
