"""The command line: `aiotel run`, `aiotel view`, `aiotel demo`."""

import sys
from collections.abc import Sequence

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and give its exit status: 2 for bad use, else the command's own."""
    # Here, because every program under `aiotel run` imports this package and few need argparse.
    from .arguments import parse

    try:
        arguments = parse(sys.argv[1:] if argv is None else argv)
        status: int = arguments.run(arguments)
    except SystemExit as stop:  # argparse's way to end after --help, --version and bad use
        if not isinstance(stop.code, int):
            raise
        return stop.code
    return status
