"""Every task gets a span under the right parent, whoever makes it and however."""

from __future__ import annotations

import asyncio
import gc
import sys
import threading
from typing import Any

import pytest

import aiotel

from ..conftest import Loops, Telemetry


async def leaf() -> str:
    await asyncio.sleep(0)
    return "leaf"


def test_a_task_is_a_child_of_the_one_that_created_it(loops: Loops, telemetry: Telemetry) -> None:
    async def branch() -> str:
        return await asyncio.create_task(leaf())

    async def main() -> str:
        return await asyncio.create_task(branch())

    telemetry.start()

    assert loops.run(main()) == "leaf"
    assert telemetry.parents() == {"main": None, "branch": "main", "leaf": "branch"}


def test_a_child_made_in_the_first_step_has_its_parent(loops: Loops, telemetry: Telemetry) -> None:
    async def branch() -> None:
        first = asyncio.ensure_future(leaf())
        await asyncio.gather(first, leaf())

    async def main() -> None:
        await asyncio.create_task(branch())

    telemetry.start()
    loops.run(main())

    parents = [span.parent and span.parent.span_id for span in telemetry.spans if span.name == "leaf"]
    branch_context = telemetry.span("branch").context
    assert branch_context is not None
    assert parents == [branch_context.span_id] * 2


async def _by_task_group() -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(leaf())


async def _by_gather() -> None:
    await asyncio.gather(leaf())


async def _by_ensure_future() -> None:
    await asyncio.ensure_future(leaf())


async def _by_the_loop() -> None:
    await asyncio.get_running_loop().create_task(leaf(), name="leafy")


async def _by_wait_for() -> None:
    await asyncio.wait_for(asyncio.create_task(leaf()), 60)


async def _from_a_thread() -> None:
    loop = asyncio.get_running_loop()
    await asyncio.to_thread(lambda: asyncio.run_coroutine_threadsafe(leaf(), loop).result())


@pytest.mark.parametrize(
    "main", [_by_task_group, _by_gather, _by_ensure_future, _by_the_loop, _by_wait_for, _from_a_thread]
)
def test_every_way_to_make_a_task_gives_one_span(loops: Loops, telemetry: Telemetry, main: Any) -> None:
    telemetry.start()
    loops.run(main())

    assert sorted(span.name for span in telemetry.spans) == sorted([main.__name__, "leaf"])


def test_a_span_says_where_its_function_is_and_where_its_task_was_made(
    loops: Loops, telemetry: Telemetry
) -> None:
    async def main() -> None:
        await asyncio.create_task(leaf(), name="one")

    telemetry.start()
    loops.run(main())

    attributes = dict(telemetry.span("leaf").attributes or {})
    attributes.pop("asyncio.task.schedule.duration", None)
    assert attributes == {
        "code.function.name": f"{__name__}.leaf",
        "code.file.path": __file__,
        "code.line.number": leaf.__code__.co_firstlineno,
        "asyncio.task.created.function": f"{main.__qualname__}",
        "asyncio.task.created.file": __file__,
        "asyncio.task.created.line": main.__code__.co_firstlineno + 1,
        "asyncio.task.name": "one",
        "asyncio.task.outcome": "returned",
    }


def test_a_failure_is_an_error_and_a_cancellation_an_outcome(loops: Loops, telemetry: Telemetry) -> None:
    async def fails() -> None:
        raise ValueError("no such order")

    async def waits() -> None:
        await asyncio.sleep(3600)

    async def main() -> None:
        waiting = asyncio.create_task(waits())
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.gather(waiting, asyncio.create_task(fails()), return_exceptions=True)

    telemetry.start()
    loops.run(main())

    failed, cancelled = telemetry.span("fails"), telemetry.span("waits")
    assert (failed.status.status_code.name, failed.status.description) == (
        "ERROR",
        "ValueError: no such order",
    )
    assert (failed.attributes or {})["error.type"] == "ValueError"
    assert (cancelled.status.status_code.name, (cancelled.attributes or {})["asyncio.task.outcome"]) == (
        "UNSET",
        "cancelled",
    )


def test_the_name_a_task_ends_with_is_the_one_that_is_told(loops: Loops, telemetry: Telemetry) -> None:
    async def renamed() -> None:
        await asyncio.sleep(0)
        task = asyncio.current_task()
        assert task is not None
        task.set_name("later")

    telemetry.start()
    loops.run(renamed())

    assert (telemetry.span("renamed").attributes or {})["asyncio.task.name"] == "later"


def test_a_loop_that_runs_already_is_watched(loops: Loops, telemetry: Telemetry) -> None:
    async def main() -> None:
        telemetry.start()
        await asyncio.create_task(leaf())

    loops.run(main())

    assert telemetry.parents() == {"main": None, "leaf": "main"}


def test_loops_in_several_threads_are_watched_at_once(loops: Loops, telemetry: Telemetry) -> None:
    async def main() -> None:
        await asyncio.gather(*[leaf() for _ in range(50)])

    telemetry.start()
    threads = [threading.Thread(target=lambda: loops.run(main())) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(telemetry.spans) == 4 * 51
    assert len({span.context.trace_id for span in telemetry.spans if span.context}) == 4


def test_a_task_that_was_constructed_directly_is_adopted(loops: Loops, telemetry: Telemetry) -> None:
    async def direct() -> None:
        await asyncio.create_task(leaf())

    async def main() -> None:
        await asyncio.Task(direct(), loop=asyncio.get_running_loop())

    telemetry.start()
    loops.run(main())

    assert telemetry.parents() == {"main": None, "direct": None, "leaf": "direct"}


def test_a_task_collected_while_pending_ends_as_pending(loops: Loops, telemetry: Telemetry) -> None:
    async def forgotten(waiting: list[Any]) -> None:
        future = asyncio.get_running_loop().create_future()
        waiting.append(lambda: future)  # a cycle through nothing but itself
        await future

    async def main() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: None)
        asyncio.create_task(forgotten([]))  # type: ignore[unused-awaitable]  # noqa: RUF006  # that is the fault
        await asyncio.sleep(0)
        gc.collect()
        await asyncio.create_task(leaf())

    telemetry.start()
    loops.run(main())

    assert (telemetry.span("forgotten").attributes or {})["asyncio.task.outcome"] == "pending"


def test_tasks_that_live_when_their_loop_is_closed_end_as_pending(loops: Loops, telemetry: Telemetry) -> None:
    async def waits() -> None:
        await asyncio.sleep(3600)

    async def starts() -> Any:
        return asyncio.create_task(waits())

    telemetry.start()
    loop = loops.new()
    loop.set_exception_handler(lambda loop, context: None)
    task = loop.run_until_complete(starts())
    loop.close()

    outcomes = {
        span.name.split(".")[-1]: (span.attributes or {})["asyncio.task.outcome"] for span in telemetry.spans
    }
    assert outcomes == {"starts": "returned", "waits": "pending"}
    task.get_coro().close()


def test_loops_own_tasks_have_no_span(loops: Loops, telemetry: Telemetry) -> None:
    async def main() -> None:
        async def numbers() -> Any:
            yield 1

        open_until_the_end = numbers()
        await anext(open_until_the_end)
        await asyncio.to_thread(int)
        kept.append(open_until_the_end)

    kept: list[Any] = []

    telemetry.start()
    loops.run(main())

    assert sorted(telemetry.parents().items()) == [("aclose", None), ("main", None)]


def test_what_a_server_does_for_itself_has_no_span(loops: Loops, telemetry: Telemetry) -> None:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await reader.readline())
        writer.close()
        await writer.wait_closed()

    async def main() -> None:
        server = await asyncio.start_server(handle, "127.0.0.1", 0)
        async with server:
            reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
            writer.write(b"x\n")
            await reader.read()
            writer.close()
            await asyncio.sleep(0.01)

    telemetry.start()
    loops.run(main())

    assert telemetry.parents() == {"main": None, "handle": None}


def test_aiotel_itself_is_not_where_a_task_was_created(telemetry: Telemetry) -> None:
    telemetry.start()
    aiotel.run(leaf())

    assert (telemetry.span("leaf").attributes or {})["asyncio.task.created.file"] == __file__


def test_the_closing_of_a_generator_is_called_by_its_name(loops: Loops, telemetry: Telemetry) -> None:
    async def numbers() -> Any:
        yield 1

    async def main() -> None:
        await anext(numbers())
        gc.collect()
        await asyncio.sleep(0.01)

    telemetry.start()
    loops.run(main())

    assert sorted(span.name for span in telemetry.spans) == sorted(
        [main.__qualname__, f"{numbers.__qualname__}.aclose"]
    )


def test_wrappers_are_seen_through(telemetry: Telemetry) -> None:
    uvloop = pytest.importorskip("uvloop", exc_type=ImportError)

    async def main() -> None:
        await asyncio.create_task(leaf())

    telemetry.start()
    uvloop.run(main())

    assert telemetry.parents() == {"main": None, "leaf": "main"}


def test_one_loop_alone_can_be_watched(loops: Loops, telemetry: Telemetry) -> None:
    watched, other = loops.new(), loops.new()
    telemetry.start(loop=watched)
    for loop in (watched, other):
        loop.run_until_complete(leaf())
        loop.close()

    assert [span.name for span in telemetry.spans] == ["leaf"]


@pytest.mark.skipif(sys.version_info < (3, 12), reason="3.12 made tasks that start eagerly")
def test_a_chained_factory_keeps_its_tasks_eager(telemetry: Telemetry) -> None:
    async def main() -> list[str]:
        events: list[str] = []

        async def eager() -> None:
            events.append("ran")

        task = asyncio.ensure_future(eager())
        events.append("made")
        await task
        return events

    loop = asyncio.new_event_loop()
    loop.set_task_factory(asyncio.eager_task_factory)  # type: ignore[attr-defined,unused-ignore]  # 3.12
    telemetry.start(loop=loop)

    assert loop.run_until_complete(main()) == ["ran", "made"]
    loop.close()
    assert telemetry.parents() == {"main": None, "eager": "main"}


def test_some_tasks_say_how_long_they_waited_for_their_first_step(telemetry: Telemetry) -> None:
    async def main() -> None:
        await asyncio.gather(*[asyncio.create_task(leaf()) for _ in range(64)])

    telemetry.start()
    asyncio.run(main())

    told = [span for span in telemetry.spans if "asyncio.task.schedule.duration" in (span.attributes or {})]
    assert len(told) == 4
    assert sum(point.count for point in telemetry.metrics()["asyncio.task.schedule.duration"]) == 4


def test_uninstrument_puts_everything_back(loops: Loops, telemetry: Telemetry) -> None:
    found = {
        name: vars(asyncio.BaseEventLoop)[name] for name in ("create_task", "call_exception_handler", "close")
    }
    telemetry.start()
    loops.run(leaf())
    aiotel.uninstrument()
    loops.run(leaf())

    assert {name: vars(asyncio.BaseEventLoop)[name] for name in found} == found
    assert "_aiotel_ledger" not in vars(asyncio.BaseEventLoop)
    assert "__init_subclass__" not in vars(asyncio.AbstractEventLoop)
    assert [span.name for span in telemetry.exporter.get_finished_spans()] == ["leaf"]
