"""Tell what works on behalf of the program from what is the program's own."""

from __future__ import annotations

from typing import Final

__all__ = ["is_plumbing"]

_PLUMBING: Final = ("asyncio.", "uvloop.", "anyio.", "aiotel._hooks.", "aiotel._process.", "aiotel._watch.")


def is_plumbing(module: object) -> bool:
    """Whether what this module does is done for others: it is not to blame."""
    return type(module) is str and f"{module}.".startswith(_PLUMBING)
