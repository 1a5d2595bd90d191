"""A coroutine that is never awaited is told and counted once, and Python's own warning stays what it is."""

from __future__ import annotations

import asyncio
import gc
import sys
import threading
import tracemalloc
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest

import aiotel
from aiotel._faults import faults

from ..conftest import Loops, Telemetry

# The mistakes are the point.
# mypy: disable-error-code="attr-defined, unused-awaitable, unused-coroutine"
# ruff: noqa: F841, RUF006


async def fetch(number: int = 0) -> int:
    return number


def at_two_lines_and_at_one_of_them_twice() -> None:
    for _ in range(2):
        fetch()
    fetch()


def in_a_local_variable() -> None:
    coro = fetch()


def in_a_cycle() -> None:
    cycle: list[Any] = [fetch()]
    cycle.append(cycle)
    del cycle
    gc.collect()


def in_a_task() -> None:
    async def main() -> None:
        fetch()
        coro = fetch()
        asyncio.get_running_loop().call_soon(fetch)
        await asyncio.sleep(0)

    asyncio.run(main())


def in_debug_mode() -> None:
    async def main() -> None:
        fetch()
        in_a_local_variable()
        in_a_cycle()

    asyncio.run(main(), debug=True)


def where_the_loop_is_closed() -> None:
    loop = asyncio.new_event_loop()
    loop.create_task(fetch())
    loop.close()
    gc.collect()


def where_uvloop_is_closed() -> None:
    uvloop = pytest.importorskip("uvloop")
    loop = uvloop.new_event_loop()
    loop.create_task(fetch())
    loop.close()
    gc.collect()


PROGRAMS = [
    at_two_lines_and_at_one_of_them_twice,
    in_a_local_variable,
    in_a_cycle,
    in_a_task,
    in_debug_mode,
    where_the_loop_is_closed,
    where_uvloop_is_closed,
]


def warned(program: Callable[[], None], action: Any) -> list[Any]:
    """Every warning that Python makes, or what becomes of it where it is an error."""
    unraisable: list[Any] = []

    def unraised(raised: Any) -> None:
        frames = []
        traceback = raised.exc_traceback
        while traceback is not None:
            code = traceback.tb_frame.f_code
            frames.append((code.co_filename, traceback.tb_lineno, code.co_qualname))
            traceback = traceback.tb_next
        unraisable.append(
            (raised.exc_type, str(raised.exc_value), frames, getattr(raised.object, "__name__", None))
        )

    hook, sys.unraisablehook = sys.unraisablehook, unraised
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter(action)
            program()
            gc.collect()
    finally:
        sys.unraisablehook = hook
    return [
        *unraisable,
        *(
            (
                str(each.message),
                each.category,
                each.filename,
                each.lineno,
                getattr(each.source, "__name__", None),
            )
            for each in caught
        ),
    ]


@pytest.fixture(autouse=True)
def _quiet_asyncio(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("CRITICAL", logger="asyncio")


@pytest.mark.parametrize("action", ["always", "default", "error", "ignore"])
@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.__name__)
def test_pythons_own_warning_is_what_it_was(
    telemetry: Telemetry, program: Callable[[], None], action: str
) -> None:
    runs = []
    for prepare in (gc.collect, telemetry.start, aiotel.uninstrument):
        prepare()
        runs.append(warned(program, action))
    before, meanwhile, afterwards = runs

    if (
        action == "error" and program is where_uvloop_is_closed
    ):  # the frames of our `close` are in the traceback
        before, meanwhile, afterwards = (
            [each[:2] for each in some] for some in (before, meanwhile, afterwards)
        )
    assert before == meanwhile == afterwards
    assert (before == []) == (action == "ignore")


def test_what_tracemalloc_knows_of_it_is_in_the_warning_as_before(telemetry: Telemetry) -> None:
    def program() -> Any:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            fetch()
            return tracemalloc.get_object_traceback(caught[0].source)

    tracemalloc.start()
    try:
        before = program()
        telemetry.start()

        assert before == program() is not None
    finally:
        tracemalloc.stop()


def test_the_function_that_makes_the_warning_is_put_back(telemetry: Telemetry) -> None:
    found = warnings._warn_unawaited_coroutine
    telemetry.start()
    ours = warnings._warn_unawaited_coroutine
    aiotel.uninstrument()

    assert ours is not found
    assert warnings._warn_unawaited_coroutine is found


def test_somebody_elses_function_is_called_as_it_is(
    telemetry: Telemetry, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[str, str]] = []

    def theirs(coro: Any) -> str:
        seen.append((coro.__name__, sys._getframe(1).f_code.co_name))
        return "anything"

    def mistake() -> None:
        fetch()

    monkeypatch.setattr(warnings, "_warn_unawaited_coroutine", theirs)
    telemetry.start()
    mistake()

    assert seen == [("fetch", "mistake")]
    assert len(telemetry.logs) == 1


def test_who_has_wrapped_ours_is_left_alone_and_ours_does_nothing(
    telemetry: Telemetry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        warnings,
        "_warn_unawaited_coroutine",
        warnings._warn_unawaited_coroutine,
    )
    telemetry.start()
    ours = warnings._warn_unawaited_coroutine
    theirs = partial(ours)
    warnings._warn_unawaited_coroutine = theirs
    aiotel.uninstrument()
    kept = warnings._warn_unawaited_coroutine
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        fetch()

    assert kept is theirs
    assert len(caught) == 1
    assert telemetry.log_exporter.get_finished_logs() == ()


# What is told.


@pytest.fixture
def _silent() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def counted(telemetry: Telemetry) -> dict[str, int]:
    return {
        point.attributes["code.function.name"]: point.value
        for point in telemetry.metrics()["asyncio.coroutine.never_awaited"]
        if point.attributes
    }


@pytest.mark.usefixtures("_silent")
def test_it_belongs_to_the_span_of_the_task_in_which_it_happened(loops: Loops, telemetry: Telemetry) -> None:
    async def careless() -> None:
        fetch()

    async def main() -> None:
        await asyncio.create_task(careless(), name="careful")

    telemetry.start()
    loops.run(main())
    span = telemetry.span("careless")
    [log] = telemetry.logs

    assert span.context is not None
    assert (log.event_name, log.severity_text) == ("asyncio.coroutine.never_awaited", "WARN")
    assert (log.trace_id, log.span_id) == (span.context.trace_id, span.context.span_id)
    attributes = dict(log.attributes)
    name = attributes.pop("asyncio.task.name")
    assert name == "careful" or loops.eager  # its first step is made before it has its name, up to 3.13
    assert attributes == {
        "code.function.name": f"{__name__}.fetch",
        "code.file.path": __file__,
        "code.line.number": careless.__code__.co_firstlineno + 1,
        "asyncio.coroutine.dropped.function": careless.__qualname__,
        "asyncio.coroutine.defined.file": __file__,
        "asyncio.coroutine.defined.line": fetch.__code__.co_firstlineno,
    }


@pytest.mark.usefixtures("_silent")
def test_it_is_counted_by_function_and_told_once_for_each_line(telemetry: Telemetry) -> None:
    telemetry.start()
    at_two_lines_and_at_one_of_them_twice()

    assert counted(telemetry) == {f"{__name__}.fetch": 3}
    assert len(telemetry.logs) == 2


@pytest.mark.usefixtures("_silent")
def test_without_a_loop_there_is_no_task(telemetry: Telemetry) -> None:
    telemetry.start()
    thread = threading.Thread(target=at_two_lines_and_at_one_of_them_twice)
    thread.start()
    thread.join()

    assert {log.attributes.get("asyncio.task.name") for log in telemetry.logs} == {None}
    assert counted(telemetry) == {f"{__name__}.fetch": 3}


@pytest.mark.usefixtures("_silent")
def test_one_that_went_in_a_collection_is_not_blamed_on_the_task_that_ran_then(
    loops: Loops, telemetry: Telemetry
) -> None:
    async def main() -> None:
        in_a_cycle()

    telemetry.start()
    loops.run(main())
    [log] = telemetry.logs

    assert "asyncio.task.name" not in log.attributes
    assert log.trace_id == 0 or log.trace_id is None


@pytest.mark.usefixtures("_silent")
def test_of_thousands_in_one_collection_each_is_counted(telemetry: Telemetry) -> None:
    telemetry.start()
    for _ in range(3):
        cycle: list[Any] = [fetch() for _ in range(1000)]
        cycle.append(cycle)
        del cycle
        gc.collect()

    assert counted(telemetry) == {f"{__name__}.fetch": 3000}
    assert len(telemetry.logs) == 1


@pytest.mark.usefixtures("_silent")
def test_a_session_for_one_loop_is_not_told_of_others(loops: Loops, telemetry: Telemetry) -> None:
    async def careless() -> None:
        fetch()

    ours, other = loops.new(), loops.new()
    telemetry.start(loop=ours)
    other.run_until_complete(careless())
    fetch()
    without = list(telemetry.logs)
    ours.run_until_complete(careless())
    other.close()
    ours.close()

    assert (len(without), len(telemetry.logs)) == (0, 1)


@pytest.mark.usefixtures("_silent")
def test_names_that_are_no_names_do_no_harm(telemetry: Telemetry) -> None:
    def mistake() -> None:
        coro = fetch()
        coro.__name__ = coro.__qualname__ = "a\ud800b"
        del coro

    telemetry.start()
    mistake()

    assert len(telemetry.logs) == 1
    assert faults.count == 0 or not faults.latest
