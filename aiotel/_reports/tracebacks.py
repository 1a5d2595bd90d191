"""Write a traceback as Python prints it, from plain data."""

from __future__ import annotations

import linecache
from collections.abc import Iterator

from ..observations import ExceptionFacts, Frame

__all__ = ["line_of", "lines_of", "traceback_of"]

_CHAINED = {
    "cause": "\nThe above exception was the direct cause of the following exception:\n\n",
    "context": "\nDuring handling of the above exception, another exception occurred:\n\n",
}


def traceback_of(exception: ExceptionFacts) -> str:
    """The traceback as Python prints it, with the lines of source where they can be read."""
    return "".join(_lines(exception))


def line_of(frame: Frame) -> str:
    """One line of a traceback."""
    return f'  File "{frame.file}", line {frame.line}, in {frame.function}\n'


def lines_of(frame: Frame) -> Iterator[str]:
    """The same, and the line of source where that can be read."""
    yield line_of(frame)
    source = linecache.getline(frame.file, frame.line).strip()
    if source:
        yield f"    {source}\n"


def _lines(exception: ExceptionFacts) -> Iterator[str]:
    if exception.cause is not None and exception.chained is not None:
        yield from _lines(exception.cause)
        yield _CHAINED[exception.chained]
    if exception.frames:
        yield "Traceback (most recent call last):\n"
    first = len(exception.frames) // 4 if exception.frames_left_out else -1
    for number, frame in enumerate(exception.frames):
        if number == first:
            yield f"  [{exception.frames_left_out} frames left out]\n"
        yield from lines_of(frame)
    yield f"{exception.type}: {exception.message}\n" if exception.message else f"{exception.type}\n"
    for number, leaf in enumerate(exception.leaves, 1):
        yield f"  +---------------- {number} ----------------\n"
        for line in "".join(_lines(leaf)).splitlines():
            yield f"  | {line}\n"
