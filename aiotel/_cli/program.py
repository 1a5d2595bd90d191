"""Tell which program this Python is about to run, while it starts: its name and its place."""
# ruff: noqa: PTH100, PTH109, PTH119, PTH120, PTH122 - every Python that a command starts would pay for pathlib

import os
import sys
from importlib.machinery import PathFinder


def name() -> str | None:
    """`shop` for `shop.py`, `shop/`, `shop/__main__.py` and `-m shop`; None for `-c` and a prompt."""
    program = sys.argv[0]
    if program == "-m":
        return sys.orig_argv[-len(sys.argv)]  # before the module is found, argv is ["-m", *arguments]
    if program in {"", "-", "-c"}:
        return None
    path = os.path.abspath(program)
    if os.path.basename(path) == "__main__.py":
        path = os.path.dirname(path)
    return os.path.splitext(os.path.basename(path))[0]


def place() -> str | None:
    """What Python will put first on the path: a directory or a zip; None where it was told not to."""
    if sys.flags.safe_path:
        return None
    program = sys.argv[0]
    if program in {"", "-", "-c", "-m"}:
        return os.getcwd()
    if PathFinder.find_spec("__main__", [program]):  # a directory or a zip
        return program
    return os.path.dirname(os.path.realpath(program))
