"""What ends the program, a thread or a coroutine is told, and reaches the hook that was there as before."""

from __future__ import annotations

import asyncio
import functools
import gc
import sys
import threading
import types
from collections import Counter
from collections.abc import AsyncIterator, Callable, Generator
from contextlib import suppress
from typing import Any

import pytest
import wrapt
from opentelemetry.instrumentation.exceptions import UnhandledExceptionInstrumentor

from aiotel._hooks import retrievals

from ..conftest import Loops, Telemetry
from .failing import BadError

Hooked = list[tuple[Any, ...]]


async def main() -> None:
    raise BadError("no such order")


@pytest.fixture
def hooked(monkeypatch: pytest.MonkeyPatch) -> Hooked:
    """What the hook that was there before us got."""
    got: Hooked = []
    monkeypatch.setattr(sys, "excepthook", lambda *args: got.append(args))
    monkeypatch.setattr(threading, "excepthook", lambda args: got.append(tuple(args)))
    monkeypatch.setattr(
        sys, "unraisablehook", lambda args: got.append((type(args.exc_value), args.exc_value))
    )
    return got


def end(run: Callable[[], object]) -> BaseException:
    """Do it as a program that it ends."""
    try:
        run()
    except BaseException as error:  # noqa: BLE001  # as Python does
        sys.excepthook(type(error), error, error.__traceback__)
        return error
    raise AssertionError("it did not fail")


def counted(telemetry: Telemetry) -> dict[str, int]:
    found: Counter[str] = Counter()
    for point in telemetry.metrics()["asyncio.exceptions"]:
        found[point.attributes["asyncio.exception.source"]] += point.value
    return dict(+found)


def test_a_failure_of_the_main_task_that_ends_the_program_is_fatal(
    loops: Loops, telemetry: Telemetry, hooked: Hooked
) -> None:
    telemetry.start()
    error = end(lambda: loops.run(main()))

    span = telemetry.span("main")
    [log] = telemetry.logs
    assert span.context is not None
    assert (log.severity_text, log.body) == ("FATAL", "Main task failed")
    assert (log.trace_id, log.span_id) == (span.context.trace_id, span.context.span_id)
    assert log.attributes["asyncio.exception.source"] == "main"
    assert log.attributes["exception.type"] == f"{BadError.__module__}.BadError"
    assert log.attributes["code.function.name"] == f"{__name__}.main"
    assert counted(telemetry) == {"main": 1}
    assert hooked == [(BadError, error, error.__traceback__)]


def test_the_main_task_of_run_until_complete_has_its_ids_too(
    loops: Loops, telemetry: Telemetry, hooked: Hooked
) -> None:
    def run() -> None:
        loop = loops.new()
        try:
            loop.run_until_complete(main())
        finally:
            loop.close()

    telemetry.start()
    end(run)

    span = telemetry.span("main")
    [log] = telemetry.logs
    assert span.context is not None
    assert (log.trace_id, log.span_id) == (span.context.trace_id, span.context.span_id)
    assert log.attributes["asyncio.task.name"] == (span.attributes or {})["asyncio.task.name"]


def test_its_ids_are_there_after_a_slow_shutdown_too(
    loops: Loops, telemetry: Telemetry, hooked: Hooked, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retrievals, "PAUSE_NS", 0)
    telemetry.start(unretrieved_after=0.001)

    def run() -> None:
        try:
            loops.run(main())
        finally:
            while not any(point.value for point in telemetry.metrics()["asyncio.exceptions.handled"]):
                pass  # it is not certain yet what became of the exception, as far as tasks go

    end(run)

    span = telemetry.span("main")
    [log] = telemetry.logs
    assert span.context is not None
    assert (log.severity_text, log.trace_id, log.span_id) == (
        "FATAL",
        span.context.trace_id,
        span.context.span_id,
    )


def test_a_failure_that_came_from_a_child_is_the_main_tasks(
    loops: Loops, telemetry: Telemetry, hooked: Hooked
) -> None:
    async def parent() -> None:
        await asyncio.create_task(main())

    telemetry.start()
    end(lambda: loops.run(parent()))

    span = telemetry.span("parent")
    [log] = telemetry.logs
    assert span.context is not None
    assert (log.trace_id, log.span_id) == (span.context.trace_id, span.context.span_id)


def _fails_beside() -> object:
    raise BadError


def _exits() -> object:
    async def exits() -> None:
        raise SystemExit(3)

    return asyncio.run(exits())


def _is_interrupted() -> object:
    async def interrupted() -> None:
        raise KeyboardInterrupt

    return asyncio.run(interrupted())


def _is_interrupted_in_a_group() -> object:
    async def interrupted() -> None:
        raise BaseExceptionGroup("", [KeyboardInterrupt(), asyncio.CancelledError()])

    return asyncio.run(interrupted())


def _is_cancelled() -> object:
    async def cancelled() -> None:
        raise asyncio.CancelledError

    return asyncio.run(cancelled())


def _fails_after_a_caught_one() -> object:
    with suppress(BadError):
        asyncio.run(main())
    raise ValueError


@pytest.mark.parametrize(
    "run",
    [
        *(_fails_beside, _exits, _is_interrupted, _is_interrupted_in_a_group, _is_cancelled),
        _fails_after_a_caught_one,
    ],
)
def test_what_is_no_failure_of_a_main_task_is_not_told(
    telemetry: Telemetry, hooked: Hooked, run: Callable[[], object]
) -> None:
    telemetry.start()
    error = end(run)

    assert telemetry.logs == []
    assert counted(telemetry) == {}
    assert hooked == [(type(error), error, error.__traceback__)]


def test_a_base_exception_of_the_main_task_is_fatal(telemetry: Telemetry, hooked: Hooked) -> None:
    class Odd(BaseException):
        pass

    async def odd() -> None:
        raise Odd

    telemetry.start()
    end(lambda: asyncio.run(odd()))

    assert [(log.severity_text, log.attributes["asyncio.exception.source"]) for log in telemetry.logs] == [
        ("FATAL", "main")
    ]


def test_a_failure_that_asyncio_has_told_is_not_told_again(
    loops: Loops, telemetry: Telemetry, hooked: Hooked
) -> None:
    for kind in (BadError, ValueError):  # one that can be weakly referred to, and one that cannot

        async def raises(kind: type[Exception] = kind) -> None:
            loop = asyncio.get_running_loop()
            met: asyncio.Future[BaseException] = loop.create_future()
            loop.set_exception_handler(lambda loop, context: met.set_result(context["exception"]))

            def fails() -> None:
                raise kind

            loop.call_soon(fails)
            raise await met

        session = telemetry.start()
        end(lambda: loops.run(raises()))

        assert [log.attributes["asyncio.exception.source"] for log in telemetry.logs] == ["callback"]
        telemetry.log_exporter.clear()
        session.close()


def test_two_failures_of_main_tasks_are_two(loops: Loops, telemetry: Telemetry, hooked: Hooked) -> None:
    async def other() -> None:
        raise ValueError

    telemetry.start()
    for run in (main, other):
        end(lambda run=run: loops.run(run()))  # type: ignore[misc]  # each in turn

    assert [log.attributes["exception.type"].rpartition(".")[2] for log in telemetry.logs] == [
        "BadError",
        "ValueError",
    ]
    assert counted(telemetry) == {"main": 2}


def test_a_prompt_goes_on(telemetry: Telemetry, hooked: Hooked, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "ps1", ">>> ", raising=False)
    telemetry.start()
    end(lambda: asyncio.run(main()))

    assert telemetry.logs == []
    assert len(hooked) == 1


def test_who_calls_the_hook_from_inside_a_loop_is_not_at_the_end(
    loops: Loops, telemetry: Telemetry, hooked: Hooked
) -> None:
    async def goes_on() -> None:
        await asyncio.to_thread(lambda: _held.append(_error_of(lambda: asyncio.run(main()))))
        error = _held.pop()
        sys.excepthook(type(error), error, error.__traceback__)

    telemetry.start()
    loops.run(goes_on())

    assert telemetry.logs == []
    assert len(hooked) == 1


_held: list[BaseException] = []


def _error_of(run: Callable[[], object]) -> BaseException:
    with pytest.raises(BadError) as caught:
        run()
    return caught.value


def test_a_thread_that_ran_a_loop_is_told_as_one(loops: Loops, telemetry: Telemetry, hooked: Hooked) -> None:
    telemetry.start()
    thread = threading.Thread(target=lambda: loops.run(main()))
    thread.start()
    thread.join()

    span = telemetry.span("main")
    [log] = telemetry.logs
    assert span.context is not None
    assert (log.severity_text, log.body) == ("ERROR", "Main task of a thread failed")
    assert (log.trace_id, log.span_id) == (span.context.trace_id, span.context.span_id)
    assert counted(telemetry) == {"thread": 1}
    assert [(args[0], args[3]) for args in hooked] == [(BadError, thread)]


def test_a_thread_without_a_loop_is_none_of_our_business(telemetry: Telemetry, hooked: Hooked) -> None:
    telemetry.start()
    thread = threading.Thread(target=_fails_beside)
    thread.start()
    thread.join()

    assert telemetry.logs == []
    assert len(hooked) == 1


def test_a_program_that_hands_failures_of_threads_to_the_other_hook_ends_no_program(
    loops: Loops, telemetry: Telemetry, hooked: Hooked, monkeypatch: pytest.MonkeyPatch
) -> None:
    telemetry.start()
    monkeypatch.setattr(threading, "excepthook", lambda args: sys.excepthook(*args[:3]))
    thread = threading.Thread(target=lambda: loops.run(main()))
    thread.start()
    thread.join()

    assert [(log.severity_text, log.attributes["asyncio.exception.source"]) for log in telemetry.logs] == [
        ("ERROR", "thread")
    ]
    assert len(hooked) == 1


# What is raised where nothing can be raised.


@types.coroutine
def _turn() -> Generator[None]:
    yield


async def _fails_at_the_end() -> None:
    try:
        await _turn()
    finally:
        raise BadError


async def _does_not_go() -> None:
    while True:
        with suppress(GeneratorExit):
            await _turn()


async def _is_cancelled_at_the_end() -> None:
    try:
        await _turn()
    finally:
        raise asyncio.CancelledError


async def _generates() -> AsyncIterator[int]:
    try:
        yield 1
    finally:
        raise BadError


def _drop_a_coroutine() -> None:
    _fails_at_the_end().send(None)


def _drop_a_stubborn_one() -> None:
    _does_not_go().send(None)


def _drop_a_generator() -> None:
    with pytest.raises(StopIteration):
        anext(_generates()).__await__().send(None)


def _drop_a_pending_task() -> None:
    loop = asyncio.new_event_loop()
    loop.set_exception_handler(lambda loop, context: None)
    loop.create_task(_fails_at_the_end())  # type: ignore[unused-awaitable]  # noqa: RUF006  # nobody holds it
    loop.call_soon(loop.stop)
    loop.run_forever()
    loop._ready.clear()  # type: ignore[attr-defined]  # what the loop holds goes too
    loop.close()


@pytest.mark.parametrize(
    ("drop", "words", "kind"),
    [
        (_drop_a_coroutine, "Exception ignored in a coroutine", "BadError"),
        (_drop_a_stubborn_one, "Exception ignored in a coroutine", "RuntimeError"),
        (_drop_a_generator, "Exception ignored in an asynchronous generator", "BadError"),
        (_drop_a_pending_task, "Exception ignored in a coroutine", "BadError"),
    ],
)
def test_what_a_coroutine_raises_in_destruction_is_told(
    telemetry: Telemetry, hooked: Hooked, drop: Callable[[], None], words: str, kind: str
) -> None:
    telemetry.start()
    drop()
    gc.collect()

    [log] = [log for log in telemetry.logs if log.event_name == "exception"]
    assert (log.body, log.severity_text) == (words, "ERROR")
    assert log.attributes["exception.type"].rpartition(".")[2] == kind
    assert counted(telemetry) == {"unraisable": 1}
    assert [args[0].__name__ for args in hooked] == [kind]


class _Falls:
    def __del__(self) -> None:
        raise BadError


def _generator() -> Generator[None]:
    try:
        yield
    finally:
        raise BadError


@pytest.mark.parametrize(
    "drop",
    [_Falls, lambda: next(_generator()), lambda: _is_cancelled_at_the_end().send(None)],
    ids=["__del__", "generator", "cancelled"],
)
def test_what_others_raise_in_destruction_is_none_of_our_business(
    telemetry: Telemetry, hooked: Hooked, drop: Callable[[], object]
) -> None:
    telemetry.start()
    drop()

    assert telemetry.logs == []
    assert len(hooked) == 1


# Manners.


def _wraps(hook: Any) -> Any:
    @functools.wraps(hook)
    def pass_on(*args: Any) -> Any:
        return hook(*args)

    return pass_on


def _wrapt(hook: Any) -> Any:
    def pass_on(wrapped: Any, instance: Any, args: Any, kwargs: Any) -> Any:
        return wrapped(*args, **kwargs)

    return wrapt.FunctionWrapper(hook, pass_on)


HOOKS = [(sys, "excepthook"), (threading, "excepthook"), (sys, "unraisablehook")]


def test_the_very_hooks_that_were_there_are_back(telemetry: Telemetry) -> None:
    found = [getattr(owner, name) for owner, name in HOOKS]
    session = telemetry.start()
    between = [getattr(owner, name) for owner, name in HOOKS]
    asyncio.run(asyncio.sleep(0))
    after_a_loop = [getattr(owner, name) for owner, name in HOOKS]
    session.close()

    assert not set(map(id, between)) & set(map(id, found))
    assert after_a_loop == between
    assert [getattr(owner, name) for owner, name in HOOKS] == found


def test_a_hook_that_wraps_ours_stays_and_ours_does_nothing(
    telemetry: Telemetry, hooked: Hooked, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = telemetry.start()
    ours = sys.excepthook
    wrapped: Hooked = []

    def theirs(*args: Any) -> None:
        wrapped.append(args)
        ours(*args)

    monkeypatch.setattr(sys, "excepthook", theirs)
    session.close()
    end(lambda: asyncio.run(main()))

    assert sys.excepthook is theirs
    assert (len(wrapped), len(hooked)) == (1, 1)
    assert telemetry.logs == []


def test_a_program_that_replaces_the_hook_is_met_again_and_keeps_its_own(
    loops: Loops, telemetry: Telemetry, hooked: Hooked, monkeypatch: pytest.MonkeyPatch
) -> None:
    theirs: Hooked = []

    async def replaces() -> None:
        sys.excepthook = hook
        raise BadError

    def hook(*args: Any) -> None:
        theirs.append(args)

    session = telemetry.start()
    end(lambda: loops.run(replaces()))
    session.flush(timeout=30)
    logs = telemetry.logs
    session.close()

    assert [log.severity_text for log in logs] == ["FATAL"]
    assert (len(theirs), len(hooked)) == (1, 0)
    assert sys.excepthook is hook


def test_one_that_wraps_ours_and_is_met_again_is_called_once(
    loops: Loops, telemetry: Telemetry, hooked: Hooked
) -> None:
    theirs: Hooked = []
    telemetry.start()
    before = sys.excepthook

    def hook(*args: Any) -> None:
        theirs.append(args)
        before(*args)

    sys.excepthook = hook
    end(lambda: loops.run(main()))

    assert [log.severity_text for log in telemetry.logs] == ["FATAL"]
    assert counted(telemetry) == {"main": 1}
    assert (len(theirs), len(hooked)) == (1, 1)


@pytest.mark.parametrize("wrap", [_wraps, _wrapt])
def test_a_wrap_that_looks_like_ours_is_not_taken_for_ours(
    telemetry: Telemetry, hooked: Hooked, wrap: Callable[[Any], Any]
) -> None:
    session = telemetry.start()
    theirs = wrap(sys.excepthook)
    sys.excepthook = theirs
    end(lambda: asyncio.run(main()))
    session.flush(timeout=30)
    logs = telemetry.logs
    session.close()

    assert [log.severity_text for log in logs] == ["FATAL"]
    assert len(hooked) == 1
    assert sys.excepthook is theirs


@pytest.mark.parametrize("order", ["before", "after"])
def test_beside_contribs_instrumentation_each_is_told_once(
    loops: Loops, telemetry: Telemetry, hooked: Hooked, order: str
) -> None:
    contrib: Any = UnhandledExceptionInstrumentor()  # type: ignore[no-untyped-call]  # theirs
    if order == "after":
        telemetry.start()
    contrib.instrument(logger_provider=telemetry.logger_provider)
    telemetry.start()
    thread = threading.Thread(target=lambda: loops.run(main()))
    thread.start()
    thread.join()
    end(lambda: loops.run(main()))
    logs = telemetry.logs
    end(_fails_beside)
    all_logs = telemetry.logs
    assert telemetry.session is not None
    telemetry.session.close()
    contrib.uninstrument()

    assert [log.body for log in logs] == ["Main task of a thread failed", "Main task failed"]
    assert len(all_logs) == 3  # the last is theirs
    assert len(hooked) == 3


def test_a_hook_that_fails_fails_as_it_did(telemetry: Telemetry, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*args: object) -> None:
        raise LookupError

    monkeypatch.setattr(sys, "excepthook", fails)
    telemetry.start()

    with pytest.raises(LookupError):
        end(lambda: asyncio.run(main()))


def test_where_one_loop_alone_is_watched_others_are_not_told(telemetry: Telemetry, hooked: Hooked) -> None:
    loop = asyncio.new_event_loop()
    telemetry.start(loop=loop)
    end(lambda: asyncio.run(main()))
    assert telemetry.logs == []

    end(lambda: loop.run_until_complete(main()))
    loop.close()

    assert [log.severity_text for log in telemetry.logs] == ["FATAL"]
