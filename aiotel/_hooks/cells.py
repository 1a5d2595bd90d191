"""Tell a lost update from the reads and writes of a watched field: what a task wrote undid another's change.

A write by another task since a read proves that the reader has awaited meanwhile, as tasks of one loop take
turns nowhere else. So nothing is to be known of steps, and no coroutine to be wrapped. This runs inside the
program's own reads and writes: what goes wrong here never reaches them.
"""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Callable
from contextvars import copy_context
from types import CodeType, FrameType
from typing import Any, Final, NamedTuple

from .._borrowed import Borrowed
from .._faults import faults
from .._inspect.flows import use_of
from .._inspect.values import SIMPLE, differ
from .._mailbox import Mailbox
from .._record import AnyRecord, note_on
from .._repeats import Repeats
from .._signals import names
from ..observations import LostUpdate, Staleness
from .errors import task_facts
from .writes import Write, facts_of, place_of, write_of

__all__ = ["MISSING", "Activation", "Cell", "Races"]

_running_loop: Final[Callable[[], Any]] = asyncio._get_running_loop
_ASYNC: Final = inspect.CO_COROUTINE | inspect.CO_ASYNC_GENERATOR
MISSING: Final = object()
"""In the place of a value: there is none, or it is not kept."""
SEEN: Final = 64
"""So many tasks are known to have seen the latest value; beyond that it may have been anybody."""
READINGS: Final = 64
"""So many cells are remembered of one call; then all are forgotten."""
VERDICTS: Final = 1024


class Reading(NamedTuple):
    """A task has read a cell: its version then, the offset of the instruction, and the value, if simple."""

    version: int
    instruction: int
    task_id: int
    value: object


class Activation:
    """What one call of a coroutine function has read.

    It stands in the `f_trace` of its frame, where nobody looks unless the thread is traced: it is the one
    place that ends with the call. The number of a frame would not do, as the next call may have the same one.
    A debugger that has put something there is left alone; one that comes later is told by the call below that
    it need not look at this frame, as if nothing stood there.
    """

    __slots__ = ("readings",)

    def __init__(self) -> None:
        self.readings: dict[Cell, Reading] = {}

    def __call__(self, *event: object) -> None:
        """Trace nothing."""


class Cell:
    """One watched field of one object."""

    __slots__ = ("field", "owner", "seen", "version", "write")

    def __init__(self, owner: str, field: str) -> None:
        self.owner = owner
        self.field = field
        self.version = 0
        self.write: Write | None = None
        """The last one, where it was a task's."""
        self.seen: set[int] | None = set()
        """The tasks that have seen the latest value, by their ids; None where it may have been anybody."""


class Races:
    """Follows reads and writes, and builds a `LostUpdate` of what was undone."""

    def __init__(
        self,
        mailbox: Mailbox[Any],
        repeats: Repeats[Any],
        wall_ns: Callable[[int], int],
        *,
        only: Any = None,
    ) -> None:
        self._mailbox = mailbox
        self._repeats = repeats
        self._wall_ns = wall_ns
        self._only = only
        # The code is kept, so that none other gets its number.
        self._verdicts: dict[tuple[int, int, int], tuple[CodeType, Staleness | None]] = {}

    def read(self, cell: Cell, frame: FrameType, value: object) -> None:
        """The frame has read the cell."""
        try:
            task = self._task()
            seen = cell.seen
            if task is None or seen is None or len(seen) >= SEEN:
                cell.seen = None
            else:
                seen.add(id(task))
            if task is not None and frame.f_code.co_flags & _ASYNC:
                self._note(cell, frame, task, value)
        except Exception as error:  # noqa: BLE001  # ours, not the program's
            faults.add(error)

    def wrote(self, cell: Cell, frame: FrameType, old: object, new: object) -> None:
        """The frame has written the cell."""
        try:
            self._wrote(cell, frame, old, new)
        except Exception as error:  # noqa: BLE001  # ours, not the program's
            faults.add(error)

    def _task(self) -> Any:
        loop = _running_loop()
        if loop is None or (self._only is not None and loop is not self._only):
            return None
        return asyncio.current_task(loop)

    @staticmethod
    def _note(cell: Cell, frame: FrameType, task: Any, value: object) -> None:
        activation = frame.f_trace
        if activation is None:
            activation = frame.f_trace = Activation()
        elif type(activation) is not Activation:  # a debugger's
            return
        readings = activation.readings
        if len(readings) >= READINGS:
            readings.clear()
        kept = value if type(value) in SIMPLE else MISSING
        readings[cell] = Reading(cell.version, frame.f_lasti, id(task), kept)

    def _wrote(self, cell: Cell, frame: FrameType, old: object, new: object) -> None:
        activation = frame.f_trace
        reading = activation.readings.pop(cell, None) if type(activation) is Activation else None
        if old is not MISSING and new is not MISSING and not differ(old, new):
            return  # nothing was undone, and nothing changed
        task = self._task()
        before, seen, cell.seen = cell.write, cell.seen, {id(task)}
        version, cell.version = cell.version, cell.version + 1
        if task is None:
            cell.write, cell.seen = None, None
            return
        loop = _running_loop()
        cell.write = mine = write_of(loop, task, frame)
        if reading is None or reading.version == version or before is None or seen is None:
            return
        if before.loop_id != mine.loop_id or mine.task_id in seen:
            return
        if reading.task_id == mine.task_id and (
            reading.value is MISSING or old is MISSING or differ(reading.value, old)
        ):
            self._lost(cell, reading, before, mine, (task, loop))

    def _lost(self, cell: Cell, reading: Reading, other: Write, mine: Write, who: tuple[Any, Any]) -> None:
        how = self._verdict(mine.code, reading.instruction, mine.instruction)
        if how is None:
            return
        read, write = place_of(mine, reading.instruction), place_of(mine, mine.instruction)
        undone = place_of(other, other.instruction)
        repeat = self._repeats.begin((LostUpdate, cell.owner, cell.field, read, write, undone))
        if repeat is None:
            return
        task, loop = who
        lost = LostUpdate(
            how=how,
            owner=cell.owner,
            attribute=cell.field,
            read=read,
            write=write,
            undone=undone,
            task=task_facts(task, mine.record),
            other=facts_of(other),
            time_ns=self._wall_ns(time.monotonic_ns()),
            context=Borrowed(copy_context(), loop),
        )
        repeat.first = lost
        self._mailbox.put(lost)
        for record in (mine.record, other.record):
            _note_on_span(record, lost)

    def _verdict(self, code: CodeType, read: int, write: int) -> Staleness | None:
        key = id(code), read, write
        known = self._verdicts.get(key)
        if known is None:
            if len(self._verdicts) >= VERDICTS:
                self._verdicts.clear()
            known = self._verdicts[key] = code, use_of(code, read, write)
        return known[1]


def _note_on_span(record: AnyRecord | None, lost: LostUpdate) -> None:
    attributes = {
        names.LOST_UPDATE_FIELD: f"{lost.owner}.{lost.attribute}",
        names.LOST_UPDATE_HOW: lost.how,
        names.CODE_FUNCTION_NAME: lost.write.function,
        names.CODE_LINE_NUMBER: lost.write.line,
        names.LOST_UPDATE_OTHER_FUNCTION: lost.undone.function,
        names.LOST_UPDATE_OTHER_LINE: lost.undone.line,
    }
    note_on(record, names.LOST_UPDATE, attributes, time_ns=lost.time_ns)
