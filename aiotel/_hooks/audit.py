"""Hear of audit events (PEP 578), from one hook for the process: none can ever be removed.

Python calls it for every event of every thread. While nobody listens, and for what nobody listens to, that
costs one look into a table.
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

_listeners: dict[str, Listener] = {}
_heard: list[str] = []


def listen(events: Collection[str], listener: Listener) -> Detach | None:
    """Have these heard; gives back what ends it, or None where a hook of the program's refuses ours."""
    if not _is_heard():
        try:
            sys.addaudithook(_hook())
        except Exception:  # noqa: BLE001  # a hook refuses by raising anything
            return None
        if not _is_heard():  # where it raises a RuntimeError, Python says nothing
            return None
    _listeners.update(dict.fromkeys(events, listener))

    def stop() -> None:
        for event in events:
            if _listeners.get(event) is listener:
                del _listeners[event]

    return stop


def _hook() -> Listener:
    # In a closure: the variables of the module may be gone before the last event of the interpreter.
    listener_of = _listeners.get

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        listener = listener_of(event)
        if listener is not None:
            listener(event, arguments)

    return hook


def _is_heard() -> bool:
    """Whether our hook is there."""
    _heard.clear()
    _listeners[_PROBE] = lambda event, _: _heard.append(event)
    with suppress(Exception):  # a hook of the program's may refuse anything
        sys.audit(_PROBE)
    del _listeners[_PROBE]
    return bool(_heard)
