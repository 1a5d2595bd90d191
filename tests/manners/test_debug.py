"""What asyncio's debug mode says of slow callbacks is what it says without aiotel."""

from __future__ import annotations

import asyncio
import logging
import re
import time
from typing import Any

import pytest

from ..conftest import Loops, Telemetry

pytestmark = pytest.mark.slow

THRESHOLD = 0.03


def said_of(loops: Loops, caplog: pytest.LogCaptureFixture) -> list[str]:
    """What is logged of a program with a slow task, a slow callback and none other."""

    async def slow() -> None:
        await asyncio.sleep(0)
        time.sleep(2 * THRESHOLD)  # noqa: ASYNC251  # the point of it

    def callback(argument: int) -> None:
        time.sleep(2 * THRESHOLD)

    async def main() -> tuple[bool, float]:
        loop = asyncio.get_running_loop()
        loop.slow_callback_duration = THRESHOLD
        loop.call_soon(callback, 1)
        await asyncio.create_task(slow(), name="slow")
        return loop.get_debug(), loop.slow_callback_duration

    caplog.clear()
    with caplog.at_level(logging.WARNING, logger="asyncio"):
        assert loops.run(main(), debug=True) == (True, THRESHOLD)
    return [readable(record.getMessage()) for record in caplog.records if record.name == "asyncio"]


def readable(message: str) -> str:
    """Without what differs from run to run, and without our done callback, which a task's repr shows."""
    message = re.sub(r"took \d+\.\d+ seconds", "took a while", message)
    message = re.sub(r"0x[0-9a-f]+", "0x", message)
    message = re.sub(r"aiotel\(\)( at [^,\]]+)?(, )?", "", message)
    return re.sub(r"(, |)cb=\[\]", "", message).replace(", ]", "]")


@pytest.mark.parametrize("settings", [{}, {"blocking_calls": True}], ids=["defaults", "blocking_calls"])
def test_the_same_slow_callbacks_are_logged(
    loops: Loops, telemetry: Telemetry, caplog: pytest.LogCaptureFixture, settings: Any
) -> None:
    without = said_of(loops, caplog)
    telemetry.start(**settings)

    assert said_of(loops, caplog) == without
    assert [re.sub(r"<.*>", "<...>", message) for message in without] == ["Executing <...> took a while"] * 2
