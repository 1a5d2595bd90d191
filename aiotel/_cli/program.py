"""Tell which program this Python is about to run, while it starts: its name and its place."""

import sys
from importlib.machinery import PathFinder
from pathlib import Path


def name() -> str | None:
    """`shop` for `shop.py`, `shop/`, `shop/__main__.py` and `-m shop`; None for `-c` and a prompt."""
    program = sys.argv[0]
    if program == "-m":
        return sys.orig_argv[-len(sys.argv)]  # before the module is found, argv is ["-m", *arguments]
    if program in {"", "-", "-c"}:
        return None
    path = Path(program)
    return path.absolute().parent.name if path.stem == "__main__" else path.stem


def place() -> str | None:
    """What Python will put first on the path: a directory or a zip; None where it was told not to."""
    if sys.flags.safe_path:
        return None
    program = sys.argv[0]
    if program in {"", "-", "-c", "-m"}:
        return str(Path.cwd())
    if PathFinder.find_spec("__main__", [program]):  # a directory or a zip
        return program
    return str(Path(program).resolve().parent)


def is_resource_tracker() -> bool:
    """Whether this is multiprocessing's own errand boy, whom a program waits for at its end."""
    return any(argument.startswith("from multiprocessing.resource_tracker ") for argument in sys.orig_argv)
