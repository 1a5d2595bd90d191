"""Show metrics as a compact table: totals, and of distributions their mean and quantiles."""

from __future__ import annotations

import math
from itertools import groupby
from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from ..._signals import names
from .. import buckets
from . import text as words
from .traces import SERVICE_NAME

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rich.console import OverflowMethod

    from ..received import AttributeValue, ReceivedMetricPoint
    from .text import Glyphs

MAX_ROWS = 12  # of one metric

_WIDE = 100
_WIDEST = 120  # beyond, the eye loses the row
_INDENT = "  "
_NUMBERS_WIDTH = 40  # about
# Not zero: somebody should look.
_ALARMS = {names.EXCEPTIONS, names.DROPPED}


def table(points: Sequence[ReceivedMetricPoint], *, width: int, glyphs: Glyphs = words.UNICODE) -> Table:
    """A table of series, one row each; of a metric those that count most, the others folded."""
    overflow: OverflowMethod = "ellipsis" if glyphs is words.UNICODE else "crop"
    wide = width >= _WIDE
    table = Table(
        box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim", width=min(width, _WIDEST)
    )
    table.add_column("metric", ratio=1, no_wrap=True, overflow=overflow)
    for heading in ["value", "mean", "p50", "p99", *(["max"] if wide else [])]:
        table.add_column(heading, justify="right", no_wrap=True)
    by_service = len({_service(point) for point in points}) > 1
    for name, same in groupby(sorted(points, key=lambda point: point.name), key=lambda point: point.name):
        for label, numbers in _rows(
            name, list(same), glyphs, by_service=by_service, room=width - _NUMBERS_WIDTH
        ):
            table.add_row(label, *(numbers if wide else numbers[:4]))
    return table


def _rows(
    name: str, points: list[ReceivedMetricPoint], glyphs: Glyphs, *, by_service: bool, room: int
) -> Iterator[tuple[Text, list[str]]]:
    told = sorted((point for point in points if _weight(point)), key=_weight, reverse=True)
    zero = len(points) - len(told)
    title = Text(words.neutral(name, limit=200), "bold red" if name in _ALARMS and told else "bold")
    if not told:
        yield title, ["0"]
        return
    label = _label(told[0], by_service=by_service)
    if len(points) == 1 and title.cell_len + len(label) < room:
        yield title.append(f"  {label}", "not bold"), _numbers(told[0])
        return
    yield title, []
    for point in told[:MAX_ROWS]:
        yield Text(_INDENT + (_label(point, by_service=by_service) or "(no attributes)")), _numbers(point)
    others = [f"{len(told) - MAX_ROWS:,} others"] if len(told) > MAX_ROWS else []
    others += [f"{zero:,} at zero"] if zero else []
    if others:
        yield Text(f"{_INDENT}{glyphs.more} {', '.join(others)}", "dim"), []


def _weight(point: ReceivedMetricPoint) -> float:
    """How much a series counts beside the others of its metric; nothing if nothing was measured."""
    if point.value is None:
        return float(point.count)
    return abs(point.value) if math.isfinite(point.value) else 1.0


def _numbers(point: ReceivedMetricPoint) -> list[str]:
    if point.kind in {"gauge", "sum"}:
        return ["" if point.value is None else words.quantity(point.value, point.unit)]
    shown = [None if point.sum is None else point.sum / point.count, *_quantiles(point), point.max]
    return [
        f"n={point.count:,}",
        *("" if each is None else words.quantity(each, point.unit) for each in shown),
    ]


def _quantiles(point: ReceivedMetricPoint) -> list[float | None]:
    if point.kind == "summary":
        known = dict(point.quantiles)
        return [known.get(0.5), known.get(0.99)]
    return [
        buckets.quantile(
            wanted, bounds=point.bounds, counts=point.bucket_counts, least=point.min, greatest=point.max
        )
        for wanted in (0.5, 0.99)
    ]


def _label(point: ReceivedMetricPoint, *, by_service: bool) -> str:
    """The attributes in short: texts speak for themselves, before others stands the end of their key."""
    service = [_service(point)] if by_service else []
    return "  ".join([*service, *(_attribute(*item) for item in sorted(point.attributes.items()))])


def _service(point: ReceivedMetricPoint) -> str:
    return words.value(point.resource.get(SERVICE_NAME, ""), limit=40)


def _attribute(key: str, value: AttributeValue) -> str:
    shown = words.value(value, limit=100)
    if isinstance(value, str) and not shown[:1].isdigit() and shown:
        return shown
    return f"{words.neutral(key.rpartition('.')[2], limit=40)}={shown}"
