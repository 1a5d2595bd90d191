"""Say of a write to a watched field who made it and where: kept with the field until the next one."""

from __future__ import annotations

import weakref
from types import CodeType, FrameType
from typing import Any, NamedTuple

from .._inspect.facts import facts_of_record
from .._record import AnyRecord, line_of
from ..observations import Frame, TaskFacts
from .errors import live_record_of
from .ledgers import ledger_of
from .tasks import eager_record

__all__ = ["Write", "facts_of", "place_of", "write_of"]


class Write(NamedTuple):
    """Who wrote a field, and where."""

    loop_id: int
    task_id: int
    task: weakref.ref[Any]
    name: str
    record: AnyRecord | None
    code: CodeType
    instruction: int
    module: str


def write_of(loop: Any, task: Any, frame: FrameType) -> Write:
    """The write that the frame makes just now."""
    ledger = ledger_of(loop)
    return Write(
        loop_id=id(loop),
        task_id=id(task),
        task=weakref.ref(task),
        name=task.get_name(),
        record=None if ledger is None else live_record_of(ledger, task) or eager_record(ledger, task),
        code=frame.f_code,
        instruction=frame.f_lasti,
        module=frame.f_globals.get("__name__", ""),
    )


def facts_of(write: Write) -> TaskFacts:
    """The task, which may have ended."""
    task = write.task()  # an eager task had not got its name when it wrote
    name = write.name if task is None else task.get_name()
    if write.record is None:
        return TaskFacts(name=name, function="")
    return facts_of_record(name, write.record)


def place_of(write: Write, instruction: int) -> Frame:
    """The line of the function that wrote which has this instruction."""
    code = write.code
    function = f"{write.module}.{code.co_qualname}"
    return Frame(file=code.co_filename, line=line_of(code, instruction), function=function)
