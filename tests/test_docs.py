"""The pages in docs/ say what is there."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

import pytest

from aiotel._signals import names
from aiotel._signals.instruments import _COUNTERS, _GAUGES, _LEVELS
from aiotel._signals.series import BOUNDS
from aiotel.observations import Cause

DOCS = Path(__file__).parents[1] / "docs"
KNOWN = {value for value in vars(names).values() if isinstance(value, str)}


def pages() -> list[Path]:
    return sorted(DOCS.glob("*.md"))


def test_there_are_pages() -> None:
    assert pages()


@pytest.mark.parametrize("page", pages(), ids=lambda page: page.stem)
def test_every_name_in_a_page_is_one_that_is_emitted(page: Path) -> None:
    said = set(re.findall(r"`((?:asyncio|code|aiotel)\.[a-z_.]+)`", page.read_text()))
    calls = {"aiotel.run", "asyncio.sleep", "asyncio.to_thread"}

    assert said - calls <= KNOWN


def test_every_cause_of_a_stall_is_explained() -> None:
    rows = re.findall(r"^\| `(\w+)` \|", (DOCS / "loop-health.md").read_text(), re.MULTILINE)

    assert rows == list(get_args(Cause))


def test_every_metric_has_its_row_and_its_kind() -> None:
    rows = re.findall(r"^\| `([\w.]+)` \| ([\w -]+) \|", (DOCS / "metrics.md").read_text(), re.MULTILINE)

    assert dict(rows) == {
        **dict.fromkeys(_LEVELS, "up-down counter"),
        **dict.fromkeys(_GAUGES, "gauge"),
        **dict.fromkeys(_COUNTERS, "counter"),
        **dict.fromkeys(BOUNDS, "histogram"),
    }
