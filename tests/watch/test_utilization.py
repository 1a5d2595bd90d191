"""What loops are said to do with their time agrees with what the program measures itself."""

from __future__ import annotations

import asyncio
import random
import time
from typing import Any

import pytest

from ..conftest import Telemetry

POINTS = 0.02
ATTEMPTS = 3
"""Somebody else may use the machine between what is measured and what is told."""


class Work:
    """A program that is busy for a share of the time that it has measured."""

    def __init__(self) -> None:
        self.busy_ns = self.lasted_ns = 0

    async def main(self, share: float) -> None:
        began_ns = time.perf_counter_ns()
        left = random.Random(share)
        while time.perf_counter_ns() - began_ns < 1_000_000_000:
            round_ns = left.randrange(5_000_000, 20_000_000)
            self._compute(int(round_ns * share))
            await asyncio.sleep(round_ns * (1 - share) / 1e9)
        self.lasted_ns = time.perf_counter_ns() - began_ns

    def _compute(self, for_ns: int) -> None:
        began_ns = now_ns = time.perf_counter_ns()
        while now_ns - began_ns < for_ns:
            now_ns = time.perf_counter_ns()
        self.busy_ns += now_ns - began_ns

    @property
    def share(self) -> float:
        return self.busy_ns / self.lasted_ns


def value_of(points: dict[str, list[Any]], name: str, **attributes: str) -> float:
    """Of a counter or a gauge."""
    [value] = [
        point.value
        for point in points[name]
        if dict(point.attributes) == {f"asyncio.eventloop.{key}": value for key, value in attributes.items()}
    ]
    return float(value)


@pytest.mark.slow
@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9])
def test_active_time_is_the_measured_busy_share(share: float, telemetry: Telemetry) -> None:
    telemetry.start()
    before = [0.0, 0.0]
    found: list[tuple[float, float]] = []
    for _ in range(ATTEMPTS):
        work = Work()

        asyncio.run(work.main(share))

        points = telemetry.metrics()
        now = [value_of(points, "asyncio.eventloop.time", state=state) for state in ("active", "idle")]
        active, idle = (after - then for after, then in zip(now, before, strict=True))
        assert active + idle == pytest.approx(work.lasted_ns / 1e9, rel=2 * POINTS)
        found.append((active / (active + idle), work.share))
        before = now
        if found[-1][0] == pytest.approx(work.share, abs=POINTS):
            return

    raise AssertionError(f"told and measured: {found}")


@pytest.mark.slow
def test_utilization_is_that_of_the_time_since_it_was_asked_last(telemetry: Telemetry) -> None:
    telemetry.start()
    found: list[tuple[float, float]] = []

    async def main() -> None:
        for share in (0.2, 0.8) * ATTEMPTS:
            work = Work()
            await work.main(share)
            points = await asyncio.to_thread(telemetry.metrics)
            found.append((value_of(points, "asyncio.eventloop.utilization"), work.share))
            if len(found) > 1 and all(told == pytest.approx(share, abs=POINTS) for told, share in found[-2:]):
                return

        raise AssertionError(f"told and measured: {found}")

    asyncio.run(main())


@pytest.mark.slow
def test_the_busiest_of_several_loops_counts(telemetry: Telemetry) -> None:
    telemetry.start()
    works = [Work(), Work()]
    found: list[float] = []

    async def main() -> None:
        other = asyncio.to_thread(asyncio.run, works[0].main(0.1))
        await asyncio.gather(other, works[1].main(0.6))
        points = await asyncio.to_thread(telemetry.metrics)
        found.append(value_of(points, "asyncio.eventloop.utilization"))

    asyncio.run(main())

    # The two share one GIL, and so the time that one has to wait for it is the other's.
    assert works[1].share - POINTS <= found[0] <= works[0].share + works[1].share + POINTS


def test_a_loop_is_seen_to_look_at_its_selector(telemetry: Telemetry) -> None:
    async def main() -> None:
        for _ in range(100):
            await asyncio.sleep(0)

    telemetry.start()

    asyncio.run(main())

    assert 100 <= value_of(telemetry.metrics(), "asyncio.eventloop.iterations") <= 130


def test_a_loop_that_does_not_run_is_not_the_busiest(telemetry: Telemetry) -> None:
    telemetry.start()
    loop = asyncio.new_event_loop()
    loop.run_until_complete(asyncio.sleep(0))
    shown = [telemetry.metrics().get("asyncio.eventloop.utilization", []) for _ in range(3)]
    loop.close()

    assert shown == [[], [], []]


def test_the_cpu_time_of_loops_that_live_shortly_is_counted(telemetry: Telemetry) -> None:
    async def main() -> None:
        until_ns = time.thread_time_ns() + 10_000_000
        while time.thread_time_ns() < until_ns:
            pass

    telemetry.start()
    for _ in range(10):
        asyncio.run(main())

    [point] = telemetry.metrics()["asyncio.eventloop.cpu.time"]
    assert 0.1 <= point.value < 1
