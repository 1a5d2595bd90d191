from __future__ import annotations

import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiotel._receiver import buckets

NOTHING: tuple[int, list[int]] = (0, [])


@pytest.mark.parametrize(
    ("wanted", "expected"), [(0.0, 0.0), (0.25, 0.5), (0.5, 1.0), (0.75, 1.5), (1.0, 2.0)]
)
def test_a_quantile_lies_on_a_straight_line_inside_its_bucket(wanted: float, expected: float) -> None:
    assert expected == buckets.quantile(wanted, bounds=(1.0, 2.0), counts=(2, 2, 0))


def test_a_quantile_over_the_last_bound_goes_to_the_greatest_value() -> None:
    assert 5.0 == buckets.quantile(1.0, bounds=(1.0,), counts=(0, 2), greatest=5.0)
    assert 3.0 == buckets.quantile(0.5, bounds=(1.0,), counts=(0, 2), greatest=5.0)
    assert 1.0 == buckets.quantile(1.0, bounds=(1.0,), counts=(0, 2))


def test_least_and_greatest_narrow_a_bucket() -> None:
    assert 0.5 == buckets.quantile(0.5, bounds=(0.0, 10.0), counts=(0, 4, 0), least=0.4, greatest=0.6)


@pytest.mark.parametrize(("bounds", "counts"), [((), (3,)), ((), ()), ((1.0,), (0, 0))])
def test_without_buckets_or_values_there_is_no_quantile(
    bounds: tuple[float, ...], counts: tuple[int, ...]
) -> None:
    assert buckets.quantile(0.5, bounds=bounds, counts=counts) is None


def test_an_exponential_histogram_has_bounds_at_powers_of_its_base() -> None:
    bounds, counts = buckets.explicit(
        scale=0, zero_count=7, zero_threshold=0.0, positive=(1, [1, 2]), negative=NOTHING
    )

    assert ((2.0, 4.0, 8.0), (7, 1, 2, 0)) == (bounds, counts)


def test_negative_values_come_first_and_mirrored() -> None:
    bounds, counts = buckets.explicit(
        scale=0, zero_count=7, zero_threshold=0.0, positive=(0, [3]), negative=(1, [1, 2])
    )

    assert ((-8.0, -4.0, -2.0, 1.0, 2.0), (0, 2, 1, 7, 3, 0)) == (bounds, counts)


def test_zeros_alone_lie_below_the_threshold() -> None:
    assert ((0.001,), (9, 0)) == buckets.explicit(
        scale=3, zero_count=9, zero_threshold=0.001, positive=NOTHING, negative=(0, [0, 0])
    )


counts = st.tuples(st.integers(-(2**31), 2**31 - 1), st.lists(st.integers(0, 2**64 - 1), max_size=5))


@given(
    scale=st.integers(-(2**31), 2**31 - 1),
    positive=counts,
    negative=counts,
    zeros=st.integers(0, 2**64 - 1),
    wanted=st.floats(0, 1),
)
def test_numbers_nobody_has_vetted_give_a_number_or_nothing(
    scale: int, positive: tuple[int, list[int]], negative: tuple[int, list[int]], zeros: int, wanted: float
) -> None:
    bounds, counts = buckets.explicit(
        scale=scale, zero_count=zeros, zero_threshold=0.0, positive=positive, negative=negative
    )

    assert len(bounds) + 1 == len(counts)
    assert list(bounds) == sorted(bounds)
    value = buckets.quantile(wanted, bounds=bounds, counts=counts)
    assert value is None or not math.isnan(value)


@given(st.lists(st.floats(0.001, 1000), min_size=1, max_size=200), st.floats(0, 1))
def test_an_estimate_is_in_the_bucket_of_the_true_quantile(values: list[float], wanted: float) -> None:
    bounds = [0.01, 0.1, 1.0, 10.0, 100.0]
    edges = [0.0, *bounds, math.inf]
    counts = [sum(low < value <= high for value in values) for low, high in pairwise(edges)]
    true = sorted(values)[max(0, math.ceil(wanted * len(values)) - 1)]

    estimate = buckets.quantile(wanted, bounds=bounds, counts=counts, least=min(values), greatest=max(values))

    assert estimate is not None
    (low, high), *_ = [(low, high) for low, high in pairwise(edges) if low < true <= high]
    assert low <= estimate <= high
    assert min(values) <= estimate <= max(values)
