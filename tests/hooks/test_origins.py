"""Where coroutines are made is noted for a minute once the line of one is not known, and then no more."""

from __future__ import annotations

import asyncio
import sys
import warnings
from collections.abc import Iterator
from typing import Any

import pytest

import aiotel
from aiotel._hooks import origins

from ..conftest import Loops, Telemetry

# mypy: disable-error-code="unused-coroutine"
# ruff: noqa: ASYNC110, F841


async def fetch() -> None:
    """Never awaited here."""


def lose() -> None:
    coro = fetch()


@pytest.fixture(autouse=True)
def _silent() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
    assert sys.get_coroutine_origin_tracking_depth() == 0


def lines(telemetry: Telemetry) -> list[int | None]:
    return [log.attributes.get("code.line.number") for log in telemetry.logs]


LINE = lose.__code__.co_firstlineno + 1


def test_the_second_is_told_with_its_line(loops: Loops, telemetry: Telemetry) -> None:
    async def main() -> int:
        lose()
        lose()
        return sys.get_coroutine_origin_tracking_depth()

    telemetry.start(coroutine_origins=True)
    depth = loops.run(main())

    assert depth == 1
    assert lines(telemetry) == [None, LINE]


def test_it_is_not_done_unless_it_is_asked_for(loops: Loops, telemetry: Telemetry) -> None:
    async def main() -> int:
        lose()
        return sys.get_coroutine_origin_tracking_depth()

    telemetry.start()

    assert loops.run(main()) == 0


def test_it_ends_after_its_minute_on_the_thread_of_the_loop(
    loops: Loops, telemetry: Telemetry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(origins, "LASTS_NS", 1_000_000)

    async def main() -> None:
        lose()
        assert sys.get_coroutine_origin_tracking_depth() == 1
        while sys.get_coroutine_origin_tracking_depth():
            await asyncio.sleep(0.001)

    telemetry.start(coroutine_origins=True)
    loops.run(asyncio.wait_for(main(), 20))


def test_what_somebody_else_has_set_is_left_alone(loops: Loops, telemetry: Telemetry) -> None:
    async def main() -> int:
        sys.set_coroutine_origin_tracking_depth(3)
        try:
            lose()
            return sys.get_coroutine_origin_tracking_depth()
        finally:
            sys.set_coroutine_origin_tracking_depth(0)

    telemetry.start(coroutine_origins=True)
    depth = loops.run(main())

    assert depth == 3
    assert lines(telemetry) == [LINE]


def test_debug_mode_that_begins_meanwhile_leaves_nothing_behind(
    loops: Loops, telemetry: Telemetry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(origins, "LASTS_NS", 1_000_000)

    async def main() -> None:
        loop = asyncio.get_running_loop()
        lose()
        loop.set_debug(True)
        await asyncio.sleep(0.3)
        loop.set_debug(False)
        while sys.get_coroutine_origin_tracking_depth():
            await asyncio.sleep(0.001)

    telemetry.start(coroutine_origins=True)
    loops.run(asyncio.wait_for(main(), 20))


def test_it_ends_when_the_loop_is_closed(loops: Loops, telemetry: Telemetry) -> None:
    async def main() -> None:
        lose()

    telemetry.start(coroutine_origins=True)
    loop = loops.new()
    loop.run_until_complete(main())
    running = sys.get_coroutine_origin_tracking_depth()
    loop.close()

    assert (running, sys.get_coroutine_origin_tracking_depth()) == (1, 0)


def test_it_ends_when_aiotel_does(loops: Loops, telemetry: Telemetry) -> None:
    async def main() -> Any:
        lose()
        aiotel.uninstrument()
        return sys.get_coroutine_origin_tracking_depth()

    telemetry.start(coroutine_origins=True)

    assert loops.run(main()) == 0
