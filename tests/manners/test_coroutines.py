"""aiotel itself loses no coroutine: where a task cannot be made, what is said is what was said without it."""

from __future__ import annotations

import asyncio
import gc
import logging
import sys
import warnings
from collections.abc import Callable
from typing import Any

import pytest

import aiotel

from ..conftest import Loops, Telemetry

# The mistakes are the point.
# mypy: disable-error-code="unused-awaitable"
# ruff: noqa: RUF006


class RefusedError(Exception):
    """A factory that makes no task."""


async def fetch() -> int:
    await asyncio.sleep(0)
    return 1


def cancelled_before_it_starts(loops: Loops) -> None:
    async def main() -> None:
        task = asyncio.create_task(fetch())
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    loops.run(main())


def cancelled_and_never_run(loops: Loops) -> None:
    loop = loops.new()
    loop.create_task(fetch()).cancel()
    loop.close()


def closed_before_it_runs(loops: Loops) -> None:
    loop = loops.new()
    loop.create_task(fetch())
    loop.close()


def closed_before_the_task_is_made(loops: Loops) -> None:
    loop = loops.new()
    loop.close()
    for make in (
        loop.create_task,
        lambda coro: asyncio.ensure_future(coro, loop=loop),
        loop.run_until_complete,
    ):
        with pytest.raises(RuntimeError):
            make(fetch())


def stopped_while_tasks_wait(loops: Loops) -> None:
    loop = loops.new()
    task = loop.create_task(fetch())
    loop.call_soon(loop.stop)
    loop.run_forever()
    del task
    loop.close()


def a_factory_that_raises(loops: Loops) -> None:
    def factory(loop: Any, coro: Any, **kwargs: Any) -> Any:
        raise RefusedError

    async def main() -> None:
        asyncio.get_running_loop().set_task_factory(factory)
        for _ in range(2):
            with pytest.raises(RefusedError):
                asyncio.create_task(fetch())
        asyncio.get_running_loop().set_task_factory(None)

    loops.run(main())


def a_factory_that_closes_what_it_refuses(loops: Loops) -> None:
    def factory(loop: Any, coro: Any, **kwargs: Any) -> Any:
        coro.close()
        raise RefusedError

    async def main() -> None:
        asyncio.get_running_loop().set_task_factory(factory)
        with pytest.raises(RefusedError):
            asyncio.create_task(fetch())
        asyncio.get_running_loop().set_task_factory(None)

    loops.run(main())


def an_override_that_raises_after_super(loops: Loops) -> None:
    class Loop(asyncio.SelectorEventLoop):
        def create_task(self, coro: Any, **kwargs: Any) -> Any:
            task = super().create_task(coro, **kwargs)
            if kwargs.get("name") == "refused":
                task.cancel()
                raise RefusedError
            return task

    async def main() -> None:
        with pytest.raises(RefusedError):
            asyncio.get_running_loop().create_task(fetch(), name="refused")
        await asyncio.sleep(0)

    with asyncio.Runner(loop_factory=Loop) as runner:
        runner.run(main())


def super_that_raises(loops: Loops) -> None:
    class Loop(asyncio.SelectorEventLoop):
        def create_task(self, coro: Any, **kwargs: Any) -> Any:
            return super().create_task(coro, nonsense=1, **kwargs)  # type: ignore[call-arg,unused-ignore]

    loop = Loop()
    with pytest.raises(TypeError):
        loop.create_task(fetch())
    loop.close()


def no_coroutine_at_all(loops: Loops) -> None:
    async def main() -> None:
        with pytest.raises(TypeError):
            asyncio.get_running_loop().create_task(fetch)  # type: ignore[arg-type]

    loops.run(main())


PROGRAMS = [
    cancelled_before_it_starts,
    cancelled_and_never_run,
    closed_before_it_runs,
    closed_before_the_task_is_made,
    stopped_while_tasks_wait,
    a_factory_that_raises,
    a_factory_that_closes_what_it_refuses,
    an_override_that_raises_after_super,
    super_that_raises,
    no_coroutine_at_all,
]


def said(program: Callable[[Loops], None], loops: Loops, caplog: pytest.LogCaptureFixture) -> list[Any]:
    """Every warning with its place, everything that asyncio logs, and what nobody could raise."""
    caplog.clear()
    unraisable: list[Any] = []
    hook, sys.unraisablehook = sys.unraisablehook, unraisable.append
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            program(loops)
            gc.collect()
    finally:
        sys.unraisablehook = hook
    return [
        *((str(each.message), each.category.__name__, each.filename, each.lineno) for each in caught),
        *(record.getMessage().splitlines()[0] for record in caplog.records if record.name == "asyncio"),
        *(each.exc_type for each in unraisable),
    ]


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.__name__)
def test_all_that_is_said_is_what_was_said_without(
    loops: Loops, telemetry: Telemetry, caplog: pytest.LogCaptureFixture, program: Callable[[Loops], None]
) -> None:
    caplog.set_level(logging.INFO, logger="asyncio")
    runs = []
    for prepare in (gc.collect, telemetry.start, aiotel.uninstrument):
        prepare()
        runs.append(said(program, loops, caplog))
    without, meanwhile, afterwards = runs

    assert without == meanwhile == afterwards


@pytest.mark.parametrize("program", [cancelled_before_it_starts, a_factory_that_closes_what_it_refuses])
def test_where_nothing_is_lost_nothing_is_told(
    loops: Loops, telemetry: Telemetry, program: Callable[[Loops], None]
) -> None:
    telemetry.start()
    program(loops)
    gc.collect()

    assert telemetry.logs == []
