"""Show the tasks of a running process that nobody can wake any more: `aiotel leaks PID`."""

from __future__ import annotations

import argparse
import json
import sys

from .asking import add_pid, asked, printed

HELP = "show the tasks of a running process that nobody can wake any more"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add_pid(parser)


def run(arguments: argparse.Namespace) -> int:
    """Ask, and write what it says as JSON; 1 where there is no answer."""
    return printed(lambda: _show(arguments))


def _show(arguments: argparse.Namespace) -> None:
    json.dump(asked("leaks", arguments.pid).get("leaks"), sys.stdout, indent=2)
    sys.stdout.write("\n")
