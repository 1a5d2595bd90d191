"""To be timed changes nothing for what is called."""

from __future__ import annotations

import asyncio
import gc
import logging
import threading
import time
import traceback
import weakref
from collections.abc import Callable, Iterator
from typing import Any
from unittest.mock import Mock

import pytest

import aiotel
from aiotel._hooks import callbacks

from ..conftest import Loops, Telemetry
from .test_timing import counts_of, exact

Handle: Any = asyncio.events.Handle
Loop: Any = asyncio.BaseEventLoop


def _methods() -> tuple[object, object]:
    return vars(Handle)["_run"], vars(Loop)["_call_soon"]


@pytest.fixture
def put_back() -> Iterator[None]:
    """The classes as they were before somebody put a wrapper on them."""
    found = _methods()
    yield
    aiotel.uninstrument()
    Handle._run, Loop._call_soon = found
    if "_aiotel_ledger" in vars(Loop):
        del Loop._aiotel_ledger


async def turns() -> None:
    await asyncio.sleep(0)


async def three() -> None:
    await asyncio.gather(*[asyncio.create_task(turns()) for _ in range(3)])


def test_what_was_found_is_put_back(telemetry: Telemetry) -> None:
    before = _methods()

    telemetry.start(exact_timing=True)
    assert before != _methods()
    aiotel.instrument()
    asyncio.run(three())
    aiotel.uninstrument()
    aiotel.uninstrument()

    assert before == _methods()


@pytest.mark.usefixtures("put_back")
def test_what_somebody_has_wrapped_meanwhile_does_nothing(telemetry: Telemetry) -> None:
    telemetry.start(exact_timing=True)
    run, call_soon, calls = Handle._run, Loop._call_soon, []

    def run_too(handle: Any) -> None:
        calls.append("run")
        run(handle)

    def call_soon_too(loop: Any, callback: Any, args: Any, context: Any) -> Any:
        calls.append("call_soon")
        return call_soon(loop, callback, args, context)

    Handle._run, Loop._call_soon = run_too, call_soon_too
    aiotel.uninstrument()
    asyncio.run(three())
    second = Telemetry()
    second.start(exact_timing=True)
    asyncio.run(three())

    assert {"run", "call_soon"} == set(calls)
    assert {"turns": 3, "three": 1} == counts_of(second.metrics()["asyncio.task.run.duration"])
    assert {2} == {
        span.attributes["asyncio.task.steps"]
        for span in second.spans
        if span.name == "turns" and span.attributes
    }


def test_a_loop_that_runs_already_is_timed(telemetry: Telemetry) -> None:
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        asyncio.run_coroutine_threadsafe(turns(), loop).result(10)
        telemetry.start(exact_timing=True)
        asyncio.run_coroutine_threadsafe(three(), loop).result(10)
        counts = counts_of(telemetry.metrics()["asyncio.task.run.duration"])
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()

    assert {"turns": 3, "three": 1} == counts


def test_one_loop_alone_is_timed_where_that_is_asked(telemetry: Telemetry) -> None:
    loop, other = asyncio.new_event_loop(), asyncio.new_event_loop()
    before = set(vars(other))
    telemetry.start(exact_timing=True, loop=loop)
    loop.run_until_complete(three())
    other.run_until_complete(turns())
    counts = counts_of(telemetry.metrics()["asyncio.task.run.duration"])
    aiotel.uninstrument()

    assert {"turns": 3, "three": 1} == counts
    assert before == set(vars(other))
    loop.close()
    other.close()


def _reports(loops: Loops) -> list[str]:
    """What a loop's exception handler gets of callbacks that fail, tracebacks included."""
    told: list[str] = []

    def handler(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context["exception"]
        told.append(context["message"].partition(" at 0x")[0] + "".join(traceback.format_exception(error)))

    def fails() -> None:
        raise LookupError

    async def main() -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(handler)
        loop.call_soon(fails)
        loop.call_later(0, fails)
        loop.call_soon_threadsafe(fails)
        await asyncio.sleep(0.01)

    loops.run(main())
    return told


@exact
def test_a_failure_has_no_frame_of_ours(loops: Loops, telemetry: Telemetry) -> None:
    before = _reports(loops)
    telemetry.start(exact_timing=True)

    assert before == _reports(loops)
    assert 3 == len(before)


@exact
@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit])
def test_what_ends_the_program_passes(loops: Loops, telemetry: Telemetry, kind: type[BaseException]) -> None:
    def ends() -> None:
        raise kind

    async def main() -> None:
        asyncio.get_running_loop().call_soon(ends)
        await asyncio.sleep(10)

    telemetry.start(exact_timing=True)

    with pytest.raises(kind) as caught:
        loops.run(main())

    files = {entry.path for entry in caught.traceback}
    assert not [file for file in files if "_hooks" in str(file) and "tests" not in str(file)]
    assert __file__ in {str(file) for file in files}


class Thing:
    """Has a method that fails."""

    def fails(self) -> None:
        raise LookupError


@exact
def test_a_failure_that_is_kept_holds_nothing_that_was_called(loops: Loops, telemetry: Telemetry) -> None:
    kept: list[BaseException] = []
    gone: list[weakref.ref[Any]] = []

    def keeps() -> None:
        try:
            raise LookupError  # noqa: TRY301  # its frame's caller is what calls callbacks
        except LookupError as error:
            kept.append(error)

    async def main() -> None:
        loop = asyncio.get_running_loop()

        class Calls:
            def __call__(self) -> None:
                keeps()

        thing = Calls()
        gone.append(weakref.ref(thing))
        gone.append(weakref.ref(loop.call_soon(thing)))
        del thing
        await asyncio.sleep(0)
        await asyncio.sleep(0)

    telemetry.start(exact_timing=True)
    loops.run(main())
    frame = kept[0].__traceback__.tb_frame if kept[0].__traceback__ else None
    held = []
    while frame is not None:
        if frame.f_code.co_filename == callbacks.__file__:
            held += [name for name in ("handle", "callback", "task", "loop") if frame.f_locals.get(name)]
        frame = frame.f_back

    assert [] == held
    frame = None
    gc.collect()


def _created(loops: Loops) -> list[list[tuple[str, str]]]:
    """The stacks that debug mode keeps, of what makes a handle and a task."""
    stacks: list[list[tuple[str, str]]] = []

    def makes() -> None:
        loop: Any = asyncio.get_running_loop()
        task = loop.create_task(turns())
        for made in (loop.call_soon(int), loop.call_later(10, int), loop.call_soon_threadsafe(int), task):
            stacks.append([(frame.filename, frame.name) for frame in made._source_traceback])

    async def main() -> None:
        asyncio.get_running_loop().call_soon(makes)
        await asyncio.sleep(0.01)

    loops.run(main(), debug=True)
    return stacks


@exact
def test_debug_mode_shows_where_things_were_made(loops: Loops, telemetry: Telemetry) -> None:
    before = _created(loops)
    telemetry.start(exact_timing=True)
    meanwhile = _created(loops)

    # It keeps ten frames, of which ours are some.
    theirs = [[frame for frame in stack if "aiotel/_hooks" not in frame[0]] for stack in meanwhile]
    assert [stack[-4:] for stack in before] == [stack[-4:] for stack in theirs]
    assert [stack[-1] for stack in before] == [stack[-1] for stack in meanwhile]


@exact
def test_debug_mode_still_says_what_was_slow(
    loops: Loops, telemetry: Telemetry, caplog: pytest.LogCaptureFixture
) -> None:
    def slow() -> None:
        time.sleep(0.03)

    async def main() -> None:
        loop: Any = asyncio.get_running_loop()
        loop.slow_callback_duration = 0.02
        loop.call_soon(slow)
        await asyncio.sleep(0)

    telemetry.start(exact_timing=True)
    with caplog.at_level(logging.WARNING, "asyncio"):
        loops.run(main(), debug=True)

    assert any("Executing <Handle" in line and "slow" in line for line in caplog.messages)


def test_a_handle_of_no_loop_runs(telemetry: Telemetry) -> None:
    ran: list[int] = []
    telemetry.start(exact_timing=True)

    for loop in (Mock(), object(), None):
        handle: Any = object.__new__(asyncio.Handle)
        handle._loop, handle._callback, handle._args = loop, ran.append, (1,)
        handle._context = Mock(run=_call)
        handle._run()

    assert [1, 1, 1] == ran


def _call(callback: Callable[..., object], *args: object) -> object:
    return callback(*args)
