"""A traceback in words reads as Python's own does."""

from __future__ import annotations

import traceback

import pytest

from aiotel._hooks.exceptions import facts_of
from aiotel._reports.tracebacks import traceback_of


def _raised() -> BaseException:
    try:
        try:
            raise KeyError("inner")  # noqa: TRY301  # the chain is what is looked at
        except KeyError as error:
            raise ValueError("outer") from error
    except ValueError as error:
        return error


def test_a_chain_is_printed_as_python_prints_it() -> None:
    exception = _raised()

    python = "".join(traceback.format_exception(exception)).splitlines()
    # Python marks the place within the line; and calls functions by their short names.
    expected = [line for line in python if not line.strip(" ").startswith(("^", "~"))]
    assert traceback_of(facts_of(exception, frames=50)).splitlines() == expected


def test_many_frames_are_cut_in_the_middle() -> None:
    def deep(depth: int) -> None:
        if not depth:
            raise ValueError("deep")
        deep(depth - 1)

    with pytest.raises(ValueError, match="deep") as raised:
        deep(100)
    facts = facts_of(raised.value, frames=8)

    assert (len(facts.frames), facts.frames_left_out) == (8, 94)
    assert facts.frames[0].function.endswith("test_many_frames_are_cut_in_the_middle")
    assert "  [94 frames left out]\n" in traceback_of(facts)
