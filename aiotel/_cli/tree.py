"""Draw who waits for whom in a running process: `aiotel tree PID`."""

from __future__ import annotations

import argparse
import sys

from .asking import add_pid, answer_of, asked, printed

HELP = "draw who waits for whom in a running process, circles included"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add_pid(parser)


def run(arguments: argparse.Namespace) -> int:
    """Ask, and draw; 0 then, 1 where there is no answer, 2 where it is not clear which process is meant."""
    return printed(lambda: _show(arguments))


def _show(arguments: argparse.Namespace) -> None:
    answer = answer_of(asked("tree", arguments.pid))
    from .drawing import heading
    from .drawing.sheet import sheet_on
    from .drawing.tree import Tree
    from .drawing.waits import Waits
    from .drawing.words import Words

    sheet, waits = sheet_on(sys.stdout), Waits(answer.snapshot)
    for line in heading.lines(answer.about, answer.snapshot):
        sheet.write(line)
    sheet.write([])
    for line in Tree(waits, Words(answer.snapshot, waits), sheet.glyphs).lines():
        sheet.write(line)
    for line in heading.rest(answer.snapshot):
        sheet.write(line)
