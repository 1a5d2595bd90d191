"""Know the primitives of asyncio and of anyio that tasks hold and wait for."""

from __future__ import annotations

import asyncio
import sys
from typing import Any, Final, NamedTuple

from .._snapshot import Primitive, PrimitiveKind

__all__ = ["Known", "beneath", "is_a", "known"]

_KINDS: Final[tuple[tuple[type, PrimitiveKind], ...]] = (
    (asyncio.Lock, "lock"),
    (asyncio.Semaphore, "semaphore"),
    (asyncio.Condition, "condition"),
    (asyncio.Event, "event"),
    (asyncio.Queue, "queue"),
    (asyncio.Barrier, "barrier"),
)
# Where a subclass has one of these of its own, who holds it is for that class to say.
_OWN: Final = ("acquire", "release", "locked", "__aenter__", "__aexit__")

_ANYIO: Final = "anyio._backends._asyncio"
_ANYIO_KINDS: Final[dict[str, PrimitiveKind]] = {
    "Lock": "lock",
    "Semaphore": "semaphore",
    "CapacityLimiter": "semaphore",
    "Event": "event",
}


class Known(NamedTuple):
    """A primitive as it is now. `owners` are the ids of the tasks that hold it, where it says so itself."""

    primitive: Primitive
    taken: bool
    """Nobody else gets it now: who waits for it waits for its holders."""
    owners: tuple[int, ...] | None = None


def is_a(thing: Any, kinds: type | tuple[type, ...]) -> bool:
    """As `isinstance`, which would ask a stranger's `__class__`: that may be any code."""
    return issubclass(type(thing), kinds)


def beneath(thing: Any) -> Any:
    """The lock of a condition; the one that anyio makes on first use; else the thing itself."""
    if is_a(thing, asyncio.Condition):
        return getattr(thing, "_lock", thing)
    if type(thing).__module__ == "anyio._core._synchronization":
        for name in ("_internal_lock", "_internal_semaphore", "_internal_limiter", "_lock"):
            inner = getattr(thing, name, None)
            if inner is not None:
                return beneath(inner)
    return thing


def known(thing: Any) -> Known | None:
    """What is known of a primitive; None where it is none that is known. Of a condition: its lock."""
    thing = beneath(thing)
    for kind, name in _KINDS:
        if is_a(thing, kind):
            return _asyncios(thing, kind, name)
    if type(thing).__module__ == _ANYIO and _ANYIO in sys.modules:
        return _anyios(thing)
    return None


def _asyncios(thing: Any, base: type, kind: PrimitiveKind) -> Known:
    limit: int | None = None
    taken = False
    if kind == "lock":
        limit, taken = 1, bool(thing._locked)
    elif kind == "semaphore":
        limit, taken = getattr(thing, "_bound_value", None), thing._value == 0
        base = asyncio.BoundedSemaphore if is_a(thing, asyncio.BoundedSemaphore) else base
    exact = all(getattr(type(thing), name, None) is getattr(base, name, None) for name in _OWN)
    primitive = Primitive(id=id(thing), kind=kind, name=type(thing).__name__, limit=limit, exact=exact)
    return Known(primitive, taken)


def _anyios(thing: Any) -> Known | None:
    """Anyio's locks and limiters know who holds them; nobody else can release them."""
    name = type(thing).__name__
    kind = _ANYIO_KINDS.get(name)
    if kind is None:
        return None
    owners: tuple[int, ...] | None = None
    limit: int | None = None
    if name == "Lock":
        owner = thing._owner_task
        limit, owners = 1, () if owner is None else (id(owner),)
    elif name == "CapacityLimiter":
        limit = int(thing._total_tokens) if thing._total_tokens < 1 << 31 else None
        owners = tuple(id(borrower) for borrower in thing._borrowers)
    primitive = Primitive(id=id(thing), kind=kind, name=f"anyio.{name}", limit=limit)
    return Known(primitive, bool(owners) and len(owners or ()) == limit, owners)
