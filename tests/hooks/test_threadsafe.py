"""A failure of `run_coroutine_threadsafe` that nobody can ask for is told; one that somebody may is not."""

from __future__ import annotations

import asyncio
import asyncio.futures
import concurrent.futures
import random
import sys
import threading
import weakref
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any

import pytest

from ..conftest import Loops, Telemetry
from .failing import BadError, settle, until

Future = concurrent.futures.Future[None]
Start = Callable[[], Future]
Use = Callable[[Start], object]

_held: list[object] = []


def _asks_at_once(start: Start) -> None:
    with pytest.raises(BadError):
        start().result(20)


def _asks_later(start: Start) -> None:
    future = start()
    concurrent.futures.wait([future], 20)
    with pytest.raises(BadError):
        future.result(20)


def _puts_it_away(start: Start) -> None:
    _held.append(start())


def _has_it_in_a_cycle(start: Start) -> None:
    ring: list[object] = [start()]
    ring.append(ring)


def _has_a_callback(start: Start) -> None:
    start().add_done_callback(lambda future: _held.append(future.exception()))


def _waits(start: Start) -> None:
    done, _ = concurrent.futures.wait([start()], 20)
    _held.extend(done)


def _waits_for_the_first(start: Start) -> None:
    for future in concurrent.futures.as_completed([start(), start()], 20):
        assert isinstance(future.exception(), BadError)


def _knows_it_weakly(start: Start) -> None:
    _held.append(weakref.ref(start()))


def _passes_it_on(start: Start) -> None:
    threads = [threading.Thread(target=lambda future: future.exception(20), args=[start()])]
    threads[0].start()
    threads[0].join(20)


USES: list[Use] = [
    *(_asks_at_once, _asks_later, _puts_it_away, _has_it_in_a_cycle, _has_a_callback, _waits),
    *(_waits_for_the_first, _knows_it_weakly, _passes_it_on),
]


async def at_once() -> None:
    raise BadError


async def a_little_later() -> None:
    await asyncio.sleep(0)
    raise BadError


async def later() -> None:
    await asyncio.sleep(0.001)
    raise BadError


# The collector may take what is only in a cycle before it fails.
CERTAIN = [use for use in USES if use is not _has_it_in_a_cycle]


def _start(fails: Callable[[], Coroutine[Any, Any, None]], loop: asyncio.AbstractEventLoop) -> Future:
    return asyncio.run_coroutine_threadsafe(fails(), loop)


FAILURES: list[Callable[[], Coroutine[Any, Any, None]]] = [at_once, a_little_later, later]


def run(loops: Loops, use: Callable[[asyncio.AbstractEventLoop], object]) -> None:
    """Do something with a running loop, on another thread."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        errors: list[BaseException] = []

        def call() -> None:
            try:
                use(loop)
            except BaseException as error:  # noqa: BLE001  # for the test to see
                errors.append(error)

        thread = threading.Thread(target=call)
        thread.start()
        await until(lambda: not thread.is_alive())
        await asyncio.sleep(0.01)
        await settle()
        assert errors == []

    try:
        loops.run(main())
    finally:
        _held.clear()


@pytest.mark.parametrize("use", USES)
@pytest.mark.parametrize("fails", FAILURES)
def test_nothing_is_told_where_somebody_can_look(
    loops: Loops, telemetry: Telemetry, use: Use, fails: Callable[[], Any]
) -> None:
    telemetry.start()
    run(loops, lambda loop: use(partial(_start, fails, loop)))

    assert telemetry.logs == []


def test_nothing_false_is_told_when_threads_are_switched_at_every_turn(
    loops: Loops, telemetry: Telemetry
) -> None:
    chance = random.Random(4711)
    interval = sys.getswitchinterval()

    def use(loop: asyncio.AbstractEventLoop) -> None:
        for _ in range(150):
            fails, look = chance.choice(FAILURES), chance.choice(CERTAIN)
            look(partial(_start, fails, loop))

    telemetry.start()
    sys.setswitchinterval(1e-6)
    try:
        run(loops, use)
    finally:
        sys.setswitchinterval(interval)

    assert telemetry.logs == []


@pytest.mark.parametrize("how", [asyncio.CancelledError, GeneratorExit])
def test_an_end_that_is_no_failure_is_not_told(
    loops: Loops, telemetry: Telemetry, how: type[BaseException]
) -> None:
    async def ends() -> None:
        await asyncio.sleep(0.001)
        raise how

    telemetry.start()
    run(loops, partial(_start, ends))

    assert telemetry.logs == []


def test_it_has_the_ids_of_the_task(telemetry: Telemetry) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        let = asyncio.Event()

        async def fails() -> None:
            await let.wait()
            raise BadError

        def start() -> None:
            with telemetry.tracer_provider.get_tracer("user").start_as_current_span("caller"):
                asyncio.run_coroutine_threadsafe(fails(), loop)

        await asyncio.to_thread(start)
        let.set()
        await settle()

    telemetry.start()
    asyncio.run(main())

    span = telemetry.span("fails")
    [log] = telemetry.logs
    assert span.context is not None
    assert (log.trace_id, log.span_id) == (span.context.trace_id, span.context.span_id)
    assert log.attributes["asyncio.exception.source"] == "thread"


def test_what_was_there_is_back_after_detaching(telemetry: Telemetry) -> None:
    futures: Any = asyncio.futures
    found = futures._set_concurrent_future_state
    session = telemetry.start()
    between = futures._set_concurrent_future_state
    session.close()

    assert between is not found
    assert futures._set_concurrent_future_state is found


def test_where_somebody_wrapped_ours_it_does_nothing_any_more(
    telemetry: Telemetry, monkeypatch: pytest.MonkeyPatch
) -> None:
    futures: Any = asyncio.futures
    session = telemetry.start()
    ours = futures._set_concurrent_future_state
    monkeypatch.setattr(futures, "_set_concurrent_future_state", partial(ours))
    session.close()
    caught: list[object] = []

    def use(loop: asyncio.AbstractEventLoop) -> None:
        caught.append(asyncio.run_coroutine_threadsafe(later(), loop).exception(20))

    run(Loops("asyncio", asyncio.new_event_loop), use)

    assert [type(each) for each in caught] == [BadError]
    assert futures._set_concurrent_future_state is not ours
