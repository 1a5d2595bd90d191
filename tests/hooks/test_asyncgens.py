"""An async generator that is open when its loop is closed is told; those that were closed are not."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any

import pytest

from ..conftest import Loops, Telemetry


async def pages() -> AsyncGenerator[int, None]:
    try:
        yield 1
        yield 2
    finally:
        await asyncio.sleep(0)


async def first(generator: AsyncIterator[int]) -> int:
    return await anext(generator)


def told(telemetry: Telemetry) -> list[tuple[str, str]]:
    return [(log.event_name, log.severity_text) for log in telemetry.logs]


def test_one_that_is_open_is_told_with_the_line_it_waits_at(loops: Loops, telemetry: Telemetry) -> None:
    telemetry.start()
    loop = loops.new()
    generator = pages()
    loop.run_until_complete(first(generator))
    loop.close()
    [log] = telemetry.logs
    findings = {
        point.attributes["asyncio.finding.kind"]: point.value
        for point in telemetry.metrics()["asyncio.findings"]
        if point.value
    }

    assert told(telemetry) == [("asyncio.asyncgen.not_closed", "WARN")]
    assert dict(log.attributes) == {
        "code.function.name": f"{__name__}.pages",
        "code.file.path": __file__,
        "code.line.number": pages.__code__.co_firstlineno + 2,
    }
    assert findings == {"not_closed": 1}


async def _closes(generator: AsyncGenerator[int, None]) -> None:
    await anext(generator)
    await generator.aclose()


async def _exhausts(generator: AsyncGenerator[int, None]) -> None:
    async for _ in generator:
        pass


async def _never_begins(generator: AsyncGenerator[int, None]) -> None:
    """Nothing of it has run."""


async def _shuts_down(generator: AsyncGenerator[int, None]) -> None:
    await anext(generator)
    await asyncio.get_running_loop().shutdown_asyncgens()


@pytest.mark.parametrize("use", [_closes, _exhausts, _never_begins, _shuts_down])
def test_one_that_has_ended_is_not_meant(loops: Loops, telemetry: Telemetry, use: Any) -> None:
    telemetry.start()
    loop = loops.new()
    generator = pages()
    loop.run_until_complete(use(generator))
    loop.close()

    assert told(telemetry) == []


def test_one_that_a_task_is_in_the_middle_of_is_the_tasks_trouble(
    loops: Loops, telemetry: Telemetry, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("CRITICAL", logger="asyncio")

    async def waits() -> AsyncIterator[int]:
        await asyncio.sleep(60)
        yield 1

    async def main() -> Any:
        task = asyncio.create_task(first(waits()))
        await asyncio.sleep(0)
        return task

    telemetry.start()
    loop = loops.new()
    task = loop.run_until_complete(main())
    loop.close()

    assert told(telemetry) == []
    del task
    gc.collect()
    assert told(telemetry) == [("asyncio.task.destroyed_pending", "ERROR")]


def test_where_asyncio_closes_them_there_is_nothing_to_tell(loops: Loops, telemetry: Telemetry) -> None:
    generator = pages()

    async def main() -> None:
        await anext(generator)

    telemetry.start()
    loops.run(main())

    assert told(telemetry) == []
