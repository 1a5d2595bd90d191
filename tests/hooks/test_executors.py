"""What loops hand to threads is measured, and nothing about it changes."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import io
import sys
import threading
import time
import traceback
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor, thread
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest
from opentelemetry import context as otel_context
from opentelemetry import trace

import aiotel
from aiotel._faults import faults

from ..conftest import Loops, Telemetry
from .failing import settle, until

ACTIVE = "asyncio.executor.thread.active"
COUNT = "asyncio.executor.thread.count"
LIMIT = "asyncio.executor.thread.limit"
QUEUE = "asyncio.executor.queue.size"
WAITS = "asyncio.executor.queue.duration"

variable = contextvars.ContextVar("variable", default="worker's")


def by_type(telemetry: Telemetry, name: str) -> dict[str, float]:
    """A figure that is not zero, by the type of executor."""
    points = telemetry.metrics().get(name, [])
    found = {point.attributes["asyncio.executor.type"]: getattr(point, "value", None) for point in points}
    return {kind: value for kind, value in found.items() if value}


def waits(telemetry: Telemetry) -> dict[str, int]:
    """How many calls were measured, by the type of executor."""
    points = telemetry.metrics().get(WAITS, [])
    return {point.attributes["asyncio.executor.type"]: point.count for point in points}


@contextmanager
def user_span(telemetry: Telemetry, name: str) -> Iterator[trace.Span]:
    with telemetry.tracer_provider.get_tracer("program").start_as_current_span(name) as span:
        yield span


def start_span(telemetry: Telemetry, name: str) -> None:
    with user_span(telemetry, name):
        pass


# What is measured.


def test_how_long_calls_wait_is_told_by_the_type_of_executor(loops: Loops, telemetry: Telemetry) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        await asyncio.to_thread(time.monotonic)
        await loop.run_in_executor(None, time.monotonic)
        with ThreadPoolExecutor() as pool:
            await asyncio.gather(*[loop.run_in_executor(pool, time.monotonic) for _ in range(5)])

    telemetry.start()
    loops.run(main())

    assert waits(telemetry) == {"default": 2, "user": 5}


def test_a_wait_lasts_until_the_call_starts(loops: Loops, telemetry: Telemetry) -> None:
    letting = threading.Event()
    started: list[float] = []

    async def main() -> None:
        loop = asyncio.get_running_loop()
        with ThreadPoolExecutor(1) as pool:
            first = loop.run_in_executor(pool, letting.wait)
            submitted = time.monotonic()
            second = loop.run_in_executor(pool, lambda: started.append(time.monotonic() - submitted))
            loop.call_later(0.05, letting.set)
            await asyncio.gather(first, second)

    telemetry.start()
    loops.run(main())

    [point] = telemetry.metrics()[WAITS]
    assert started[0] * 0.9 <= point.max <= started[0] + 0.001
    assert point.min < 0.05


def test_how_busy_the_pools_are_is_read_while_they_are(loops: Loops, telemetry: Telemetry) -> None:
    letting = threading.Event()
    told: list[dict[str, float]] = []

    async def main() -> None:
        loop = asyncio.get_running_loop()
        with ThreadPoolExecutor(2) as one, ThreadPoolExecutor(3) as other:
            calls = [loop.run_in_executor(one, letting.wait) for _ in range(5)]
            calls += [loop.run_in_executor(other, letting.wait) for _ in range(2)]
            calls.append(loop.run_in_executor(None, letting.wait))
            await until(lambda: by_type(telemetry, ACTIVE) == {"default": 1, "user": 4})
            told.extend(by_type(telemetry, name) for name in (COUNT, QUEUE, LIMIT))
            letting.set()
            await asyncio.gather(*calls)

    telemetry.start()
    loops.run(main())

    limit = ThreadPoolExecutor()._max_workers
    assert told == [{"default": 1, "user": 4}, {"user": 3}, {"default": limit, "user": 5}]
    assert [by_type(telemetry, name) for name in (ACTIVE, COUNT, QUEUE, LIMIT)] == [{}, {}, {}, {}]


def test_all_types_are_told_from_the_start(telemetry: Telemetry) -> None:
    telemetry.start()

    metrics = telemetry.metrics()
    for name in (ACTIVE, COUNT, LIMIT, QUEUE):
        found = {point.attributes["asyncio.executor.type"]: point.value for point in metrics[name]}
        assert found == {"default": 0, "user": 0, "anyio": 0}


def test_the_default_executor_that_the_program_made_is_the_default_one(
    loops: Loops, telemetry: Telemetry
) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        pool = ThreadPoolExecutor(1)
        await loop.run_in_executor(pool, time.monotonic)
        loop.set_default_executor(pool)
        await asyncio.to_thread(time.monotonic)
        await asyncio.to_thread(time.monotonic)

    telemetry.start()
    loops.run(main())

    assert waits(telemetry) == {"user": 1, "default": 2}


def test_what_a_program_submits_by_itself_is_its_own(loops: Loops, telemetry: Telemetry) -> None:
    async def main() -> None:
        with ThreadPoolExecutor() as pool:
            await asyncio.wrap_future(pool.submit(time.monotonic))
            await asyncio.get_running_loop().run_in_executor(pool, time.monotonic)

    telemetry.start()
    loops.run(main())

    assert waits(telemetry) == {"user": 1}


def test_a_call_that_is_cancelled_before_it_starts_has_not_waited(loops: Loops, telemetry: Telemetry) -> None:
    letting = threading.Event()
    active = []

    async def main() -> None:
        loop = asyncio.get_running_loop()
        with ThreadPoolExecutor(1) as pool:
            first = loop.run_in_executor(pool, letting.wait)
            second = loop.run_in_executor(pool, time.monotonic)
            await asyncio.sleep(0)
            second.cancel()
            await settle()
            letting.set()
            await first
            await loop.run_in_executor(pool, time.monotonic)
            active.append(by_type(telemetry, ACTIVE))

    telemetry.start()
    loops.run(main())

    assert waits(telemetry) == {"user": 2}
    assert active == [{}]


def test_a_call_that_is_cancelled_in_the_queue_does_not_wait(loops: Loops, telemetry: Telemetry) -> None:
    letting = threading.Event()
    sizes = []

    async def main() -> None:
        loop = asyncio.get_running_loop()
        with ThreadPoolExecutor(1) as pool:
            first = loop.run_in_executor(pool, letting.wait)
            others = [loop.run_in_executor(pool, time.monotonic) for _ in range(3)]
            await asyncio.sleep(0)
            for other in others[:2]:
                other.cancel()
            await settle()
            sizes.append(by_type(telemetry, QUEUE))
            letting.set()
            await first
            await others[2]
            sizes.append(by_type(telemetry, QUEUE))

    telemetry.start()
    loops.run(main())

    assert sizes == [{"user": 1}, {}]


def test_of_one_loop_alone_nothing_else_counts(loops: Loops, telemetry: Telemetry) -> None:
    async def main() -> None:
        await asyncio.to_thread(time.monotonic)

    loop = loops.new()
    telemetry.start(loop=loop)
    loop.run_until_complete(main())
    loops.run(main())
    loop.run_until_complete(loop.shutdown_default_executor())
    loop.close()

    assert waits(telemetry) == {"default": 1}


def test_a_pool_whose_class_submits_otherwise_is_met_all_the_same(loops: Loops, telemetry: Telemetry) -> None:
    class Carrying(ThreadPoolExecutor):
        def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
            return super().submit(contextvars.copy_context().run, fn, *args, **kwargs)

    class Delegating(Executor):
        def __init__(self) -> None:
            self.pool = ThreadPoolExecutor(1)

        def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
            return self.pool.submit(fn, *args, **kwargs)

    told = []

    async def main() -> None:
        loop = asyncio.get_running_loop()
        delegating = Delegating()
        with Carrying(1) as carrying:
            variable.set("task's")
            told.append(await loop.run_in_executor(carrying, variable.get))
            told.append(await loop.run_in_executor(delegating, variable.get))
            assert by_type(telemetry, LIMIT) == {"user": 2}
        delegating.pool.shutdown()

    telemetry.start()
    loops.run(main())

    assert waits(telemetry) == {"user": 2}
    assert told == ["task's", "worker's"]


def test_an_executor_of_another_kind_is_left_alone(loops: Loops, telemetry: Telemetry) -> None:
    class Immediate(Executor):
        def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
            future: Future[Any] = Future()
            future.set_result(fn(*args, **kwargs))
            return future

    async def main() -> int:
        return await asyncio.get_running_loop().run_in_executor(Immediate(), int, "7")

    telemetry.start()

    assert loops.run(main()) == 7
    assert waits(telemetry) == {}


@pytest.mark.slow
def test_a_pool_of_processes_works_as_ever(loops: Loops, telemetry: Telemetry) -> None:
    async def main() -> int:
        import multiprocessing

        with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
            return await asyncio.get_running_loop().run_in_executor(pool, int, "7")

    telemetry.start()

    assert loops.run(main()) == 7
    assert waits(telemetry) == {}


# What does not change.


def test_the_function_sees_no_frame_of_ours(loops: Loops, telemetry: Telemetry) -> None:
    def stack() -> str:
        written = io.StringIO()
        traceback.print_stack(file=written)
        return written.getvalue()

    async def main() -> tuple[str, str]:
        return await asyncio.to_thread(stack), await asyncio.get_running_loop().run_in_executor(None, stack)

    telemetry.start()
    stacks = loops.run(main())

    assert ["aiotel/" in text.replace(__file__, "") for text in stacks] == [False, False]
    assert waits(telemetry) == {"default": 2}


def test_a_failure_comes_back_without_a_frame_of_ours(loops: Loops, telemetry: Telemetry) -> None:
    def fails() -> None:
        raise LookupError("it")

    async def main() -> list[str]:
        with pytest.raises(LookupError) as caught:
            await asyncio.to_thread(fails)
        return [frame.filename for frame in traceback.extract_tb(caught.value.__traceback__)]

    telemetry.start()
    during = loops.run(main())
    aiotel.uninstrument()

    assert during == loops.run(main())


def test_a_pool_that_takes_no_calls_says_so(loops: Loops, telemetry: Telemetry) -> None:
    async def main() -> None:
        pool = ThreadPoolExecutor()
        pool.shutdown()
        with pytest.raises(RuntimeError, match="cannot schedule new futures after shutdown"):
            await asyncio.get_running_loop().run_in_executor(pool, time.monotonic)
        with ThreadPoolExecutor() as other:
            other.submit(time.monotonic).result()

    telemetry.start()
    loops.run(main())

    assert waits(telemetry) == {}


def test_a_pool_goes_when_the_program_lets_go_of_it(loops: Loops, telemetry: Telemetry) -> None:
    class Pool(ThreadPoolExecutor):
        pass

    async def main() -> list[object]:
        loop = asyncio.get_running_loop()
        references: list[weakref.ref[ThreadPoolExecutor]] = []
        for cls in (ThreadPoolExecutor, Pool):
            pool = cls(1)
            await loop.run_in_executor(pool, time.monotonic)
            assert by_type(telemetry, COUNT) == {"user": 1}
            references.append(weakref.ref(pool))
            del pool
        return [reference() for reference in references]

    telemetry.start()
    gc.collect()
    gc.disable()
    try:
        assert loops.run(main()) == [None, None]
    finally:
        gc.enable()
    assert by_type(telemetry, COUNT) == {}


def test_pools_without_end_are_forgotten_one_by_one(loops: Loops, telemetry: Telemetry) -> None:
    async def main() -> None:
        for _ in range(50):
            with ThreadPoolExecutor(1) as pool:
                await asyncio.get_running_loop().run_in_executor(pool, time.monotonic)

    session = telemetry.start()
    loops.run(main())
    gc.collect()

    assert waits(telemetry) == {"user": 50}
    assert session._hooks.executors.pools()[1:] == []


@pytest.mark.slow
def test_nothing_of_a_pool_goes_on_the_thread_of_who_looks(telemetry: Telemetry) -> None:
    where: set[str] = set()
    over = threading.Event()

    class Value:
        def __del__(self) -> None:
            where.add(threading.current_thread().name)

    def initialize(value: Value) -> None: ...

    def read() -> None:
        while not over.is_set():
            session._hooks.executors.levels()

    async def main() -> None:
        loop = asyncio.get_running_loop()
        end = time.monotonic() + 1
        while time.monotonic() < end:
            pool = ThreadPoolExecutor(2, "worker", initialize, (Value(),))
            await asyncio.gather(*[loop.run_in_executor(pool, time.monotonic) for _ in range(3)])
            del pool

    session = telemetry.start()
    reader = threading.Thread(target=read, name="reader")
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    reader.start()
    try:
        asyncio.run(main())
    finally:
        sys.setswitchinterval(interval)
        over.set()
        reader.join()

    assert {name for name in where if not name.startswith(("MainThread", "worker"))} == set()


def test_what_comes_of_a_call_goes_without_the_collector(loops: Loops, telemetry: Telemetry) -> None:
    class Thing:
        pass

    def make(argument: object) -> Thing:
        return Thing()

    async def main() -> list[object]:
        argument = Thing()
        made = await asyncio.get_running_loop().run_in_executor(pool, make, argument)
        references = [weakref.ref(argument), weakref.ref(made)]
        del argument, made
        await asyncio.get_running_loop().run_in_executor(pool, time.monotonic)
        return [reference() for reference in references]

    telemetry.start()
    gc.collect()
    gc.disable()
    try:
        with ThreadPoolExecutor(1) as pool:
            assert loops.run(main()) == [None, None]
    finally:
        gc.enable()


def test_a_future_is_what_it_was_for_who_looks(telemetry: Telemetry) -> None:
    letting = threading.Event()
    futures: list[Future[Any]] = []
    words = []

    class Remembering(ThreadPoolExecutor):
        def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
            futures.append(super().submit(fn, *args, **kwargs))
            words.append(repr(futures[-1]))
            return futures[-1]

    async def main() -> None:
        with Remembering(1) as pool:
            waiting = asyncio.get_running_loop().run_in_executor(pool, letting.wait)
            assert isinstance(futures[0], Future)
            letting.set()
            await waiting

    telemetry.start()
    asyncio.run(main())

    assert words[0].startswith("<Future at 0x")
    assert type(futures[0]) is Future
    assert "aiotel" not in str(vars(futures[0]))


def test_everything_is_put_back(telemetry: Telemetry) -> None:
    before = vars(thread._WorkItem)["__init__"]

    telemetry.start()
    during = vars(thread._WorkItem)["__init__"]
    aiotel.uninstrument()

    assert before is not during
    assert before is vars(thread._WorkItem)["__init__"]


def test_once_somebody_has_wrapped_it_ours_lets_all_pass(loops: Loops, telemetry: Telemetry) -> None:
    item: Any = thread._WorkItem
    before = vars(item)["__init__"]
    telemetry.start()
    inner = vars(item)["__init__"]

    def wrapper(self: Any, *args: Any, **kwargs: Any) -> None:
        inner(self, *args, **kwargs)

    try:
        item.__init__ = wrapper
        aiotel.uninstrument()
        after = vars(item)["__init__"]

        assert loops.run(asyncio.to_thread(int, "7")) == 7
    finally:
        item.__init__ = before
    assert after is wrapper
    assert waits(telemetry) == {}


def test_calls_that_wait_when_aiotel_goes_are_made(loops: Loops, telemetry: Telemetry) -> None:
    letting = threading.Event()

    async def main() -> list[Any]:
        loop = asyncio.get_running_loop()
        with ThreadPoolExecutor(1) as pool:
            first = loop.run_in_executor(pool, letting.wait)
            second = loop.run_in_executor(pool, trace.get_current_span)
            await asyncio.to_thread(aiotel.uninstrument)
            letting.set()
            return [await first, await second]

    telemetry.start()
    with user_span(telemetry, "request"):
        assert loops.run(main()) == [True, trace.INVALID_SPAN]


def test_in_a_child_process_what_the_parent_did_is_the_parents(loops: Loops, telemetry: Telemetry) -> None:
    letting = threading.Event()
    told: list[object] = []

    async def main() -> None:
        loop = asyncio.get_running_loop()
        executors = session._hooks.executors
        with ThreadPoolExecutor(1) as pool:
            calls = [loop.run_in_executor(pool, letting.wait) for _ in range(2)]
            await until(lambda: executors.levels()["user"].get(ACTIVE))
            executors.forget()  # what a fork does there
            told.append(executors.levels()["user"])
            letting.set()
            await asyncio.gather(*calls)
            await loop.run_in_executor(pool, time.monotonic)
            told.append({kind: len(found) for kind, found in executors.take_waits()})

    session = telemetry.start()
    loops.run(main())

    assert told[0] == {}
    assert told[1] in ({"user": 1}, {})  # the pump may have come first


def test_a_fault_of_ours_does_not_lose_the_call(
    loops: Loops, telemetry: Telemetry, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> None:
        raise ZeroDivisionError

    context = SimpleNamespace(attach=lambda context: object(), detach=fails)
    broken = {"executors.get_current_span": fails, "submitted._clock": fails, "submitted.get_ident": fails}
    telemetry.start()
    before = faults.count
    for place, instead in {**broken, "submitted.otel_context": context}.items():
        monkeypatch.setattr(f"aiotel._hooks.{place}", instead)

        with user_span(telemetry, "request"):
            assert loops.run(asyncio.to_thread(int, "7")) == 7
        assert faults.count > before
        faults.count = before
        faults.latest.clear()
        monkeypatch.undo()


# The current span.


def test_in_to_thread_the_current_span_is_the_callers(loops: Loops, telemetry: Telemetry) -> None:
    async def main() -> None:
        with user_span(telemetry, "request"):
            await asyncio.to_thread(start_span, telemetry, "query")
            await asyncio.create_task(child())

    async def child() -> None:
        await asyncio.to_thread(start_span, telemetry, "nested")

    telemetry.start()
    loops.run(main())

    parents = telemetry.parents()
    assert (parents["query"], parents["nested"], parents["child"]) == ("request", "child", "request")


def test_in_run_in_executor_it_is_too(loops: Loops, telemetry: Telemetry) -> None:
    async def main() -> None:
        with user_span(telemetry, "request"):
            await asyncio.get_running_loop().run_in_executor(None, start_span, telemetry, "query")
            await asyncio.create_task(child())
        await asyncio.get_running_loop().run_in_executor(None, start_span, telemetry, "after")

    async def child() -> None:
        await asyncio.get_running_loop().run_in_executor(None, start_span, telemetry, "nested")

    telemetry.start()
    loops.run(main())

    parents = telemetry.parents()
    assert (parents["query"], parents["nested"], parents["child"]) == ("request", "child", "request")
    assert parents["after"] is None


def test_where_no_span_is_current_nothing_is_made_current(loops: Loops, telemetry: Telemetry) -> None:
    async def main() -> None:
        token = otel_context.attach(otel_context.set_value("key", "value"))
        loop = asyncio.get_running_loop()
        assert await loop.run_in_executor(None, lambda: otel_context.get_value("key")) is None
        await asyncio.get_running_loop().run_in_executor(None, start_span, telemetry, "root")
        otel_context.detach(token)

    telemetry.start()
    loops.run(main())

    assert telemetry.parents()["root"] is None


def test_nothing_but_opentelemetrys_context_goes_along_and_it_goes_again(
    loops: Loops, telemetry: Telemetry
) -> None:
    told: list[tuple[str, bool]] = []

    def tell() -> None:
        told.append((variable.get(), trace.get_current_span() is not trace.INVALID_SPAN))

    def fails() -> None:
        tell()
        raise LookupError

    async def main() -> None:
        loop = asyncio.get_running_loop()
        variable.set("task's")
        with ThreadPoolExecutor(1) as pool:
            with user_span(telemetry, "request"):
                await loop.run_in_executor(pool, tell)
                with pytest.raises(LookupError):
                    await loop.run_in_executor(pool, fails)
            await asyncio.wrap_future(pool.submit(tell))

    telemetry.start()
    loops.run(main())

    assert told == [("worker's", True), ("worker's", True), ("worker's", False)]


def test_beside_opentelemetrys_own_instrumentation_of_threads_nothing_doubles(
    loops: Loops, telemetry: Telemetry, monkeypatch: pytest.MonkeyPatch
) -> None:
    submit = ThreadPoolExecutor.submit

    def as_they_do(pool: Any, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        context = otel_context.get_current()

        def wrapped(*args: Any, **kwargs: Any) -> Any:
            token = otel_context.attach(context)
            try:
                return function(*args, **kwargs)
            finally:
                otel_context.detach(token)

        return submit(pool, wrapped, *args, **kwargs)

    async def main() -> None:
        with user_span(telemetry, "request"):
            await asyncio.get_running_loop().run_in_executor(None, start_span, telemetry, "query")

    monkeypatch.setattr(ThreadPoolExecutor, "submit", as_they_do)
    telemetry.start()
    loops.run(main())

    assert telemetry.parents()["query"] == "request"
    assert [span.name for span in telemetry.spans].count("query") == 1
    assert waits(telemetry) == {"default": 1}
