"""Each way to fail is told once, with its source; asyncio's handler gets what it got without us."""

from __future__ import annotations

import asyncio
import gc
import re
import sys
from typing import Any

import pytest

from aiotel._hooks.sources import said

from ..conftest import Loops, Telemetry
from . import failing
from .failing import NOT_ON_UVLOOP, UVLOOP_SAYS, WAYS

# Neither loop closes the socket of a connection whose protocol could not be made.
pytestmark = pytest.mark.filterwarnings(
    "ignore::pytest.PytestUnraisableExceptionWarning", "ignore:unclosed:ResourceWarning"
)


def run(loops: Loops, way: str) -> list[tuple[str, list[str], str]]:
    """Fail that way on a loop; what its handler got."""
    heard: list[tuple[str, list[str], str]] = []

    def handle(loop: Any, context: dict[str, Any]) -> None:
        message = re.sub(r"0x[0-9a-f]+|(?:fd|pid)=\d+", "…", str(context.get("message")))
        heard.append((message, sorted(context), type(context.get("exception")).__name__))

    async def main() -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(handle)
        await WAYS[way][0](loop)
        await failing.settle()

    loops.run(main())
    failing._left.clear()
    gc.collect()
    return heard


@pytest.fixture(params=list(WAYS))
def way(request: pytest.FixtureRequest, loops: Loops) -> str:
    name: str = request.param
    if loops.name == "uvloop" and name in NOT_ON_UVLOOP:
        pytest.skip("cannot be had on uvloop")
    if loops.eager and name == "run_coroutine_threadsafe" and sys.version_info < (3, 14):
        pytest.skip(
            "a frame of asyncio's own still holds the future: it is not certain that nobody will look"
        )
    return name


def test_each_way_to_fail_is_told_once_with_its_source(loops: Loops, telemetry: Telemetry, way: str) -> None:
    _, source, words = WAYS[way]
    telemetry.start()
    run(loops, way)

    if loops.name == "uvloop":
        words = UVLOOP_SAYS.get(way, words)
    [log] = telemetry.logs
    counted = {
        point.attributes["asyncio.exception.source"]: point.value
        for point in telemetry.metrics()["asyncio.exceptions"]
        if point.value
    }
    assert (source, words) == (log.attributes["asyncio.exception.source"], log.body)
    assert counted == {source: 1}


def test_a_loops_handler_gets_what_it_got_without_us(loops: Loops, telemetry: Telemetry, way: str) -> None:
    without = run(loops, way)
    telemetry.start()

    assert run(loops, way) == without


@pytest.mark.parametrize(
    ("message", "words"),
    [
        ("Error while closing connector", "Error while closing connector"),
        ("Job 4711 of 'bob' failed", "Job"),
        ("user=bob", "user"),
        ("can't reach <Peer at 0x7f00>", "can't reach"),
        ("<Peer at 0x7f00> has gone", "Unhandled exception in event loop"),
        ("x" * 200, "x" * 100),
        ("", "Unhandled exception in event loop"),
        (4711, "Unhandled exception in event loop"),
        (
            "Task <Task 'x'> has errored out but its parent task <Task 'y'> is already completed",
            "Task has errored out but its parent task is already completed",
        ),
    ],
)
def test_what_is_kept_of_a_message_has_no_values_in_it(message: object, words: str) -> None:
    assert said({"message": message})[0] == words
