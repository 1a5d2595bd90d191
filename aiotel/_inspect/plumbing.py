"""Tell what works on behalf of the program from what is the program's own."""

from __future__ import annotations

from typing import Final

__all__ = ["is_debugger", "is_plumbing"]

_PLUMBING: Final = ("asyncio.", "uvloop.", "anyio.", "aiotel.")
_PROGRAM: Final = "aiotel._demo."
"""A program like any other, though it comes with us."""

_DEBUGGERS: Final = ("bdb.", "pdb.", "ipdb.", "pudb.", "pydevd.", "_pydevd_bundle.", "debugpy.")


def is_debugger(module: object) -> bool:
    """Whether this module stops the program for somebody who looks at it."""
    return type(module) is str and f"{module}.".startswith(_DEBUGGERS)


def is_plumbing(module: object) -> bool:
    """Whether what this module does is done for others: it is not to blame."""
    if type(module) is not str:
        return False
    return f"{module}.".startswith(_PLUMBING) and not f"{module}.".startswith(_PROGRAM)
