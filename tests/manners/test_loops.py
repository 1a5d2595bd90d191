"""Loops of every class are seen; closing or losing one settles its tasks and leaves nothing behind."""

from __future__ import annotations

import asyncio
import functools
import gc
import warnings
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import aiotel
from aiotel._process import instrument

from ..conftest import Loops, Telemetry

Base = asyncio.SelectorEventLoop


async def three() -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(asyncio.sleep(0))
        group.create_task(asyncio.sleep(0))


async def fails_twice_and_leaves_one() -> None:
    asyncio.get_running_loop().call_soon(lambda: 1 / 0)
    asyncio.create_task(forever())._log_destroy_pending = False  # type: ignore[attr-defined]
    await three()
    await asyncio.sleep(0)


async def forever() -> None:
    await asyncio.get_running_loop().create_future()


class WithSuper(Base):
    def create_task(self, coro: Any, **options: Any) -> Any:
        return super().create_task(coro, **options)

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        super().call_exception_handler({**context, "mine": True})

    def close(self) -> None:
        super().close()


class WithoutSuper(Base):
    def create_task(self, coro: Any, **options: Any) -> Any:
        return asyncio.Task(coro, loop=self, **options)

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        """Nobody else gets to know."""

    def close(self) -> None:
        Base.close(self)


def logged(method: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(method)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        return method(*args, **kwargs)

    return wrapper


class Decorated(Base):
    create_task = logged(Base.create_task)
    call_exception_handler = logged(Base.call_exception_handler)
    close = logged(Base.close)


class Twice(WithSuper):
    def create_task(self, coro: Any, **options: Any) -> Any:
        return super().create_task(coro, **options)

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        super().call_exception_handler(context)


class Mixin:
    def create_task(self, coro: Any, **options: Any) -> Any:
        return super().create_task(coro, **options)  # type: ignore[misc]


class Mixed(Mixin, Base):
    """The override is on a class that is no loop."""


@pytest.mark.parametrize("kind", [WithSuper, WithoutSuper, Decorated, Twice, Mixed])
@pytest.mark.parametrize("late", [False, True])
def test_overrides_are_seen_and_seen_once(telemetry: Telemetry, kind: Any, late: bool) -> None:
    telemetry.start()
    cls = type("Late", (kind,), {}) if late else kind
    loop = cls()
    loop.set_exception_handler(lambda loop, context: None)
    loop.run_until_complete(fails_twice_and_leaves_one())
    loop.close()
    metrics = telemetry.metrics()

    assert len(telemetry.spans) == 4
    assert len(telemetry.logs) == 1
    assert (4, 0) == (metrics["asyncio.task.started"][0].value, metrics["asyncio.task.count"][0].value)
    assert metrics["asyncio.eventloop.count"][0].value == 0


def test_overrides_of_uvloop_are_seen_once(telemetry: Telemetry, loops: Loops) -> None:
    probe = loops.factory()
    base: Any = type(probe)
    probe.close()

    class Mine(base):  # type: ignore[misc]  # whatever kind of loop it is
        def create_task(self, coro: Any, **options: Any) -> Any:
            return super().create_task(coro, **options)

    telemetry.start()

    class Later(Mine):
        def create_task(self, coro: Any, **options: Any) -> Any:
            return super().create_task(coro, **options)

    for cls in (Mine, Later):
        loop = cls()
        loop.run_until_complete(three())
        loop.close()

    assert len(telemetry.spans) == 6
    gc.collect()


def test_an_attribute_that_is_no_method_is_left_alone(telemetry: Telemetry) -> None:
    calls = []

    def create(coro: Any, **options: Any) -> str:
        calls.append(coro)
        return "made"

    class Odd(Base):
        create_task = staticmethod(create)  # type: ignore[assignment]  # the point of it

        @property
        def call_exception_handler(self) -> Any:
            return calls.append

    found = dict(vars(Odd))
    telemetry.start()
    loop = Odd()

    assert loop.create_task("something") == "made"
    loop.call_exception_handler("context")
    assert calls == ["something", "context"]
    assert found["create_task"] is vars(Odd)["create_task"]
    assert found["call_exception_handler"] is vars(Odd)["call_exception_handler"]
    loop.close()


def test_a_subclass_hook_of_the_programs_goes_on(telemetry: Telemetry) -> None:
    made = []

    class Registered:
        def __init_subclass__(cls, *, word: str = "none", **kwargs: Any) -> None:
            super().__init_subclass__(**kwargs)
            made.append((cls.__name__, word))

    telemetry.start()

    class First(Registered, Base, word="one"):
        pass

    class Second(Base, Registered, word="two"):
        pass

    with pytest.raises(TypeError, match="__init_subclass__"):

        class Third(Base, word="three"):  # type: ignore[call-arg]  # the point of it
            pass

    assert made == [("First", "one"), ("Second", "two")]


def _outcomes(telemetry: Telemetry) -> dict[str, Any]:
    return {
        span.name.rpartition(".")[2]: span.attributes["asyncio.task.outcome"]
        for span in telemetry.spans
        if span.attributes
    }


def test_tasks_that_finish_as_their_loop_is_closed_are_told_as_finished(
    loops: Loops, telemetry: Telemetry
) -> None:
    """`run_until_complete(); close()`: the done callbacks of the last tick never run."""

    async def at_once() -> None:
        pass

    async def raises() -> None:
        raise KeyError("at the end")

    async def main() -> list[asyncio.Task[None]]:
        tasks = [asyncio.create_task(at_once()), asyncio.create_task(raises())]
        loop.call_soon(loop.stop)
        return tasks

    telemetry.start()
    loop = loops.factory()
    task = loop.create_task(main())
    loop.run_forever()
    kept = task.result()
    loop.close()
    metrics = telemetry.metrics()

    assert {"main": "returned", "at_once": "returned", "raises": "raised"} == _outcomes(telemetry)
    assert (3, 0) == (metrics["asyncio.task.started"][0].value, metrics["asyncio.task.count"][0].value)
    assert isinstance(kept[1].exception(), KeyError)


@pytest.mark.parametrize("closed", [True, False])
def test_a_loop_that_is_lost_is_settled_once_it_is_gone(telemetry: Telemetry, closed: bool) -> None:
    """asyncio's loops close themselves when they are collected, unless their warning is an error.

    uvloop's are never collected.
    """

    async def leave_one() -> None:
        asyncio.create_task(forever())._log_destroy_pending = False  # type: ignore[attr-defined]
        await asyncio.sleep(0)

    telemetry.start()
    loop: Any = asyncio.new_event_loop()
    loop.run_until_complete(leave_one())
    gone = weakref.ref(loop)
    with warnings.catch_warnings(), pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.unraisablehook", lambda args: None)
        warnings.simplefilter("ignore" if closed else "error")
        del loop
        gc.collect()
    metrics = telemetry.metrics()

    assert gone() is None
    assert {"leave_one": "returned", "forever": "pending"} == _outcomes(telemetry)
    assert (0, 0) == (
        metrics["asyncio.eventloop.count"][0].value,
        metrics["asyncio.task.count"][0].value,
    )


def test_a_runner_makes_no_spans_of_its_own(loops: Loops, telemetry: Telemetry) -> None:
    async def generator() -> Any:
        yield 1

    async def main() -> None:
        await asyncio.to_thread(str)
        kept.append(generator())
        await anext(kept[0])

    kept: list[Any] = []
    telemetry.start()
    loops.run(main())

    assert {"main": "returned"} == {k: v for k, v in _outcomes(telemetry).items() if k != "aclose"}
    assert telemetry.metrics()["asyncio.task.count"][0].value == 0


def test_two_thousand_loops_leave_nothing_behind(telemetry: Telemetry) -> None:
    session = telemetry.start()

    def open_and_close(count: int) -> int:
        for _ in range(count):
            loop = asyncio.SelectorEventLoop()
            loop.run_until_complete(asyncio.sleep(0))
            loop.close()
        assert session.flush(timeout=30)
        telemetry.exporter.clear()
        gc.collect()
        return len(gc.get_objects())

    few = open_and_close(20)
    many = open_and_close(2000)

    assert many - few < 100
    assert telemetry.metrics()["asyncio.task.started"][0].value == 2020
    assert telemetry.metrics()["asyncio.eventloop.count"][0].value == 0


def test_a_task_made_on_a_closed_loop_fails_as_without_us(loops: Loops) -> None:
    kept = []

    def attempt() -> str:
        loop = loops.factory()
        loop.close()
        coro = three()
        with pytest.raises(RuntimeError) as caught:
            kept.append(loop.create_task(coro))
        coro.close()
        return f"{caught.value} {caught.value.__context__}"

    plain = attempt()
    instrument(aiotel.Config())

    assert plain == attempt()


@pytest.fixture(autouse=True)
def _nothing_that_is_unclosed() -> Iterator[None]:
    yield
    gc.collect()
