"""Turn an exception into plain data on the spot: to hold it is to hold its frames, and all they hold."""

from __future__ import annotations

import weakref
from asyncio import CancelledError
from collections import deque
from collections.abc import Hashable
from types import TracebackType
from typing import Any, Final

from ..observations import ExceptionFacts, Frame

__all__ = [
    "Identity",
    "cause_of",
    "facts_of",
    "fingerprint_of",
    "is_failure",
    "message_of",
    "traceback_of",
    "type_of",
]

MESSAGE: Final = 4096
"""How many characters of a message are kept."""
LEAVES: Final = 32
"""How many exceptions of a group, and how many causes, are kept."""

_NO_FAILURES: Final = (KeyboardInterrupt, SystemExit, CancelledError, GeneratorExit)

# Python's own look at a class and an exception: those of the program may have ideas about theirs.
_module: Any = vars(type)["__module__"].__get__
_qualname: Any = vars(type)["__qualname__"].__get__
_cause: Any = vars(BaseException)["__cause__"].__get__
_context: Any = vars(BaseException)["__context__"].__get__
_suppressed: Any = vars(BaseException)["__suppress_context__"].__get__
_traceback: Any = vars(BaseException)["__traceback__"].__get__
_leaves: Any = vars(BaseExceptionGroup)["exceptions"].__get__


def type_of(exception: BaseException) -> str:
    """The qualified name of the exception's class, builtins bare."""
    kind = type(exception)
    name = _qualname(kind)
    try:
        module = _module(kind)
    except AttributeError:  # made where there was no module to be of
        module = None
    return f"{module}.{name}" if type(module) is str and module != "builtins" else str(name)


def message_of(exception: BaseException) -> str:
    """The exception's text, cut; its `__str__` is the user's and may do anything."""
    try:
        message = str(exception)
    except (KeyboardInterrupt, SystemExit):  # somebody is ending the program, from a signal's handler
        raise
    except BaseException as error:  # noqa: BLE001  # said in the docstring
        return f"<its __str__ raised {_qualname(type(error))}>"
    if type(message) is not str:
        message = str.__str__(message)  # a text that is an object of theirs
    if len(message) > MESSAGE:
        message = message[:MESSAGE] + "…"
    # Lone surrogates cannot be sent.
    return message if message.isascii() else message.encode("utf-8", "replace").decode("utf-8")


def fingerprint_of(exception: BaseException, *more: Hashable) -> Hashable:
    """What equal failures have in common: the type, and the line that raised. For a flood: 0.5 µs."""
    traceback: TracebackType | None = _traceback(exception)
    if traceback is None:
        return type_of(exception), *more
    while traceback.tb_next is not None:
        traceback = traceback.tb_next
    return type_of(exception), traceback.tb_frame.f_code, traceback.tb_lasti, *more


class Identity:
    """Knows an exception again, and does not hold it."""

    __slots__ = ("_exception", "_fingerprint", "_id")

    def __init__(self, exception: BaseException) -> None:
        self._id = id(exception)
        try:
            self._exception: weakref.ref[BaseException] | None = weakref.ref(exception)
        except (
            TypeError
        ):  # a builtin one: there may be another by now at its address, but hardly of the same line
            self._exception = None
        self._fingerprint = None if self._exception is not None else _place_of(exception)

    def is_of(self, exception: BaseException) -> bool:
        """Whether it is this exception."""
        if self._exception is not None:
            return self._exception() is exception
        return self._id == id(exception) and self._fingerprint == _place_of(exception)


def _place_of(exception: BaseException) -> Hashable:
    """The very entry of the traceback that raised."""
    traceback: TracebackType | None = _traceback(exception)
    while traceback is not None and traceback.tb_next is not None:
        traceback = traceback.tb_next
    return fingerprint_of(exception, id(traceback))


def is_failure(exception: BaseException) -> bool:
    """Whether it is one: who is cancelled, closed, interrupted or told to exit has not failed."""
    kind = type(exception)
    if issubclass(kind, _NO_FAILURES):
        return False
    if not issubclass(kind, BaseExceptionGroup) or issubclass(kind, Exception):
        return True
    return any(is_failure(leaf) for leaf in _leaves(exception))


def traceback_of(exception: BaseException) -> TracebackType | None:
    """Where it was raised, and what it came through."""
    traceback: TracebackType | None = _traceback(exception)
    return traceback


def cause_of(exception: BaseException) -> BaseException | None:
    """What it was raised from."""
    cause: BaseException | None = _cause(exception)
    return cause


def facts_of(exception: BaseException, *, frames: int) -> ExceptionFacts:
    """All that is told of an exception, its causes and the leaves of its group."""
    return _facts(exception, frames, seen=set(), budget=[LEAVES])


def _facts(exception: BaseException, frames: int, seen: set[int], budget: list[int]) -> ExceptionFacts:
    seen.add(id(exception))
    budget[0] -= 1
    kept, left_out = _frames_of(exception, frames)
    cause, how = _cause(exception), "cause"
    if cause is None and not _suppressed(exception):
        cause, how = _context(exception), "context"
    chained = cause is not None and id(cause) not in seen and budget[0] > 0
    leaves = []
    if isinstance(exception, BaseExceptionGroup):
        for leaf in _leaves(exception):
            if budget[0] > 0 and id(leaf) not in seen:
                leaves.append(_facts(leaf, frames, seen, budget))
    return ExceptionFacts(
        type=type_of(exception),
        message=message_of(exception),
        frames=kept,
        frames_left_out=left_out,
        cause=_facts(cause, frames, seen, budget) if chained else None,
        chained=("cause" if how == "cause" else "context") if chained else None,
        leaves=tuple(leaves),
    )


def _frames_of(exception: BaseException, most: int) -> tuple[tuple[Frame, ...], int]:
    """The frames, outermost first; of many, the first few and the last ones."""
    first: list[TracebackType] = []
    last: deque[TracebackType] = deque(maxlen=most - most // 4)
    count = 0
    traceback: TracebackType | None = _traceback(exception)
    while traceback is not None:
        count += 1
        if len(first) < most // 4:
            first.append(traceback)
        else:
            last.append(traceback)
        traceback = traceback.tb_next
    kept = tuple(_frame(entry) for entry in (*first, *last))
    return kept, count - len(kept)


def _frame(traceback: TracebackType) -> Frame:
    code = traceback.tb_frame.f_code
    return Frame(file=code.co_filename, line=traceback.tb_lineno, function=code.co_qualname)
