"""Show where a task of a running process stands: `aiotel where PID TASK`."""

from __future__ import annotations

import argparse
import sys

from .asking import Unanswered, add_pid, answer_of, asked, printed
from .speech import say

HELP = "show where a task of a running process stands, what it holds, and who waits for it"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add_pid(parser)
    parser.add_argument(
        "task", metavar="TASK", help="its name, the beginning of its name or function, or its id"
    )


def run(arguments: argparse.Namespace) -> int:
    """Ask, and show; 0 then, 1 where there is no answer, 2 where it is not clear what is meant."""
    return printed(lambda: _show(arguments))


def _show(arguments: argparse.Namespace) -> None:
    answer = answer_of(asked("where", arguments.pid, task=arguments.task))
    from .drawing import task
    from .drawing.sheet import sheet_on
    from .drawing.waits import Waits
    from .drawing.words import Words

    snapshot, waits = answer.snapshot, Waits(answer.snapshot)
    words = Words(snapshot, waits)
    found = [waits.tasks[each] for each in answer.matches if each in waits.tasks]
    if len(found) > 1:
        say("which task? there are, perhaps among others:")
        for view in found:
            say(f"  {view.id}  {words.name(view)}  {words.function(view)}  {words.at(view)}")
        raise Unanswered(2)
    sheet = sheet_on(sys.stdout)
    for view in found:
        for line in task.lines(view, waits, words, snapshot.loops):
            sheet.write(line)
