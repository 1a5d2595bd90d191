"""Whatever makes tasks for a program goes on making them, with the arguments that it would get without us."""

from __future__ import annotations

import asyncio
import contextvars
import functools
import sys
from collections.abc import Callable
from typing import Any

import pytest
from opentelemetry.sdk.trace import TracerProvider

import aiotel

from ..conftest import Loops, Telemetry

variable = contextvars.ContextVar("variable", default="unset")


async def three(kind: str = "full") -> str:
    # Since 3.14 a factory gets the name, which the old kind does not take.
    options: dict[str, Any] = {} if kind == "bare" and sys.version_info >= (3, 14) else {"name": "named"}
    async with asyncio.TaskGroup() as group:
        group.create_task(asyncio.sleep(0), **options)
        group.create_task(asyncio.sleep(0))
    return variable.get()


class Seen:
    """What a factory was called with."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, dict[str, Any]]] = []

    def bare(self, loop: asyncio.AbstractEventLoop, coro: Any) -> Any:
        """As documented before 3.11, and still in many programs."""
        self.calls.append((coro.__qualname__, {}))
        return asyncio.Task(coro, loop=loop)

    def full(self, loop: asyncio.AbstractEventLoop, coro: Any, **options: Any) -> Any:
        self.calls.append((coro.__qualname__, {name: type(value) for name, value in options.items()}))
        return asyncio.Task(coro, loop=loop, **{k: v for k, v in options.items() if v is not None})


def _run(loops: Loops, main: Callable[[], Any], factory: Any) -> Any:
    with asyncio.Runner(loop_factory=loops.factory) as runner:
        runner.get_loop().set_task_factory(factory)
        assert runner.get_loop().get_task_factory() is factory
        return runner.run(main())


def _needs_context(loops: Loops, kind: str) -> bool:
    """uvloop hands `context=` to every factory: the old kind cannot be used there."""
    return loops.name == "uvloop" and kind == "bare"


@pytest.mark.parametrize("kind", ["bare", "full"])
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_factory_is_called_as_it_would_be(loops: Loops, telemetry: Telemetry, kind: str, when: str) -> None:
    if _needs_context(loops, kind):
        return

    async def main() -> str:
        loop = asyncio.get_running_loop()
        if when == "after":
            loop.set_task_factory(getattr(seen, kind))
        result = await three(kind)
        assert loop.get_task_factory() == (getattr(seen, kind) if when == "after" else factory)
        if when == "after":
            loop.set_task_factory(None)
        return result

    runs = []
    for start in (lambda: None, telemetry.start):
        start()
        seen = Seen()
        factory = getattr(seen, kind) if when == "before" else None
        # `Runner` gives its main task a context, which the old kind of factory does not take.
        run = _run_without_runner if kind == "bare" else _run
        runs.append((run(loops, main, factory), seen.calls))

    assert runs[0] == runs[1]
    assert len(telemetry.spans) == 3


def _run_without_runner(loops: Loops, main: Callable[[], Any], factory: Any) -> Any:
    loop = loops.factory()
    loop.set_task_factory(factory)
    try:
        return loop.run_until_complete(main())
    finally:
        loop.set_task_factory(None)
        loop.close()


@pytest.mark.parametrize("kind", ["bare", "full"])
def test_under_a_users_span_tasks_of_a_factory_hang_under_it(
    loops: Loops, telemetry: Telemetry, kind: str
) -> None:
    """Here the task has to run in a context of ours, and the old kind of factory takes none."""
    if _needs_context(loops, kind):
        return

    async def main() -> tuple[str, str]:
        variable.set("mine")
        with telemetry.tracer_provider.get_tracer("program").start_as_current_span("request"):
            inside = await asyncio.create_task(three(kind))
        return inside, variable.get()

    telemetry.start()
    seen = Seen()
    found = _run_without_runner(loops, main, getattr(seen, kind))

    assert found == ("mine", "mine")
    assert telemetry.parents()["three"] == "request"
    assert len(seen.calls) == 4


def test_what_a_factory_raises_is_raised_and_nothing_is_left_over(loops: Loops, telemetry: Telemetry) -> None:
    def factory(loop: asyncio.AbstractEventLoop, coro: Any, **options: Any) -> Any:
        coro.close()
        raise RuntimeError("no task today")

    async def main() -> list[str]:
        loop = asyncio.get_running_loop()
        loop.set_task_factory(factory)
        errors = []
        for _ in range(3):
            with pytest.raises(RuntimeError) as caught:
                await asyncio.create_task(three())
            errors.append(f"{caught.value} {caught.value.__context__}")
        loop.set_task_factory(None)
        await three()
        return errors

    telemetry.start()
    errors = loops.run(main())
    metrics = telemetry.metrics()

    assert errors == ["no task today None"] * 3
    assert (3, 0) == (metrics["asyncio.task.started"][0].value, metrics["asyncio.task.count"][0].value)
    assert len(telemetry.spans) == 3


def test_a_factory_may_return_something_that_is_no_task(loops: Loops, telemetry: Telemetry) -> None:
    class Odd:
        """Neither a task, nor a future, nor anything that could be told of."""

        __slots__ = ("coro",)

        def __init__(self, coro: Any) -> None:
            coro.close()

        def set_name(self, name: str) -> None:
            """For 3.13.0, which calls it."""

        def done(self) -> bool:
            return False

    class Named(asyncio.Future[str]):
        def set_name(self, name: object) -> None:
            """As `asyncio` wants it of any factory's futures, from 3.13 on."""

    def future(loop: asyncio.AbstractEventLoop, coro: Any, **options: Any) -> Any:
        made = Named(loop=loop)
        inner = asyncio.Task(coro, loop=loop)
        inner.add_done_callback(lambda task: made.set_result(task.result()))
        return made

    async def main() -> tuple[Any, Any]:
        loop = asyncio.get_running_loop()
        loop.set_task_factory(future)
        first: Any = await loop.create_task(three_times())
        loop.set_task_factory(lambda loop, coro, **options: Odd(coro))  # type: ignore[arg-type]
        second = loop.create_task(three())
        loop.set_task_factory(None)
        return first, type(second)

    async def three_times() -> str:
        await asyncio.sleep(0)
        return "done"

    telemetry.start()

    assert loops.run(main()) == ("done", Odd)
    metrics = telemetry.metrics()
    assert metrics["asyncio.task.count"][0].value == 0
    assert len(telemetry.spans) == metrics["asyncio.task.started"][0].value


def test_a_factory_that_fails_its_future_is_told_once(loops: Loops, telemetry: Telemetry) -> None:
    class Failing(asyncio.Future[str]):
        def set_name(self, name: object) -> None:
            """As `asyncio` wants it."""

    def factory(loop: asyncio.AbstractEventLoop, coro: Any, **options: Any) -> Any:
        coro.close()
        future = Failing(loop=loop)
        future.set_exception(ValueError("never ran"))
        return future

    async def main() -> None:
        loop = asyncio.get_running_loop()
        loop.set_task_factory(factory)
        with pytest.raises(ValueError, match="never ran"):
            await loop.create_task(three())
        loop.set_task_factory(None)

    telemetry.start()
    loops.run(main())

    outcomes = [span.attributes["asyncio.task.outcome"] for span in telemetry.spans if span.attributes]
    assert sorted(map(str, outcomes)) == ["raised", "returned"]


def test_tasks_of_a_class_of_the_programs_own_are_told(loops: Loops, telemetry: Telemetry) -> None:
    class Mine(asyncio.Task[Any]):
        """One with an opinion on equality, and a name of its own."""

        def __eq__(self, other: object) -> bool:
            raise RuntimeError("compared")

        __hash__ = asyncio.Task.__hash__

        def get_name(self) -> str:
            return "mine: " + super().get_name()

    async def main() -> None:
        loop = asyncio.get_running_loop()
        loop.set_task_factory(functools.partial(make, Mine))
        await asyncio.create_task(child(), name="one")
        loop.set_task_factory(None)

    async def child() -> None:
        await asyncio.create_task(asyncio.sleep(0), name="two")

    def make(kind: type[asyncio.Task[Any]], loop: Any, coro: Any, **options: Any) -> Any:
        return kind(coro, loop=loop, **{k: v for k, v in options.items() if v is not None})

    telemetry.start()
    loops.run(main())

    told = {span.attributes["asyncio.task.name"] for span in telemetry.spans if span.attributes}
    assert {"mine: one", "mine: two"} <= told
    assert telemetry.parents() == {"main": None, "child": "main", "sleep": "child"}


if sys.version_info >= (3, 12):

    def test_an_eager_factory_is_seen_as_itself_by_whoever_looks(telemetry: Telemetry) -> None:
        """anyio compares the code of the loop's factory with the eager one's."""
        factory: Any = asyncio.eager_task_factory  # type: ignore[attr-defined,unused-ignore]
        steps = []

        async def child() -> None:
            steps.append("child")
            await asyncio.sleep(0)

        async def main() -> Any:
            loop: Any = asyncio.get_running_loop()
            loop.set_task_factory(factory)
            task = asyncio.create_task(child())
            steps.append("main")
            await task
            return loop.get_task_factory()

        telemetry.start()
        found = asyncio.run(main())

        assert found.__code__ is factory.__code__
        assert steps == ["child", "main"]
        assert telemetry.parents() == {"main": None, "child": "main"}


def test_a_coroutine_that_is_none_is_refused_as_without_us(loops: Loops) -> None:
    async def main() -> list[str]:
        errors = []
        for wrong in (None, 7, "coroutine", three):
            with pytest.raises(TypeError) as caught:
                await asyncio.get_running_loop().create_task(wrong)  # type: ignore[arg-type]
            errors.append(f"{caught.value} {caught.value.__context__}")
        return [error.split(" at 0x")[0] for error in errors]

    plain = loops.run(main())
    aiotel.instrument(aiotel.Config(), tracer_provider=TracerProvider(shutdown_on_exit=False))

    assert plain == loops.run(main())


def test_a_class_put_in_the_place_of_asyncios_tasks_gets_what_it_would_get(
    loops: Loops, telemetry: Telemetry, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[tuple[str, dict[str, Any]]] = []

    class Mine(asyncio.Task[Any]):
        def __init__(self, coro: Any, **options: Any) -> None:
            calls.append((coro.__qualname__, {k: v for k, v in options.items() if k in {"name", "context"}}))
            super().__init__(coro, **options)

    async def main() -> list[bool]:
        loop = asyncio.get_running_loop()
        tasks = [asyncio.create_task(three(), name="named"), loop.create_task(three())]
        await asyncio.gather(*tasks)
        return [type(task) is Mine for task in tasks]

    monkeypatch.setattr(asyncio.tasks, "Task", Mine)
    runs = []
    for start in (lambda: None, telemetry.start):
        start()
        calls.clear()
        runs.append((loops.run(main()), [(name, sorted(options)) for name, options in calls]))

    assert runs[0] == runs[1]
