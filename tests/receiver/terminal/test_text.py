from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiotel._receiver.terminal import text


@pytest.mark.parametrize(
    ("raw", "harmless"),
    [
        ("plain é 漢 👍", "plain é 漢 👍"),
        ("\x1b[31mred\x1b[0m", r"\x1b[31mred\x1b[0m"),
        ("\x9b31m", r"\x9b31m"),
        ("a\rb\nc\td", "a b c d"),
        ("\u202egnp.exe", r"\u202egnp.exe"),
        ("\x00\x07\x08\x7f", r"\x00\x07\x08\x7f"),
        ("\ud800", r"\ud800"),
        ("\u2028", r"\u2028"),
        ("👩\u200d🚀", "👩\u200d🚀"),
        ("[bold]not markup[/bold] :smile:", "[bold]not markup[/bold] :smile:"),
    ],
)
def test_what_a_terminal_could_obey_is_made_visible(raw: str, harmless: str) -> None:
    assert harmless == text.neutral(raw)


def test_long_texts_are_cut() -> None:
    assert "aaa…" == text.neutral("a" * 1000, limit=3)


@given(st.text(st.characters()))
def test_no_control_character_is_left(raw: str) -> None:
    assert not set(text.neutral(raw)) & {*map(chr, range(32)), *map(chr, range(0x7F, 0xA0))}


@pytest.mark.parametrize(
    ("ns", "shown"),
    [
        (0, "0 ns"),
        (999, "999 ns"),
        (1_000, "1.00 µs"),
        (12_345, "12.3 µs"),
        (999_400, "999 µs"),
        (999_600, "1.00 ms"),
        (231_000_000, "231 ms"),
        (1_200_000_000, "1.20 s"),
        (119_000_000_000, "119 s"),
        (200_000_000_000, "3 min 20 s"),
        (8_000_000_000_000, "2 h 13 min"),
        (-5_000_000, "-5.00 ms"),
    ],
)
def test_a_duration_has_three_digits_that_count(ns: int, shown: str) -> None:
    assert shown == text.duration(ns)


@pytest.mark.parametrize(
    ("number", "unit", "shown"),
    [
        (1234567, "{task}", "1,234,567"),
        (0.1234567, "1", "0.1235"),
        (3.0, "", "3"),
        (0.0453, "s", "45.3 ms"),
        (45, "ms", "45.0 ms"),
        (123_456_789, "By", "118 MiB"),
        (512, "By", "512 B"),
        (20.5, "Cel", "20.5 Cel"),
        (float("nan"), "s", "nan s"),
        (float("-inf"), "", "-inf"),
        (1e300, "By", "1e+300 By"),
    ],
)
def test_a_quantity_is_shown_in_its_unit(number: float, unit: str, shown: str) -> None:
    assert shown == text.quantity(number, unit)


def test_a_time_that_was_not_given_is_dashes() -> None:
    assert "--:--:--.---" == text.time_of_day(0)


@given(st.integers(1, 2**64 - 1))
def test_whatever_time_comes_it_is_shown(ns: int) -> None:
    assert re.fullmatch(r"\d\d:\d\d:\d\d\.\d{3}", text.time_of_day(ns))


@given(st.floats() | st.integers(-(2**63), 2**64), st.sampled_from(["s", "ms", "By", "", "x\x1b"]))
def test_whatever_number_comes_it_is_shown(number: float, unit: str) -> None:
    assert 1 <= len(text.quantity(number, unit)) < 40
