from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

import aiotel
from aiotel.errors import ConfigError

from ..conftest import Loops, Telemetry

LOOK_S = 0.05
PATIENCE_S = 20.0


async def _until(enough: Any) -> None:
    until = time.monotonic() + PATIENCE_S
    while not enough(aiotel.instrument()._looks) and time.monotonic() < until:  # noqa: ASYNC110  # the pump's
        await asyncio.sleep(0.01)


async def _waits_for_a_future() -> None:
    await asyncio.get_running_loop().create_future()


async def _gets() -> None:
    await asyncio.Queue[int]().get()


def _run(loops: Loops, telemetry: Telemetry, enough: Any, **settings: Any) -> list[Any]:
    telemetry.start(look_interval=LOOK_S, **settings)

    async def main() -> None:
        tasks = [asyncio.create_task(_waits_for_a_future()), asyncio.create_task(_gets())]
        await _until(enough)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    loops.run(main())
    return [log for log in telemetry.logs if log.event_name == "asyncio.task.hung"]


@pytest.mark.slow
def test_a_task_that_waits_too_long_is_told_once(loops: Loops, telemetry: Telemetry) -> None:
    logs = _run(loops, telemetry, lambda looks: looks.rounds >= 10, hung_after=0.2)

    assert [f"{__name__}._waits_for_a_future"] == [log.attributes["code.function.name"] for log in logs]
    assert ["future"] == [log.attributes["asyncio.task.waiting.for"] for log in logs]
    events = {span.name.split(".")[-1]: [event.name for event in span.events] for span in telemetry.spans}
    assert events["_waits_for_a_future"] == ["asyncio.task.hung"]


@pytest.mark.slow
def test_a_pattern_names_what_waits_by_design_too(loops: Loops, telemetry: Telemetry) -> None:
    limits = ((f"{__name__}._gets", 0.1),)

    logs = _run(loops, telemetry, lambda looks: looks.active()["hung"] == 1, hung_after=limits)

    assert [f"{__name__}._gets"] == [log.attributes["code.function.name"] for log in logs]
    assert ["queue"] == [log.attributes["asyncio.task.waiting.for"] for log in logs]


@pytest.mark.slow
def test_without_a_limit_nothing_is_told(loops: Loops, telemetry: Telemetry) -> None:
    assert [] == _run(loops, telemetry, lambda looks: looks.rounds >= 6)


def test_limits_are_read_from_text() -> None:
    config = aiotel.Config.from_env({"AIOTEL_HUNG_AFTER": "app.sync.*=60, *=600"})

    assert (("app.sync.*", 60.0), ("*", 600.0)) == config.hung_after
    assert aiotel.Config.from_env({"AIOTEL_HUNG_AFTER": "30"}).hung_after == 30.0


@pytest.mark.parametrize("text", ["soon", "=60", "app.*=soon", "app.*=-1"])
def test_limits_that_cannot_be_used_are_refused(text: str) -> None:
    with pytest.raises(ConfigError):
        aiotel.Config.from_env({"AIOTEL_HUNG_AFTER": text})
