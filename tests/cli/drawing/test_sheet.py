"""Lines that fit the terminal."""

from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiotel._cli.drawing.sheet import Sheet, cells, cut, sheet_on
from aiotel._cli.drawing.words import age, place

from ...status.snapshots import frame

SECOND = 1_000_000_000


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (0, "0.00s"),
        (0.123, "0.12s"),
        (0.996, "1.0s"),
        (9.96, "10s"),
        (59.4, "59s"),
        (59.6, "1m00s"),
        (200, "3m20s"),
        (3600, "1h00m"),
        (86_399, "23h59m"),
        (360_000, "4d04h"),
        (-1, "0.00s"),
    ],
)
def test_a_time_is_short(seconds: float, shown: str) -> None:
    assert age(int(seconds * SECOND)) == shown


@pytest.mark.parametrize(
    ("file", "shown"),
    [
        ("/srv/bank.py", "bank.py:3"),
        ("/srv/bank/__init__.py", "bank/__init__.py:3"),
        ("/main.py", "main.py:3"),
        ("<string>", "<string>:3"),
        ("/a\nb\x1b.py", "a b\\x1b.py:3"),
        ("", ""),
    ],
)
def test_a_place_is_short(file: str, shown: str) -> None:
    assert place(frame(3, file)) == shown


@given(st.text(), st.integers(1, 30))
def test_what_is_cut_fits(text: str, width: int) -> None:
    shown = cut(text, width)

    assert cells(shown) <= width
    assert shown == text or shown.endswith("…")


def test_wide_signs_take_two_columns() -> None:
    assert (cells("界a"), cut("界界界", 4)) == (3, "界…")


def test_colours_are_for_those_who_can_show_them() -> None:
    plain, coloured = io.StringIO(), io.StringIO()
    for stream, colours in ((plain, False), (coloured, True)):
        Sheet(stream, colours=colours).write([("bad", "bad"), (" and  ", "name"), ("  ", "dim")])

    assert (plain.getvalue(), coloured.getvalue()) == ("bad and\n", "\x1b[31mbad\x1b[0m\x1b[36m and\x1b[0m\n")


def test_a_pipe_gets_whole_lines_without_colours() -> None:
    stream = io.StringIO()
    sheet_on(stream, {}).write([("x" * 500, "bad")])

    assert stream.getvalue() == "x" * 500 + "\n"


def test_what_the_encoding_cannot_write_is_escaped() -> None:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii")
    sheet = sheet_on(stream, {})
    sheet.write([("grüße", "")])
    stream.flush()

    assert raw.getvalue() == b"gr\\xfc\\xdfe\n"
