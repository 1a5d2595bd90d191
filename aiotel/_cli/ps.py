"""List the tasks of a running process: `aiotel ps PID`."""

from __future__ import annotations

import argparse
import json
import sys

from .asking import add_pid, answer_of, asked, printed

HELP = "list the tasks of a running process: what each does, and waits for"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add_pid(parser)
    parser.add_argument("--all", action="store_true", help="a row for each task, also for those alike")
    parser.add_argument("--json", action="store_true", help="write JSON, for other programs")


def run(arguments: argparse.Namespace) -> int:
    """Ask, and show; 0 then, 1 where there is no answer, 2 where it is not clear which process is meant."""
    return printed(lambda: _show(arguments))


def _show(arguments: argparse.Namespace) -> None:
    reply = asked("ps", arguments.pid)
    if arguments.json:
        json.dump(reply, sys.stdout)
        sys.stdout.write("\n")
        return
    from .drawing import heading, table
    from .drawing.sheet import sheet_on
    from .drawing.tree import of_circle
    from .drawing.waits import Waits
    from .drawing.words import Words

    answer = answer_of(reply)
    snapshot, sheet, waits = answer.snapshot, sheet_on(sys.stdout), Waits(answer.snapshot)
    words = Words(snapshot, waits)
    circles = waits.circles()
    for line in heading.lines(answer.about, snapshot):
        sheet.write(line)
    for circle in circles:
        sheet.write([(f"{of_circle(circle, words, waits)}: aiotel tree {answer.about.get('pid')}", "bad")])
    sheet.write([])
    marked = frozenset(task for circle in circles for task in circle)
    for line in table.lines(
        snapshot.tasks, words, width=sheet.width, more=sheet.glyphs.more, marked=marked, every=arguments.all
    ):
        sheet.write(line)
    for line in heading.rest(snapshot):
        sheet.write(line)
