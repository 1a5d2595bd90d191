"""Write all that is to be seen of a running process: `aiotel dump PID`."""

from __future__ import annotations

import argparse
import json
import sys

from .asking import add_pid, answer_of, asked, printed

HELP = "write a snapshot of a running process: as JSON, or as a graph of who waits for whom"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add_pid(parser)
    parser.add_argument(
        "--format",
        choices=("json", "dot", "mermaid"),
        default="json",
        help="json, with all stacks (the default); a wait graph for Graphviz (dot) or for Mermaid",
    )


def run(arguments: argparse.Namespace) -> int:
    """Ask, and write; 0 then, 1 where there is no answer, 2 where it is not clear which process is meant."""
    return printed(lambda: _show(arguments))


def _show(arguments: argparse.Namespace) -> None:
    reply = asked("dump" if arguments.format == "json" else "tree", arguments.pid)
    if arguments.format == "json":
        json.dump(reply, sys.stdout, indent=1)
        sys.stdout.write("\n")
        return
    from .drawing import graphs
    from .drawing.sheet import Sheet
    from .drawing.waits import Waits
    from .drawing.words import Words

    snapshot = answer_of(reply).snapshot
    waits = Waits(snapshot)
    draw = graphs.dot if arguments.format == "dot" else graphs.mermaid
    sheet = Sheet(sys.stdout)
    for line in draw(waits, Words(snapshot, waits)):
        sheet.write([(line, "")])
