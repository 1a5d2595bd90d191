"""Have a loop call something of ours on its own thread, from another."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import Context
from typing import Any

from ._borrowed import Returns, is_only_ours
from ._ledger import Ledger

__all__ = ["ask"]


def ask(ledger: Ledger, call: Callable[[], None], returns: Returns) -> bool:
    """Queue the call on the ledger's loop; False where that cannot be: it is closed, or gone."""
    loop: Any = ledger.loop()
    if loop is None:
        return False
    try:
        # Not by `context=`, which not every loop takes; nor from within the ledger's context, in which the
        # loop's thread runs callbacks at the same time.
        Context().run(loop.call_soon_threadsafe, call)
    except Exception:  # noqa: BLE001  # it was closed just now, or has ideas of its own
        return False
    finally:
        if is_only_ours(loop):
            returns.leave(loop)
    return True
