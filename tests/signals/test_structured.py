"""Structured tracebacks are what structlog makes of the same exceptions."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from structlog.tracebacks import ExceptionDictTransformer, Stack

from aiotel._hooks.exceptions import facts_of
from aiotel._signals.structured import structured


class BadError(Exception):
    """A failure with a module."""


def _plain() -> None:
    [int(text) for text in ("1", "no number")]


def _caused() -> None:
    try:
        _plain()
    except ValueError as error:
        raise BadError("no such order") from error


def _during() -> None:
    try:
        _caused()
    except BadError:
        raise KeyError("order")  # noqa: B904  # raised during, not from


def _hushed() -> None:
    try:
        _plain()
    except ValueError:
        raise BadError("nothing was before") from None


def _group() -> None:
    failures = []
    for fail in (_plain, _during):
        try:
            fail()
        except Exception as error:  # noqa: BLE001  # both of them
            failures.append(error)
    raise ExceptionGroup("two", failures)


def _deep(left: int = 300) -> None:
    if left:
        _deep(left - 1)
    raise RecursionError("deep")


def _raised_by(fail: Callable[[], None]) -> Exception:
    try:
        fail()
    except Exception as error:  # noqa: BLE001  # whatever it is
        return error
    raise AssertionError


def _structlogs(error: Exception) -> Any:
    theirs = ExceptionDictTransformer(show_locals=False)((type(error), error, error.__traceback__))
    return [_whole(stack) for stack in theirs]


def _whole(stack: dict[str, Any]) -> dict[str, Any]:
    """With what later versions of structlog have, as they have it."""
    groups = [[_whole(each) for each in trace] for trace in stack.get("exceptions", [])]
    return {"exc_notes": [], "is_group": False, **stack, "exceptions": groups}


@pytest.mark.skipif(not hasattr(Stack("", ""), "is_group"), reason="this structlog knows no groups")
@pytest.mark.parametrize("fail", [_plain, _caused, _during, _hushed, _group])
def test_an_exception_is_the_same_data_as_in_structlogs_own_form(fail: Callable[[], None]) -> None:
    error = _raised_by(fail)

    assert structured(facts_of(error, frames=50)) == _structlogs(error)


def test_what_is_left_out_of_a_deep_traceback_is_said_where_it_was() -> None:
    [stack] = structured(facts_of(_raised_by(_deep), frames=8))

    assert [re.sub(r"\d+", "n", frame["name"]) for frame in stack["frames"]] == [
        *("_raised_by", "_deep"),
        "Skipped frames: n",
        *["_deep"] * 6,
    ]
