"""Read aiotel's own command line."""

import argparse
import sys
from collections.abc import Sequence
from importlib import import_module
from types import ModuleType
from typing import NoReturn

from .. import __version__

COMMANDS = ("run", "view", "demo", "ps", "tree", "where", "dump")

DESCRIPTION = "Make a running asyncio program explain itself, in OpenTelemetry's terms."

EXAMPLES = """\
examples:
  aiotel run script.py                            a span for every task, sent to localhost:4318
  aiotel run --service-name shop -m shop.server   the same for a module
  aiotel run -- gunicorn shop:app                 the same for a command and the Pythons it starts

`aiotel COMMAND --help` says more about each command.
"""


class Parser(argparse.ArgumentParser):
    """Tells what is wrong in one line, where argparse would print its usage first."""

    def error(self, message: str) -> NoReturn:
        """Stop with status 2, as every Unix tool does after bad use."""
        self.exit(2, f"{self.prog}: {message} (see {self.prog} --help)\n")


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """Read a command line; the `run` of the result is the chosen command's function."""
    # Only the command that is asked for: `aiotel run` must not pay for the viewer's imports.
    if argv and argv[0] in COMMANDS:
        return _command(argv[0]).parse_args(argv[1:])
    parser = _overview()
    if not argv:
        parser.print_help(sys.stderr)
        parser.exit(2)
    return parser.parse_args(argv)


def _command(name: str) -> Parser:
    module = _module(name)
    parser = Parser(prog=f"aiotel {name}", description=module.HELP, allow_abbrev=False)
    module.add_arguments(parser)
    parser.set_defaults(run=module.run)
    return parser


def _overview() -> Parser:
    parser = Parser(
        prog="aiotel",
        description=DESCRIPTION,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"aiotel {__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for name in COMMANDS:
        commands.add_parser(name, help=_module(name).HELP)
    return parser


def _module(name: str) -> ModuleType:
    return import_module(f"{__package__}.{name}")
