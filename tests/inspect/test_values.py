"""Values differ where that is certain without asking them."""

from __future__ import annotations

import enum
import math
from typing import Any

import pytest

from aiotel._inspect.values import differ


class Plain:
    pass


class Loud:
    def __eq__(self, other: object) -> bool:
        raise AssertionError

    __hash__ = None  # type: ignore[assignment]  # as it has an __eq__


class Colour(enum.Enum):
    RED = 1
    BLUE = 2


loud = Loud()
DIFFERENT: list[tuple[Any, Any]] = [
    (1, 2),
    ("a", "b"),
    (None, 1),
    (None, Loud()),
    ([1], [1, 2]),
    ([1, 2], [1, 3]),
    ({"a": 1}, {"b": 1}),
    ({"a": [1]}, {"a": [2]}),
    ({1}, {2}),
    (Plain(), Plain()),
    (Colour.RED, Colour.BLUE),
    ((1, loud), (2, loud)),
]
SAME: list[tuple[Any, Any]] = [
    (1, True),
    (1, 1.0),
    (math.nan, float("nan")),
    ([1], [1]),
    ({"a": 1}, {"a": 1}),
    ({1}, {1}),
    (loud, loud),
]
UNKNOWN: list[tuple[Any, Any]] = [
    (Loud(), Loud()),
    ([Loud()], [Loud()]),
    ({"a": Loud()}, {"a": Loud()}),
    ([[[[1]]]], [[[[2]]]]),
    (Loud(), 1),
]


@pytest.mark.parametrize("pair", DIFFERENT, ids=str)
def test_different_values_differ(pair: tuple[Any, Any]) -> None:
    assert differ(*pair)
    assert differ(*reversed(pair))


@pytest.mark.parametrize("pair", [*SAME, *UNKNOWN], ids=str)
def test_equal_values_do_not_nor_those_that_would_have_to_be_asked(pair: tuple[Any, Any]) -> None:
    assert not differ(*pair)
    assert not differ(*reversed(pair))
