"""Let a part of a program block on purpose."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Iterator
from contextlib import contextmanager, suppress

__all__ = ["blocking_allowed", "is_allowed"]


class _Permit:
    """Holds while it is open, for its owner: the contexts of tasks that are made meanwhile have it too."""

    __slots__ = ("open", "owner")

    def __init__(self, owner: int) -> None:
        self.open = True
        self.owner = owner
        """The id of a task, which lives while this is open."""


_permit: contextvars.ContextVar[_Permit | None] = contextvars.ContextVar("aiotel_permit", default=None)


@contextmanager
def blocking_allowed() -> Iterator[None]:
    """Blocking calls inside are not told: of this task, not of those that it creates.

    Changes nothing but what `Config(blocking_calls=True)` tells.

    Example:
        >>> import aiotel
        >>> with aiotel.blocking_allowed():
        ...     open("/dev/null").close()
    """
    permit = _Permit(_owner())
    token = _permit.set(permit)
    try:
        yield
    finally:
        permit.open = False
        with suppress(ValueError):  # an async generator may be closed in another context
            _permit.reset(token)


def is_allowed() -> bool:
    """Whether the running task, or callback, may block just now."""
    permit = _permit.get()
    return permit is not None and permit.open and permit.owner == _owner()


def _owner() -> int:
    loop = asyncio._get_running_loop()
    return id(None if loop is None else asyncio.current_task(loop))
