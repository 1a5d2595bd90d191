"""What the buckets of a histogram say: their bounds, and quantiles estimated from them."""

from __future__ import annotations

import math
from itertools import accumulate
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


def explicit(
    *,
    scale: int,
    zero_count: int,
    zero_threshold: float,
    positive: tuple[int, Sequence[int]],
    negative: tuple[int, Sequence[int]],
) -> tuple[tuple[float, ...], tuple[int, ...]]:
    """The bounds and counts of an exponential histogram in the form of an explicit one.

    `positive` and `negative` are pairs of offset and counts, as OTLP sends them.
    """
    # A side on which nothing was measured may still come with empty buckets.
    above, below = [list(counts) if any(counts) else [] for _, counts in (positive, negative)]
    bounds: list[float] = []
    counts: list[int] = []
    if below:
        bounds += [-_power(scale, negative[0] + i) for i in range(len(below), -1, -1)]
        counts += [0, *reversed(below)]
    counts += [zero_count, *above, 0]
    if above:
        bounds += [_power(scale, positive[0] + i) for i in range(len(above) + 1)]
    else:
        bounds.append(zero_threshold)
    return tuple(bounds), tuple(counts)


def quantile(
    wanted: float,
    *,
    bounds: Sequence[float],
    counts: Sequence[int],
    least: float | None = None,
    greatest: float | None = None,
) -> float | None:
    """The value below which that share lies, by a straight line inside its bucket; None if unknown."""
    total = sum(counts)
    if not bounds or not total:
        return None
    rank = wanted * total
    reached = list(accumulate(counts))
    index = next((i for i, sofar in enumerate(reached) if sofar >= rank and counts[i]), len(counts) - 1)
    low, high = _edges(index, bounds, least, greatest)
    if not math.isfinite(low) or not math.isfinite(high):
        return low if math.isfinite(low) else high if math.isfinite(high) else None
    share = (rank - (reached[index] - counts[index])) / counts[index] if counts[index] else 1.0
    return min(high, low + (high - low) * min(max(share, 0.0), 1.0))


def _edges(
    index: int, bounds: Sequence[float], least: float | None, greatest: float | None
) -> tuple[float, float]:
    """The bucket's two ends; an open end is closed by the least or greatest value, which also tighten it."""
    low = bounds[index - 1] if index else min(0.0, bounds[0])
    high = bounds[index] if index < len(bounds) else max(bounds[-1], greatest or bounds[-1])
    if least is not None:
        low = max(low, least) if index else least
    if greatest is not None:
        high = min(high, greatest)
    return min(low, high), high


def _power(scale: int, index: int) -> float:
    """The bound with that index: 2 to the power of `index * 2 ** -scale`, from numbers nobody has vetted."""
    try:
        return float(2.0 ** (index * 2.0**-scale))
    except OverflowError:
        return math.inf if index > 0 else 0.0
