"""Tell which tasks of a loop have waited for the same thing since an earlier look.

That is all that is asked of most tasks, and takes a third of a microsecond of each: what it waits for is
compared with what it waited for before, in chains of C calls that hold nothing (see `_inspect.glances`). On
the pump's thread.
"""

from __future__ import annotations

import time
import weakref
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from itertools import repeat
from operator import attrgetter, call, is_
from typing import Any, Final

from .._ledger import Ledger
from .._record import AnyRecord
from ..observations import Frame

__all__ = ["Entry", "Settled"]

SLICE: Final = 256
"""So many tasks are looked at before other threads get a chance to run."""
_GONE: Final = object()
_waiter: Final = attrgetter("_fut_waiter")


class Entry:
    """A task that waits, and what for; what closer looks have seen of it is kept here."""

    __slots__ = ("closely", "key", "owners", "record", "since_ns", "task", "view", "waiter")

    def __init__(
        self, key: int, record: AnyRecord, task: Callable[[], Any], waiter: Callable[[], Any], since_ns: int
    ) -> None:
        self.key = key
        """The id of the task."""
        self.record = record
        self.task = task
        self.waiter = waiter
        self.since_ns = since_ns
        """When it was first seen to wait for this."""
        self.closely = False
        """It is of interest, whether it could be in a deadlock or not."""
        self.view: Any = None
        """The `TaskView` of that look; None where it showed nothing that could be a deadlock."""
        self.owners: tuple[tuple[int, Frame | None], ...] | None = None
        """Which tasks hold what it waits for, and since which line, where that is certain."""

    def waits_still(self) -> bool:
        """Whether it is where it was."""
        return _same([self])


class Settled:
    """The waiting tasks of one loop."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self.entries: dict[int, Entry] = {}
        self.fresh: deque[Entry] = deque()
        """Those that a closer look is to be taken at."""
        self.changes = 0
        """How often a look has found another set of tasks than before."""
        self.seen = 0
        """How often closer looks were taken."""

    def look(self, now_ns: int, *, older_ns: int, most: int) -> None:
        """Forget those that have moved, and take up those that wait, are `older_ns` old, and are new here.

        `most` new ones at a time.
        """
        moved = [entry for part in _parts(list(self.entries.values())) for entry in _moved(part)]
        for entry in moved:
            self.entries.pop(entry.key, None)
        found = self._new(now_ns, now_ns - older_ns, most)
        self.entries.update((entry.key, entry) for entry in found)
        self.fresh.extend(found)
        self.changes += bool(moved or found)

    def _new(self, now_ns: int, before_ns: int, most: int) -> list[Entry]:
        live = self.ledger.live
        try:
            keys = live.keys() - self.entries.keys() if self.entries else list(live)
        except RuntimeError:  # the loop has changed the table meanwhile: next time
            return []
        found: list[Entry] = []
        for number, key in enumerate(keys, 1):
            record = live.get(key)
            if record is None or record.start_ns > before_ns:
                continue
            entry = _entry(key, record, now_ns)
            if entry is not None:
                found.append(entry)
                if len(found) >= most:
                    break
            if not number % SLICE:
                time.sleep(0)
        return found


def _entry(key: int, record: AnyRecord, now_ns: int) -> Entry | None:
    """What the task of this record waits for; None where it waits for nothing."""
    task = record.reference()
    if task is None:
        return None
    try:
        waiter = next(map(weakref.ref, map(_waiter, map(call, (task,)))))
    except (AttributeError, TypeError):  # it is no more, or waits for nothing
        return None
    return Entry(key, record, task, waiter, now_ns)


def _parts(entries: list[Entry]) -> Iterator[list[Entry]]:
    for start in range(0, len(entries), SLICE):
        if start:
            time.sleep(0)  # others may have waited for the GIL
        yield entries[start : start + SLICE]


def _moved(entries: list[Entry]) -> Iterable[Entry]:
    return () if _same(entries) else [entry for entry in entries if not _same([entry])]


def _same(entries: list[Entry]) -> bool:
    """Whether all of them wait for what they waited for.

    First the comparison, then whether it is still there: in the other order, it could have gone in between,
    and None would be compared with None.
    """
    tasks, waiters = [entry.task for entry in entries], [entry.waiter for entry in entries]
    waited = map(getattr, map(call, tasks), repeat("_fut_waiter"), repeat(_GONE))
    return all(map(is_, map(call, waiters), waited)) and None not in map(call, waiters)
