"""A storm of failures is a few logs and exact numbers, and leaves the memory as it was."""

from __future__ import annotations

import asyncio
import gc
import logging
import random
import sys
from collections import Counter
from typing import Any

import pytest

from aiotel._hooks import retrievals

from ..conftest import Loops, Telemetry

EQUAL = 10_000
RARE = 10


@pytest.fixture(autouse=True)
def _quiet_asyncio(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL, logger="asyncio")


def failing(name: str, message: str) -> Any:
    """A coroutine function that raises an exception type of its own, on a line of its own."""
    code = f"async def {name}():\n    raise {name.title()}({message!r})\n"
    namespace: dict[str, Any] = {name.title(): type(name.title(), (Exception,), {"__module__": "storm"})}
    exec(compile(code, f"/app/{name}.py", "exec"), namespace)
    return namespace[name]


def counted(telemetry: Telemetry) -> dict[str, int]:
    points = telemetry.metrics()["asyncio.exceptions"]
    return {
        point.attributes["error.type"]: point.value for point in points if "error.type" in point.attributes
    }


@pytest.mark.slow
def test_equal_failures_are_one_log_and_a_number_and_do_not_starve_the_others(
    loops: Loops, telemetry: Telemetry
) -> None:
    seed = random.randrange(1 << 32)
    names = ["".join(random.Random(seed + n).choices("abcdefgh", k=12)) for n in range(RARE + 1)]
    common, *rare = (failing(name, "no such order") for name in names)
    storm = [common] * EQUAL + rare
    random.Random(seed).shuffle(storm)

    async def main() -> None:
        for number, function in enumerate(storm):
            asyncio.create_task(function())  # type: ignore[unused-awaitable]  # noqa: RUF006  # nobody looks at it
            if number % 100 == 0:
                await asyncio.sleep(0)
                await asyncio.sleep(0)
        await asyncio.sleep(0.01)
        gc.collect()

    telemetry.start()
    loops.run(main())
    counts = counted(telemetry)
    assert telemetry.session is not None
    telemetry.session.close(timeout=30)
    logs = telemetry.log_exporter.get_finished_logs()
    told: list[dict[str, Any]] = [dict(log.log_record.attributes or {}) for log in logs]
    in_full = [log["exception.type"] for log in told if "asyncio.repeated" not in log]
    numbers = [log["asyncio.repeated"] for log in told if "asyncio.repeated" in log]

    types = [f"storm.{name.title()}" for name in names]
    assert counts == {types[0]: EQUAL} | dict.fromkeys(types[1:], 1), seed
    assert Counter(in_full) == dict.fromkeys(types, 1), seed
    assert sum(numbers) == EQUAL - 1, seed
    assert len(numbers) < 10, seed


@pytest.mark.slow
def test_a_storm_leaves_the_memory_as_it_was(
    loops: Loops, telemetry: Telemetry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Failures that are told, failures that are folded, failures that somebody has looked at."""
    monkeypatch.setattr(retrievals, "PAUSE_NS", 1_000_000)
    monkeypatch.setattr(retrievals, "GRACE_NS", 1_000_000)
    function = failing("stormy", "again")

    async def storm() -> int:
        for _ in range(20):
            tasks = [asyncio.create_task(function()) for _ in range(100)]
            await asyncio.gather(*tasks[:50], return_exceptions=True)
            del tasks
        ledger: Any = vars(asyncio.get_running_loop())["_aiotel_ledger"]
        while ledger.failed or ledger.fresh:
            gc.collect()
            await asyncio.sleep(0.01)
        assert telemetry.session is not None
        assert telemetry.session.flush(timeout=30)
        telemetry.exporter.clear()
        telemetry.log_exporter.clear()
        gc.collect()
        return sys.getallocatedblocks()

    async def main() -> list[int]:
        return [await storm() for _ in range(4)]

    telemetry.start(unretrieved_after=0.01)
    blocks = loops.run(main())

    assert blocks[-1] - blocks[1] < 2000, blocks
