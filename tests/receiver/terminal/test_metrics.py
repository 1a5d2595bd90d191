from __future__ import annotations

from typing import TYPE_CHECKING

from aiotel._receiver.received import ReceivedMetricPoint

if TYPE_CHECKING:
    from .conftest import Shown


def counter(name: str, value: float | None, unit: str = "", **attributes: str | int) -> ReceivedMetricPoint:
    return ReceivedMetricPoint(
        name=name,
        kind="sum",
        monotonic=True,
        temporality="CUMULATIVE",
        value=value,
        unit=unit,
        attributes=attributes,
    )


def histogram(**attributes: str) -> ReceivedMetricPoint:
    return ReceivedMetricPoint(
        name="asyncio.task.duration",
        kind="histogram",
        temporality="CUMULATIVE",
        unit="s",
        count=100,
        sum=1.5,
        min=0.001,
        max=0.1,
        bounds=(0.01, 0.02, 0.05),
        bucket_counts=(50, 40, 8, 2),
        attributes=attributes,
    )


def test_metrics_are_a_compact_table(shown: Shown) -> None:
    points = [
        counter("asyncio.task.started", 1412, "{task}"),
        histogram(function="Checkout.pay", outcome="returned"),
        counter("asyncio.exceptions", 3, source="task"),
        counter("asyncio.exceptions", 0, source="main"),
        counter("asyncio.exceptions", 0, source="callback"),
        ReceivedMetricPoint(name="process.memory", kind="gauge", unit="By", value=123_456_789),
    ]

    assert [
        "metric                                          value     mean      p50      p99",
        "asyncio.exceptions",
        "  task                                              3",
        "  … 2 at zero",
        "asyncio.task.duration",
        "  Checkout.pay  returned                        n=100  15.0 ms  10.0 ms  75.0 ms",
        "asyncio.task.started                            1,412",
        "process.memory                                118 MiB",
        "",
    ] == shown(lambda screen: screen.show_metrics(points))


def test_a_wide_screen_has_room_for_the_greatest_value(shown: Shown) -> None:
    lines = shown(lambda screen: screen.show_metrics([histogram()]), width=120)

    assert ["n=100", "15.0", "ms", "10.0", "ms", "75.0", "ms", "100", "ms"] == lines[1].split()[1:]


def test_a_metric_that_is_zero_everywhere_is_one_line(shown: Shown) -> None:
    points = [counter("aiotel.dropped", 0, kind="spans"), counter("aiotel.dropped", 0, kind="logs")]

    assert [["aiotel.dropped", "0"]] == [
        line.split() for line in shown(lambda screen: screen.show_metrics(points))[1:-1]
    ]


def test_of_many_series_those_that_count_most_are_shown(shown: Shown) -> None:
    points = [counter("orders", number, shop=f"shop {number}") for number in range(1, 21)]

    lines = shown(lambda screen: screen.show_metrics(points))

    assert ["shop", "20", "20"] == lines[2].split()
    assert "  … 8 others" == lines[-2]


def test_the_last_point_of_a_series_is_shown(shown: Shown) -> None:
    lines = shown(lambda screen: screen.show_metrics([counter("orders", 1), counter("orders", 2)]))

    assert ["orders", "2"] == lines[1].split()


def test_attributes_that_are_no_words_keep_their_key(shown: Shown) -> None:
    lines = shown(lambda screen: screen.show_metrics([counter("requests", 5, status_code=200, route="/pay")]))

    assert "requests  /pay  status_code=200" in lines[1]


def test_several_services_are_told_apart(shown: Shown) -> None:
    points = [
        ReceivedMetricPoint(name="orders", kind="gauge", value=value, resource={"service.name": name})
        for name, value in (("shop", 2), ("mall", 1))
    ]

    lines = shown(lambda screen: screen.show_metrics(points))

    assert [["shop", "2"], ["mall", "1"]] == [line.split() for line in lines[2:4]]


def test_a_summary_shows_the_quantiles_that_it_has(shown: Shown) -> None:
    point = ReceivedMetricPoint(
        name="wait", kind="summary", unit="s", count=4, sum=2.0, quantiles=((0.5, 0.25), (0.9, 1.0))
    )

    assert ["wait", "n=4", "500", "ms", "250", "ms"] == shown(lambda screen: screen.show_metrics([point]))[
        1
    ].split()


def test_strange_values_and_names_do_no_harm(shown: Shown) -> None:
    evil = "\x1b[2J[red]"
    points = [
        counter(evil, float("nan"), evil, **{evil: evil}),
        counter("none", None),
        counter("inf", float("inf")),
        ReceivedMetricPoint(name="empty", kind="histogram"),
        ReceivedMetricPoint(name="no buckets", kind="histogram", count=3),
    ]

    text = "\n".join(shown(lambda screen: screen.show_metrics(points)))

    assert "\x1b" not in text
    assert "no buckets" in text


def test_nothing_is_shown_of_nothing(shown: Shown) -> None:
    assert [] == shown(lambda screen: screen.show_metrics([]))
