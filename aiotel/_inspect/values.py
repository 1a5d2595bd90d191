"""Tell whether two values differ, without calling anything of the program's."""

from __future__ import annotations

import datetime as dt
import decimal
import enum
from typing import Final

__all__ = ["SIMPLE", "differ"]

SIMPLE: Final = frozenset(
    {bool, bytes, complex, float, int, str, type(None)}
    | {dt.date, dt.datetime, dt.timedelta, decimal.Decimal}
)
"""Holds nothing of the program's, and compares by itself."""
DEPTH: Final = 3
BREADTH: Final = 100


def differ(one: object, other: object, depth: int = DEPTH) -> bool:  # noqa: PLR0911  # one for each kind
    """Whether they differ for certain; False where that cannot be told."""
    if one is other:
        return False
    kind = type(one)
    if kind in SIMPLE and type(other) in SIMPLE:
        return one != other and not (one != one and other != other)  # noqa: PLR0124  # not a number
    if one is None or other is None:
        return True
    if kind is not type(other):
        return False
    if kind is list or kind is tuple:
        return depth > 0 and _items_differ(list(one), list(other), depth)  # type: ignore[call-overload]  # they are
    if kind is dict:
        return depth > 0 and _dicts_differ(dict(one), dict(other), depth)  # type: ignore[call-overload]  # they are
    if kind is set or kind is frozenset:
        return _sets_differ(set(one), set(other))  # type: ignore[call-overload]  # they are
    return isinstance(one, enum.Enum) or kind.__eq__ is object.__eq__


def _items_differ(one: list[object], other: list[object], depth: int) -> bool:
    if len(one) != len(other):
        return True
    return any(differ(a, b, depth - 1) for a, b in zip(one[:BREADTH], other[:BREADTH], strict=False))


def _dicts_differ(one: dict[object, object], other: dict[object, object], depth: int) -> bool:
    if len(one) != len(other):
        return True
    if len(one) > BREADTH or not all(type(key) in SIMPLE for key in (*one, *other)):
        return False
    return one.keys() != other.keys() or any(differ(one[key], other[key], depth - 1) for key in one)


def _sets_differ(one: set[object], other: set[object]) -> bool:
    if len(one) != len(other):
        return True
    return len(one) <= BREADTH and all(type(each) in SIMPLE for each in (*one, *other)) and one != other
