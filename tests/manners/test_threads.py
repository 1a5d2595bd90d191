"""No object of the program's goes on a thread of ours: its finalizer may touch a loop, a connection."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import threading
from collections.abc import Iterator
from typing import Any, ClassVar

import pytest
import structlog

from ..conftest import Loops, Telemetry

variable: contextvars.ContextVar[Any] = contextvars.ContextVar("variable", default=None)


class Loud:
    """Something that tells on which thread it went."""

    went: ClassVar[list[str]] = []

    def __del__(self) -> None:
        Loud.went.append(threading.current_thread().name)


@pytest.fixture(autouse=True)
def _nothing_went_yet() -> Iterator[None]:
    Loud.went.clear()
    # The collector runs on whatever thread allocates: what goes by it goes anywhere, with and without us.
    gc.collect()
    gc.disable()
    yield
    gc.enable()


async def fails(told: threading.Event) -> None:
    variable.set((Loud(), told))
    local = Loud()
    raise ValueError(Loud(), local)


def fails_in_a_callback() -> None:
    variable.set(Loud())
    raise ValueError(Loud())


async def lose_failures(told: threading.Event) -> None:
    asyncio.create_task(fails(told))  # type: ignore[unused-awaitable]  # noqa: RUF006  # nobody looks at it
    context = contextvars.Context()
    asyncio.get_running_loop().call_soon(fails_in_a_callback, context=context)
    del context
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    gc.collect()  # asyncio itself leaves cycles where callbacks fail, and tasks that start eagerly


@pytest.fixture
def told() -> Iterator[threading.Event]:
    """Set once both failures have been told by the pump, and what it had in hand is gone."""
    event, count = threading.Event(), []

    def tell(logger: Any, method: str, entry: Any) -> Any:
        count.append(entry)
        if len(count) == 2:
            event.set()
        raise structlog.DropEvent

    structlog.configure(processors=[tell])
    yield event
    structlog.reset_defaults()


async def _all_gone() -> None:
    for _ in range(1000):
        if len(Loud.went) == 5:
            return
        await asyncio.sleep(0.01)


def _silence(loop: asyncio.AbstractEventLoop) -> None:
    loop.set_exception_handler(lambda loop, context: None)


def test_what_failures_hold_goes_on_the_loops_thread(
    loops: Loops, telemetry: Telemetry, told: threading.Event
) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        _silence(loop)
        await lose_failures(told)
        await loop.run_in_executor(None, told.wait, 10)
        await _all_gone()

    telemetry.start()
    loops.run(main())

    assert ["MainThread"] * 5 == Loud.went


def test_where_the_loop_is_gone_it_goes_on_a_thread_of_the_programs(
    loops: Loops, telemetry: Telemetry, told: threading.Event
) -> None:
    async def main() -> None:
        _silence(asyncio.get_running_loop())
        await lose_failures(told)

    session = telemetry.start()
    with session._pump._draining:  # so that the loop is closed before anything is told
        loops.run(main())
    assert told.wait(10)
    session.close()

    assert ["MainThread"] * 5 == Loud.went


def test_what_a_flush_tells_goes_on_the_loops_thread(
    loops: Loops, telemetry: Telemetry, told: threading.Event
) -> None:
    async def main() -> None:
        _silence(asyncio.get_running_loop())
        await lose_failures(told)
        await asyncio.get_running_loop().run_in_executor(None, lambda: session.flush(timeout=30))
        await _all_gone()

    session = telemetry.start()
    loops.run(main())

    assert ["MainThread"] * 5 == Loud.went


def test_tasks_their_results_and_their_spans_go_where_they_end(loops: Loops, telemetry: Telemetry) -> None:
    tracer = telemetry.tracer_provider.get_tracer("program")

    async def returns() -> Loud:
        variable.set(Loud())
        await asyncio.sleep(0)
        return Loud()

    async def forever(held: Loud) -> None:
        await asyncio.get_running_loop().create_future()

    async def main() -> None:
        with tracer.start_as_current_span("request"):
            await asyncio.gather(returns(), returns())
        lost = asyncio.create_task(forever(Loud()))
        await asyncio.sleep(0)
        lost._log_destroy_pending = False  # type: ignore[attr-defined]
        del lost
        gc.collect()

    session = telemetry.start()
    with session._pump._draining:
        loops.run(main())
    assert session.flush(timeout=30)

    assert ["MainThread"] * 5 == Loud.went
