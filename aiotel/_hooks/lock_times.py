"""How long tasks have waited for locks and held them, until somebody takes that to the metrics."""

from __future__ import annotations

from .._ledger import DURATIONS
from .._mailbox import Mailbox
from .holds import Line, function_at

__all__ = ["LockTimes"]

Timed = Mailbox[tuple[Line, int]]


class LockTimes:
    """Durations in ns, by the line that acquired; put in on the threads of loops."""

    def __init__(self) -> None:
        self.waited: Timed = Mailbox(DURATIONS)
        self.held: Timed = Mailbox(DURATIONS)

    def take(self) -> tuple[dict[str, list[int]], dict[str, list[int]]]:
        """Those of waits and those of holds, by function. On the pump's thread."""
        return _by_function(self.waited), _by_function(self.held)

    def dropped(self) -> int:
        """How many there was no place for."""
        return self.waited.dropped + self.held.dropped


def _by_function(durations: Timed) -> dict[str, list[int]]:
    functions: dict[object, tuple[Line, list[int]]] = {}
    for line, duration in durations.take(DURATIONS):
        code, _, module = line
        functions.setdefault((code, module), (line, []))[1].append(duration)
    named: dict[str, list[int]] = {}
    for (code, _, module), values in functions.values():
        named.setdefault(function_at(code, module), []).extend(values)
    return named
