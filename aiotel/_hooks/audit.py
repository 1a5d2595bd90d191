"""Hear of audit events (PEP 578), from one hook for the process: none can ever be removed.

Python calls it for every event of every thread, also in the middle of what C does in one piece, as it reads
`f_code` or an `id`. There a function of Python's would let other threads run, and who looks at the program's
objects from another thread relies on it that none does. So it is C that asks whether anybody listens.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection
from contextlib import suppress
from typing import Any, Final

from .loops import Detach

__all__ = ["Listener", "listen"]

Listener = Callable[[str, tuple[Any, ...]], None]
"""Hears an event's name and its arguments. What it raises fails the call of the program's."""

_PROBE: Final = "aiotel.listen"

_table: dict[str, Any] = {"__new__": getattr}
"""Who listens, by event; `_Hook.__new__` is found here as well."""


class _Names(type):
    """Has C look into the table for each attribute of the class below; what is not there is None."""

    __getattribute__ = _table.get  # not bound: it gets the name alone


class _Hook(metaclass=_Names):
    """The hook is this class. To call it with an event is to look into the table, by `getattr(_Hook, event)`.

    What is found there gets the event and its arguments by `__init__`, as if it had been made just now.
    """

    __slots__ = ("listener",)

    __new__ = getattr  # type: ignore[assignment]  # its first argument is the class

    listener: Listener

    def __init__(self, event: str, arguments: tuple[Any, ...]) -> None:
        self.listener(event, arguments)


def listen(events: Collection[str], listener: Listener) -> Detach | None:
    """Have these heard; gives back what ends it, or None where a hook of the program's refuses ours."""
    if not _is_heard():
        try:
            sys.addaudithook(_Hook)
        except Exception:  # noqa: BLE001  # a hook refuses by raising anything
            return None
        if not _is_heard():  # where it raises a RuntimeError, Python says nothing
            return None
    entry = _entry(listener)
    _table.update(dict.fromkeys(events, entry))

    def stop() -> None:
        for event in events:
            if _table.get(event) is entry:
                del _table[event]

    return stop


def _is_heard() -> bool:
    """Whether our hook is there."""
    heard: list[str] = []
    _table[_PROBE] = _entry(lambda event, _: heard.append(event))
    with suppress(Exception):  # a hook of the program's may refuse anything
        sys.audit(_PROBE)
    del _table[_PROBE]
    return bool(heard)


def _entry(listener: Listener) -> _Hook:
    entry: _Hook = object.__new__(_Hook)
    entry.listener = listener
    return entry
