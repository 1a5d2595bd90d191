"""Words for a terminal: texts made harmless, and numbers as people read them."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..received import AttributeValue

MAX_TEXT = 1000

_KEPT = "\u200c\u200d"  # joiners, without which some scripts and emoji fall apart
_HIDDEN = {
    "Cc",
    "Cf",
    "Cs",
    "Co",
    "Zl",
    "Zp",
}  # controls, formats such as right-to-left marks, halves of pairs


@dataclass(frozen=True, slots=True, kw_only=True)
class Glyphs:
    """The signs used; a terminal without Unicode gets others."""

    down: str
    branch: str
    last: str
    bar: str
    rule: str
    more: str
    times: str
    sum: str
    event: str
    link: str
    outcomes: dict[str, str]


UNICODE = Glyphs(
    down="│  ",
    branch="├─ ",
    last="└─ ",
    bar="━",
    rule="─",
    more="…",
    times="\N{MULTIPLICATION SIGN}",
    sum="Σ ",
    event="•",
    link="↪",
    outcomes={"returned": "✓", "raised": "✗", "cancelled": "⊘", "pending": "…", "": "·"},
)
ASCII = Glyphs(
    down="|  ",
    branch="|- ",
    last="`- ",
    bar="=",
    rule="-",
    more="...",
    times="x",
    sum="sum ",
    event="*",
    link="->",
    outcomes={"returned": "+", "raised": "x", "cancelled": "-", "pending": "?", "": "."},
)


def glyphs(encoding: str) -> Glyphs:
    """The signs that this encoding can write."""
    return UNICODE if encoding.lower().replace("_", "-").startswith("utf") else ASCII


def neutral(text: str, *, limit: int = MAX_TEXT) -> str:
    """The text in one line, with everything that a terminal could take for a command made visible."""
    shown = "".join(char if char.isprintable() or char in _KEPT else _visible(char) for char in text[:limit])
    return shown + "…" if len(text) > limit else shown


def value(attribute: AttributeValue, *, limit: int = MAX_TEXT) -> str:
    """An attribute's value in one harmless line."""
    if isinstance(attribute, str):
        return neutral(attribute, limit=limit)
    if isinstance(attribute, float):
        return f"{attribute:.6g}"
    return neutral(str(attribute), limit=limit)


def _visible(char: str) -> str:
    if char in "\n\r\t":
        return " "
    if unicodedata.category(char) in _HIDDEN:
        return char.encode("unicode_escape", "backslashreplace").decode()
    return char


def duration(ns: float) -> str:
    """A time span, with three digits that count: `12.3 µs`, `1.20 s`, `3 min 20 s`."""
    if abs(ns) < 999.5:
        return f"{ns:.0f} ns"
    for unit, size, end in (("µs", 1e3, 999.5), ("ms", 1e6, 999.5), ("s", 1e9, 119.5)):
        if abs(ns / size) < end:
            return f"{_three_digits(ns / size)} {unit}"
    minutes, seconds = divmod(round(ns / 1e9), 60)
    if minutes < 120:
        return f"{minutes} min {seconds} s"
    return f"{minutes // 60} h {minutes % 60} min"


def time_of_day(ns: int) -> str:
    """The local time to the millisecond; dashes where the sender gave none."""
    if not ns:
        return "--:--:--.---"
    return datetime.fromtimestamp(ns / 1e9, UTC).astimezone().strftime("%H:%M:%S.%f")[:-3]


def count(number: int, noun: str) -> str:
    """A number with its noun: `1 span`, `1,024 spans`."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def quantity(number: float, unit: str) -> str:
    """A measured value in its unit, as UCUM writes units in OpenTelemetry."""
    if not abs(number) < _BEYOND_ALL_REASON:  # nor is it if it is not a number
        return f"{number:.4g} {neutral(unit, limit=10)}".rstrip()
    if unit in _NANOSECONDS:
        return duration(number * _NANOSECONDS[unit])
    if unit == "By":
        return _bytes(number)
    shown = (
        f"{number:,}"
        if isinstance(number, int)
        else f"{number:,.0f}"
        if number.is_integer()
        else f"{number:.4g}"
    )
    return shown if unit in {"", "1"} or unit.startswith("{") else f"{shown} {neutral(unit, limit=10)}"


def _bytes(number: float) -> str:
    for unit in ("B", "KiB", "MiB", "GiB"):
        if abs(number) < 1024:
            return f"{number:.0f} B" if unit == "B" else f"{_three_digits(number)} {unit}"
        number /= 1024
    return f"{_three_digits(number)} TiB"


def _three_digits(amount: float) -> str:
    return f"{amount:.{2 if abs(amount) < 9.995 else 1 if abs(amount) < 99.95 else 0}f}"


_BEYOND_ALL_REASON = 1e18
_NANOSECONDS = {"s": 1e9, "ms": 1e6, "us": 1e3, "ns": 1.0, "min": 6e10, "h": 3.6e12}
