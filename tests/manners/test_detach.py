"""What aiotel replaces is put back, the very object; what others made of it meanwhile goes on working."""

from __future__ import annotations

import asyncio
import gc
import threading
from asyncio import AbstractEventLoop, BaseEventLoop
from collections.abc import Iterator
from typing import Any

import pytest

import aiotel
from aiotel._faults import faults

from ..conftest import Loops, Telemetry


def _classes() -> list[type]:
    """Every class of event loops there is."""

    def below(cls: type) -> Iterator[type]:
        yield cls
        children: list[type] = cls.__subclasses__()
        for child in children:
            yield from below(child)

    return list(dict.fromkeys(below(AbstractEventLoop)))


def _attributes() -> dict[type, dict[str, object]]:
    return {cls: dict(vars(cls)) for cls in _classes()}


async def three() -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(asyncio.sleep(0))
        group.create_task(asyncio.sleep(0))


def test_every_class_of_loops_is_what_it_was(loops: Loops, telemetry: Telemetry) -> None:
    before = _attributes()

    telemetry.start()
    assert before != _attributes()
    loops.run(three())
    aiotel.uninstrument()

    assert before == _attributes()


def test_a_loop_is_what_it_was(loops: Loops, telemetry: Telemetry) -> None:
    loop = loops.new()
    before = set(dir(loop))
    factory, handler = loop.get_task_factory(), loop.get_exception_handler()

    telemetry.start()
    loop.run_until_complete(three())
    during = loop.get_task_factory(), loop.get_exception_handler()
    aiotel.uninstrument()
    loop.run_until_complete(three())

    assert (factory, handler) == during
    assert (factory, handler) == (loop.get_task_factory(), loop.get_exception_handler())
    assert before == set(dir(loop))
    loop.close()


def test_twice_is_as_once(loops: Loops, telemetry: Telemetry) -> None:
    before = _attributes()

    first = telemetry.start()
    again = aiotel.instrument()
    loops.run(three())
    spans = len(telemetry.spans)
    aiotel.uninstrument()
    aiotel.uninstrument()

    assert first is again
    assert spans == 3
    assert before == _attributes()


def test_a_session_can_be_closed_twice_and_followed_by_another(loops: Loops, telemetry: Telemetry) -> None:
    before = _attributes()

    with telemetry.start() as session:
        loops.run(three())
    session.close()
    with telemetry.start() as other:
        loops.run(three())

    assert session is not other
    assert len(telemetry.spans) == 6
    assert before == _attributes()


@pytest.fixture
def put_back() -> Iterator[None]:
    """The class as it was before somebody put a wrapper on it."""
    found = {name: vars(BaseEventLoop)[name] for name in ("create_task", "call_exception_handler", "close")}
    yield
    aiotel.uninstrument()
    for name, method in found.items():
        setattr(BaseEventLoop, name, method)
    if "_aiotel_ledger" in vars(BaseEventLoop):
        del BaseEventLoop._aiotel_ledger  # type: ignore[attr-defined]


def _wrap_all() -> list[str]:
    """Wrap the methods of `BaseEventLoop` as somebody else's instrumentation would; gives what it saw."""
    seen: list[str] = []

    def wrapper(name: str, inner: Any) -> Any:
        def method(loop: Any, *args: Any, **kwargs: Any) -> Any:
            seen.append(name)
            return inner(loop, *args, **kwargs)

        return method

    for name in ("create_task", "call_exception_handler", "close"):
        setattr(BaseEventLoop, name, wrapper(name, vars(BaseEventLoop)[name]))
    return seen


def _lose_one_failure() -> None:
    async def main() -> None:
        asyncio.get_running_loop().call_soon(lambda: 1 / 0)
        await three()
        await asyncio.sleep(0)

    with asyncio.Runner() as runner:
        runner.get_loop().set_exception_handler(lambda loop, context: None)
        runner.run(main())


@pytest.mark.usefixtures("put_back")
def test_ours_lets_all_pass_once_somebody_has_wrapped_it(telemetry: Telemetry) -> None:
    telemetry.start()
    seen = _wrap_all()
    wrappers = dict(vars(BaseEventLoop))

    aiotel.uninstrument()
    _lose_one_failure()

    assert {name: wrappers[name] for name in seen} == {name: vars(BaseEventLoop)[name] for name in seen}
    assert {"create_task", "call_exception_handler", "close"} == set(seen)
    assert ([], []) == (telemetry.spans, telemetry.logs)


@pytest.mark.usefixtures("put_back")
def test_a_session_that_follows_a_wrapped_one_sees_everything_once(telemetry: Telemetry) -> None:
    telemetry.start()
    _wrap_all()
    aiotel.uninstrument()
    second = Telemetry()

    second.start()
    _wrap_all()
    _lose_one_failure()
    spans, logs, metrics = second.spans, second.logs, second.metrics()
    aiotel.uninstrument()
    third = Telemetry()
    third.start()
    _lose_one_failure()

    assert (3, 1, 3) == (len(spans), len(logs), metrics["asyncio.task.started"][0].value)
    assert (3, 1) == (len(third.spans), len(third.logs))
    assert (0, 0) == (len(telemetry.spans), len(telemetry.logs))


@pytest.mark.usefixtures("put_back")
def test_what_the_original_raises_is_raised_once_by_ours_that_lets_all_pass(telemetry: Telemetry) -> None:
    calls = []

    def factory(loop: Any, coro: Any, **options: Any) -> Any:
        calls.append(coro.__qualname__)
        coro.close()
        raise RuntimeError("no task today")

    async def main() -> None:
        loop = asyncio.get_running_loop()
        loop.set_task_factory(factory)
        with pytest.raises(RuntimeError, match="no task today"):
            await asyncio.create_task(three())
        loop.set_task_factory(None)

    telemetry.start()
    _wrap_all()
    aiotel.uninstrument()
    asyncio.run(main())

    assert calls == ["three"]


def test_classes_made_after_the_end_are_left_alone_by_a_wrapped_subclass_hook(telemetry: Telemetry) -> None:
    telemetry.start()
    ours = vars(AbstractEventLoop)["__init_subclass__"]
    made = []

    def wrapper(cls: Any, /, **kwargs: Any) -> None:
        made.append(cls)
        ours.__func__(cls, **kwargs)

    theirs: Any = classmethod(wrapper)
    AbstractEventLoop.__init_subclass__ = theirs  # type: ignore[method-assign]
    aiotel.uninstrument()
    try:

        class Late(asyncio.SelectorEventLoop):
            def create_task(self, coro: Any, **kwargs: Any) -> Any:
                return super().create_task(coro, **kwargs)

    finally:
        del AbstractEventLoop.__init_subclass__

    assert made == [Late]
    assert Late.create_task.__code__.co_filename == __file__
    assert not hasattr(Late, "_aiotel_ledger")


def test_loops_under_load_do_not_notice_who_comes_and_goes(loops: Loops, telemetry: Telemetry) -> None:
    stop = threading.Event()
    turns: list[int] = []
    wrong: list[BaseException] = []

    async def load() -> int:
        count = 0
        while not stop.is_set():
            results = await asyncio.gather(*(asyncio.sleep(0, number) for number in range(10)))
            assert results == list(range(10))
            count += 1
        return count

    def run() -> None:
        try:
            turns.append(loops.run(load()))
        except BaseException as error:  # noqa: BLE001  # to be told in the test's own thread
            wrong.append(error)

    threads = [threading.Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    before = faults.count
    for _ in range(20):
        telemetry.start()
        loops.run(three())
        aiotel.uninstrument()
    stop.set()
    for thread in threads:
        thread.join(30)

    assert wrong == []
    assert len(turns) == 2
    assert min(turns) > 0
    assert faults.count == before


def test_two_hundred_sessions_leave_nothing_behind() -> None:
    telemetry = Telemetry()

    def sessions(count: int) -> int:
        for _ in range(count):
            telemetry.start()
            asyncio.run(three())
            aiotel.uninstrument()
        telemetry.exporter.clear()
        gc.collect()
        return len(gc.get_objects())

    before = set(threading.enumerate())  # an exporter of an earlier test may still try to reach its collector
    few = sessions(20)
    many = sessions(200)

    assert set(threading.enumerate()) <= before
    assert many - few < 200


def test_counters_go_on_where_the_session_before_left_them(telemetry: Telemetry) -> None:
    def read() -> dict[str, float]:
        metrics = telemetry.metrics()
        return {
            "started": sum(point.value for point in metrics["asyncio.task.started"]),
            "alive": sum(point.value for point in metrics["asyncio.task.count"]),
            "loops": sum(point.value for point in metrics["asyncio.eventloop.count"]),
            "failed": sum(point.value for point in metrics["asyncio.exceptions"]),
        }

    async def main() -> dict[str, float]:
        asyncio.get_running_loop().call_soon(lambda: 1 / 0)
        await three()
        return read()

    async def watched() -> dict[str, float]:
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: None)
        return await main()

    seen = []
    for _ in range(2):
        telemetry.start()
        seen.append(asyncio.run(watched()))
        aiotel.uninstrument()
        seen.append(read())

    assert seen == [
        {"started": 3, "alive": 1, "loops": 1, "failed": 1},
        {"started": 3, "alive": 0, "loops": 0, "failed": 1},
        {"started": 6, "alive": 1, "loops": 1, "failed": 2},
        {"started": 6, "alive": 0, "loops": 0, "failed": 2},
    ]
