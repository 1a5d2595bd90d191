"""The command line: `aiotel run`, `aiotel view`, `aiotel demo`, and looks into a process: `aiotel ps`."""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:  # every Python under `aiotel run` imports this, so nothing else is imported here
    from collections.abc import Sequence

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and give its exit status: 2 for bad use, else the command's own."""
    from .arguments import parse

    try:
        arguments = parse(sys.argv[1:] if argv is None else argv)
        status: int = arguments.run(arguments)
    except SystemExit as stop:  # argparse's way to end after --help, --version and bad use
        if not isinstance(stop.code, int):
            raise
        return stop.code
    return status
