from __future__ import annotations

from aiotel._receiver.received import ReceivedMetricPoint
from aiotel._receiver.series import SeriesBook


def counter(value: int, temporality: str = "CUMULATIVE", **attributes: str) -> ReceivedMetricPoint:
    return ReceivedMetricPoint(
        name="orders", kind="sum", temporality=temporality, value=value, attributes=attributes, start_ns=value
    )


def histogram(counts: tuple[int, ...], *, least: float, temporality: str = "DELTA") -> ReceivedMetricPoint:
    return ReceivedMetricPoint(
        name="wait",
        kind="histogram",
        temporality=temporality,
        count=sum(counts),
        sum=float(sum(counts)),
        min=least,
        max=least + 1,
        bounds=(1.0,),
        bucket_counts=counts,
    )


def test_of_totals_the_last_one_counts() -> None:
    book = SeriesBook()

    book.add([counter(3), counter(5)])

    assert [5] == [point.value for point in book.latest()]


def test_differences_are_added_up() -> None:
    book = SeriesBook()

    book.add([counter(3, "DELTA"), counter(5, "DELTA")])

    assert [(8, 3)] == [(point.value, point.start_ns) for point in book.latest()]


def test_differences_of_histograms_are_added_up_bucket_by_bucket() -> None:
    book = SeriesBook()

    book.add([histogram((1, 2), least=0.5), histogram((3, 4), least=0.2)])

    (point,) = book.latest()
    assert (10, 10.0, (4, 6), 0.2, 1.5) == (point.count, point.sum, point.bucket_counts, point.min, point.max)


def test_buckets_with_other_bounds_replace_the_earlier_ones() -> None:
    book = SeriesBook()
    other = ReceivedMetricPoint(
        name="wait",
        kind="histogram",
        temporality="DELTA",
        count=1,
        sum=9.0,
        bounds=(2.0,),
        bucket_counts=(0, 1),
    )

    book.add([histogram((1, 2), least=0.5), other])

    (point,) = book.latest()
    assert (4, 12.0, (0, 1)) == (point.count, point.sum, point.bucket_counts)


def test_series_differ_by_attributes_scope_and_resource() -> None:
    book = SeriesBook()

    book.add([counter(1, kind="book"), counter(2, kind="toy"), counter(3)])

    assert [1, 2, 3] == [point.value for point in book.latest()]


def test_only_what_has_changed_is_told_and_only_once() -> None:
    book = SeriesBook()
    book.add([counter(1, kind="book"), counter(2, kind="toy")])

    first = book.changes()
    book.add([counter(1, kind="book"), counter(7, kind="toy")])
    second = book.changes()

    assert [[1, 2], [7], []] == [
        [point.value for point in points] for points in (first, second, book.changes())
    ]


def test_the_series_not_seen_for_longest_go_first() -> None:
    book = SeriesBook(max_series=2)

    book.add([counter(1, kind="a"), counter(2, kind="b"), counter(3, kind="a"), counter(4, kind="c")])

    assert [3, 4] == [point.value for point in book.latest()]
    assert [3, 4] == [point.value for point in book.changes()]
