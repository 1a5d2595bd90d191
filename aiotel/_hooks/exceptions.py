"""Turn an exception into plain data on the spot: to hold it is to hold its frames, and all they hold."""

from __future__ import annotations

from types import CodeType
from typing import Final

from ..observations import ExceptionFacts, Frame

__all__ = ["facts_of", "summary_of", "type_of"]

MESSAGE: Final = 4096
"""How many characters of a message are kept."""
LEAVES: Final = 32
"""How many exceptions of a group, and how many causes, are kept."""


def type_of(exception: BaseException) -> str:
    """The qualified name of the exception's class, builtins bare."""
    kind = type(exception)
    module = kind.__module__
    return kind.__qualname__ if module == "builtins" else f"{module}.{kind.__qualname__}"


def message_of(exception: BaseException) -> str:
    """The exception's text, cut; its `__str__` is the user's and may do anything."""
    try:
        message = str(exception)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001  # said in the docstring
        return f"<its __str__ raised {type(error).__name__}>"
    if len(message) > MESSAGE:
        message = message[:MESSAGE] + "…"
    # Lone surrogates cannot be sent.
    return message if message.isascii() else message.encode("utf-8", "replace").decode("utf-8")


def summary_of(exception: BaseException) -> tuple[str, str]:
    """Type and message."""
    return type_of(exception), message_of(exception)


def facts_of(exception: BaseException, *, frames: int) -> ExceptionFacts:
    """All that is told of an exception, its causes and the leaves of its group."""
    return _facts(exception, frames, seen=set(), budget=[LEAVES])


def _facts(exception: BaseException, frames: int, seen: set[int], budget: list[int]) -> ExceptionFacts:
    seen.add(id(exception))
    budget[0] -= 1
    kept, left_out = _frames_of(exception, frames)
    cause, how = exception.__cause__, "cause"
    if cause is None and not exception.__suppress_context__:
        cause, how = exception.__context__, "context"
    chained = cause is not None and id(cause) not in seen and budget[0] > 0
    leaves = []
    if isinstance(exception, BaseExceptionGroup):
        for leaf in exception.exceptions:
            if budget[0] > 0 and id(leaf) not in seen:
                leaves.append(_facts(leaf, frames, seen, budget))
    return ExceptionFacts(
        type=type_of(exception),
        message=message_of(exception),
        frames=kept,
        frames_left_out=left_out,
        cause=_facts(cause, frames, seen, budget) if chained and cause is not None else None,
        chained=("cause" if how == "cause" else "context") if chained else None,
        leaves=tuple(leaves),
    )


def _frames_of(exception: BaseException, most: int) -> tuple[tuple[Frame, ...], int]:
    """The frames, outermost first; of many, the first few and the last ones."""
    places: list[tuple[CodeType, int]] = []
    traceback = exception.__traceback__
    while traceback is not None and len(places) < 10_000:
        places.append((traceback.tb_frame.f_code, traceback.tb_lineno))
        traceback = traceback.tb_next
    left_out = max(0, len(places) - most)
    if left_out:
        first = most // 4
        places = places[:first] + places[first + left_out :]
    return tuple(
        Frame(file=code.co_filename, line=line, function=code.co_qualname) for code, line in places
    ), left_out
