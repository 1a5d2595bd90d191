"""The metrics of tasks add up, and have bounded attributes."""

from __future__ import annotations

import asyncio
from typing import Any

from aiotel._signals.series import BOUNDS, Series

from .conftest import Loops, Telemetry


async def leaf() -> None:
    await asyncio.sleep(0)


def _value(telemetry: Telemetry, name: str) -> Any:
    [point] = telemetry.metrics()[name]
    return point.value


def test_started_tasks_are_those_that_ended_and_those_that_live(loops: Loops, telemetry: Telemetry) -> None:
    counts = []

    async def main() -> None:
        waiting = [asyncio.create_task(asyncio.sleep(3600)) for _ in range(3)]
        await asyncio.gather(*[leaf() for _ in range(10)])
        counts.append((_value(telemetry, "asyncio.task.started"), _value(telemetry, "asyncio.task.count")))
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)

    telemetry.start()
    loops.run(main())
    counts.append((_value(telemetry, "asyncio.task.started"), _value(telemetry, "asyncio.task.count")))

    assert counts == [(14, 4), (14, 0)]


def test_durations_are_told_by_function_and_outcome(loops: Loops, telemetry: Telemetry) -> None:
    async def fails() -> None:
        raise ValueError

    async def main() -> None:
        waiting = asyncio.create_task(asyncio.sleep(3600))
        await asyncio.gather(leaf(), leaf(), fails(), return_exceptions=True)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)

    telemetry.start()
    loops.run(main())

    counts = {
        (
            point.attributes["code.function.name"].split(".")[-1],
            point.attributes["asyncio.task.outcome"],
        ): point.count
        for point in telemetry.metrics()["asyncio.task.duration"]
    }
    assert counts == {
        ("leaf", "returned"): 2,
        ("fails", "raised"): 1,
        ("sleep", "cancelled"): 1,
        ("main", "returned"): 1,
    }


def test_functions_beyond_the_limit_are_told_together(telemetry: Telemetry) -> None:
    async def main() -> None:
        for number in range(10):
            names: dict[str, Any] = {"asyncio": asyncio}
            exec(f"async def function{number}(): await asyncio.sleep(0)", names)
            await asyncio.create_task(names[f"function{number}"]())

    telemetry.start(function_limit=4)
    asyncio.run(main())

    points = telemetry.metrics()["asyncio.task.duration"]
    names = {point.attributes["code.function.name"]: point.count for point in points}
    assert len(names) == 5
    assert sum(names.values()) == 11
    assert names["_OTHER"] == 7


def test_what_was_lost_is_counted_from_zero(telemetry: Telemetry) -> None:
    telemetry.start()

    dropped = {
        point.attributes["aiotel.dropped.kind"]: point.value
        for point in telemetry.metrics()["aiotel.dropped"]
    }
    assert set(dropped) == {"records", "failures", "faults"}
    assert dropped["records"] == dropped["failures"] == 0


def test_a_full_mailbox_loses_spans_and_counts_them(telemetry: Telemetry) -> None:
    async def main() -> None:
        await asyncio.gather(*[leaf() for _ in range(500)])

    telemetry.start(mailbox_size=100)
    asyncio.run(main())

    dropped = {
        point.attributes["aiotel.dropped.kind"]: point.value
        for point in telemetry.metrics()["aiotel.dropped"]
    }
    assert dropped["records"] > 0
    assert len(telemetry.spans) + dropped["records"] == 501
    assert _value(telemetry, "asyncio.task.started") == 501


def test_sorting_first_gives_the_same_buckets_as_one_search_each() -> None:
    name = "asyncio.task.duration"
    bounds_ns = [round(bound * 1e9) for bound in BOUNDS[name]]
    values = sorted({value + shift for value in bounds_ns for shift in (-1, 0, 1)})
    one_by_one, at_once = Series(name, {}), Series(name, {})
    for value in values:
        one_by_one.add([value])
    at_once.add(list(values))

    assert at_once.buckets == one_by_one.buckets
    assert sum(at_once.buckets) == len(values)
    assert at_once.buckets[0] == 2  # the bound itself is inside, as OpenTelemetry says


def test_what_alerts_are_made_of_is_there_before_anything_happens(telemetry: Telemetry) -> None:
    telemetry.start()
    points = telemetry.metrics()

    kinds = {point.attributes["asyncio.finding.kind"]: point.value for point in points["asyncio.findings"]}
    assert kinds == dict.fromkeys(
        [
            "destroyed_pending",
            "never_started",
            "not_closed",
            "swallowed",
            "slow_cancellation",
            "starved",
            "hung",
            "deadlock",
            "long_hold",
            "lost_update",
        ],
        0,
    )
    assert [point.value for point in points["asyncio.coroutine.never_awaited"]] == [0]
    assert [point.value for point in points["asyncio.exceptions.handled"]] == [0]
