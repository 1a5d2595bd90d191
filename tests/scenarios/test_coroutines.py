"""Small programs that lose coroutines, tasks and generators, and look-alikes that lose none."""

from __future__ import annotations

import gc
import inspect
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from aiotel._hooks import unstarted

from ..conftest import Loops
from .wire import Program, Told, program_of, wire


@dataclass(frozen=True)
class Broken:
    """A program, and what it is to give.

    `FETCH` is the function whose coroutine or task is lost, `HOLDER` the one that loses it; `main(loop)` is
    the program. The line marked `lost` is the one to be told.
    """

    text: str
    event: str = "asyncio.coroutine.never_awaited"
    severity: str = "WARN"
    in_task: bool = True
    held_by_traceback: bool = False


NEVER_AWAITED = {
    "a call alone": Broken(
        """
        import asyncio

        async def FETCH():
            await asyncio.sleep(0)

        async def HOLDER():
            await asyncio.sleep(0)
            FETCH()  #! lost
            await asyncio.sleep(0)

        async def main(loop):
            await asyncio.create_task(HOLDER(), name="the task")
        """
    ),
    "a condition": Broken(
        """
        import asyncio

        class Store:
            async def FETCH(self):
                return True

        async def HOLDER(store):
            if store.FETCH():  #! lost
                return 1
            return 2

        async def main(loop):
            await asyncio.create_task(HOLDER(Store()), name="the task")
        """
    ),
    "a lost result of a helper, deep below": Broken(
        """
        import asyncio

        async def FETCH(number):
            return number

        def make(number):
            return FETCH(number)

        def HOLDER(depth):
            if depth:
                HOLDER(depth - 1)
            else:
                make(  #! lost
                    depth
                )

        async def deep(depth):
            if depth:
                await deep(depth - 1)
            else:
                HOLDER(5)

        async def main(loop):
            await asyncio.create_task(deep(7), name="the task")
        """
    ),
    "a variable that goes with its frame": Broken(
        """
        import asyncio

        async def FETCH():
            pass

        async def HOLDER():
            kept = FETCH()

        async def main(loop):
            await asyncio.create_task(HOLDER(), name="the task")
        """
    ),
    "a cycle": Broken(
        """
        import asyncio, gc

        async def FETCH():
            pass

        async def HOLDER():
            kept = [FETCH()]
            kept.append(kept)

        async def main(loop):
            await asyncio.create_task(HOLDER(), name="the task")
            gc.collect()
        """,
        in_task=False,
    ),
    "a thread": Broken(
        """
        import asyncio

        async def FETCH():
            pass

        def HOLDER():
            FETCH()  #! lost

        async def main(loop):
            await asyncio.to_thread(HOLDER)
        """,
        in_task=False,
    ),
    "a callback that is a coroutine function": Broken(
        """
        import asyncio

        async def FETCH():
            pass

        async def main(loop):
            loop.call_soon(FETCH)
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        """,
        in_task=False,
    ),
    "a loop that is closed": Broken(
        """
        import asyncio

        async def FETCH():
            pass

        def HOLDER(loop):
            try:
                loop.create_task(FETCH())  #! lost
            except RuntimeError:
                pass

        def main(loop):
            loop.close()
            HOLDER(loop)
        """,
        in_task=False,
        held_by_traceback=True,
    ),
}

LOST = {
    "a task that nobody holds": Broken(
        """
        import asyncio, gc

        async def FETCH(loop):
            await loop.create_future()

        async def HOLDER(loop):
            asyncio.create_task(FETCH(loop), name="the task")  #! lost
            await asyncio.sleep(0)

        async def main(loop):
            await HOLDER(loop)
            gc.collect()
        """,
        event="asyncio.task.destroyed_pending",
        severity="ERROR",
    ),
    "a task on a loop that is closed before it runs": Broken(
        """
        async def FETCH():
            pass

        def HOLDER(loop):
            loop.create_task(FETCH(), name="the task")  #! lost

        def main(loop):
            HOLDER(loop)
            loop.close()
        """,
        event="asyncio.task.never_started",
    ),
    "a task made between the last run of a loop and its close": Broken(
        """
        import asyncio

        async def FETCH():
            pass

        kept = []

        def HOLDER(loop):
            kept.append(loop.create_task(FETCH(), name="the task"))  #! lost

        def main(loop):
            loop.run_until_complete(asyncio.sleep(0))
            HOLDER(loop)
            loop.close()
            kept.clear()
        """,
        event="asyncio.task.never_started",
    ),
}

INNOCENT = {
    "awaited later": """
        import asyncio

        async def FETCH():
            return 1

        async def main(loop):
            kept = FETCH()
            await asyncio.sleep(0)
            await kept
        """,
    "stored, then awaited": """
        import asyncio

        async def FETCH():
            return 1

        class Store:
            pass

        async def main(loop):
            store = Store()
            store.kept = [FETCH() for _ in range(3)]
            await asyncio.sleep(0)
            for kept in store.kept:
                await kept
        """,
    "closed": """
        async def FETCH():
            return 1

        async def main(loop):
            FETCH().close()
        """,
    "given to gather": """
        import asyncio

        async def FETCH():
            return 1

        async def main(loop):
            await asyncio.gather(FETCH(), FETCH())
        """,
    "wrapped in a task, and cancelled before it starts": """
        import asyncio

        async def FETCH():
            return 1

        async def main(loop):
            task = asyncio.create_task(FETCH())
            task.cancel()
            await asyncio.wait([task])
        """,
    "given to wait_for, which is too late": """
        import asyncio

        async def FETCH():
            await asyncio.sleep(60)

        async def main(loop):
            for timeout in (0, 0.001):
                try:
                    await asyncio.wait_for(FETCH(), timeout)
                except TimeoutError:
                    pass
        """,
    "a task group that fails before its tasks start": """
        import asyncio

        async def FETCH():
            return 1

        async def main(loop):
            try:
                async with asyncio.TaskGroup() as group:
                    group.create_task(FETCH())
                    raise ValueError
            except ExceptionGroup:
                pass
        """,
    "a task made moments before its loop runs": """
        async def FETCH():
            return 1

        def main(loop):
            loop.run_until_complete(loop.create_task(FETCH()))
        """,
    "a task in a set": """
        import asyncio, gc

        async def FETCH(future):
            await future

        async def main(loop):
            future = loop.create_future()
            tasks = {asyncio.create_task(FETCH(future))}
            await asyncio.sleep(0)
            gc.collect()
            future.set_result(None)
            await asyncio.wait(tasks)
        """,
    "a generator that is closed": """
        async def FETCH():
            yield 1
            yield 2

        async def main(loop):
            generator = FETCH()
            await anext(generator)
            await generator.aclose()
        """,
}


def run(program: Program, loops: Loops) -> None:
    main = program.namespace["main"]
    loop = loops.new()
    try:
        if inspect.iscoroutinefunction(main):
            loop.run_until_complete(main(loop))
        else:
            main(loop)
    finally:
        loop.run_until_complete(loop.shutdown_default_executor()) if not loop.is_closed() else None
        loop.close()
    del loop
    gc.collect()


@pytest.fixture(autouse=True)
def _silent(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    caplog.set_level("CRITICAL", logger="asyncio")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def told_of(text: str, loops: Loops, capsys: pytest.CaptureFixture[str]) -> tuple[Program, Told]:
    program = program_of(text, "FETCH", "HOLDER")
    with wire(capsys) as told:
        run(program, loops)
    return program, told


def by_suffix(attributes: Any, name: str) -> tuple[Any, Any]:
    return attributes.get(f"{name}.file"), attributes.get(f"{name}.line")


@pytest.mark.slow
@pytest.mark.parametrize("broken", NEVER_AWAITED.values(), ids=NEVER_AWAITED.keys())
def test_a_coroutine_that_is_lost_is_told_once(
    loops: Loops, capsys: pytest.CaptureFixture[str], broken: Broken
) -> None:
    program, told = told_of(broken.text, loops, capsys)
    [log] = told.logs
    [line] = told.lines
    # asyncio's frames hold it until the exception goes, and who let go of it then is not certain.
    held = broken.held_by_traceback and loops.name != "uvloop"
    lost = None if held else program.marked.get("lost")
    function = program.namespace.get(program.names["FETCH"]) or program.namespace["Store"]

    assert told.events == [(broken.event, broken.severity)]
    assert told.counts("asyncio.coroutine.never_awaited") == {log.attributes["code.function.name"]: 1}
    assert told.counts("asyncio.findings") == {}
    assert str(log.attributes["code.function.name"]).endswith(program.names["FETCH"])
    assert str(log.attributes["code.function.name"]).startswith(f"{program.module}.")
    assert by_suffix(log.attributes, "asyncio.coroutine.defined") == (
        program.file,
        getattr(function, program.names["FETCH"], function).__code__.co_firstlineno,
    )
    assert log.attributes.get("code.line.number") == lost
    assert log.attributes.get("code.file.path") == (program.file if lost else None)
    assert log.attributes.get("asyncio.coroutine.dropped.function") == (
        program.names["HOLDER"] if lost else None
    )
    if broken.in_task:
        [span] = [span for span in told.spans if span.attributes.get("asyncio.task.name") == "the task"]
        assert (log.trace_id, log.span_id) == (span.trace_id, span.span_id)
    assert (line["event"], line["level"]) == (log.body, "warning")
    assert {key: line.get(key) for key in log.attributes} == dict(log.attributes)


@pytest.mark.slow
@pytest.mark.parametrize("broken", LOST.values(), ids=LOST.keys())
def test_a_task_that_is_lost_is_told_once(
    loops: Loops, capsys: pytest.CaptureFixture[str], broken: Broken
) -> None:
    program, told = told_of(broken.text, loops, capsys)
    [log] = told.logs
    [line] = told.lines
    [span] = [span for span in told.spans if span.span_id == log.span_id]

    assert told.events == [(broken.event, broken.severity)]
    assert log.attributes["asyncio.task.name"] == "the task"
    assert told.counts("asyncio.findings") == {broken.event.rpartition(".")[2]: 1}
    assert told.counts("asyncio.coroutine.never_awaited") == {}
    assert log.attributes["code.function.name"] == program.qualified("FETCH")
    assert by_suffix(log.attributes, "asyncio.task.created") == (program.file, program.marked["lost"])
    assert (log.trace_id, program.names["FETCH"]) == (span.trace_id, span.name)
    assert line["event"] == log.body


@pytest.mark.slow
def test_a_generator_that_is_left_open_is_told_once(loops: Loops, capsys: pytest.CaptureFixture[str]) -> None:
    program, told = told_of(
        """
        kept = []

        async def FETCH():
            try:
                yield 1  #! lost
            finally:
                kept.clear()

        async def HOLDER():
            kept.append(FETCH())
            async for number in kept[0]:
                break

        def main(loop):
            loop.run_until_complete(HOLDER())
            loop.close()
        """,
        loops,
        capsys,
    )
    [log] = told.logs

    assert told.events == [("asyncio.asyncgen.not_closed", "WARN")]
    assert told.counts("asyncio.findings") == {"not_closed": 1}
    assert dict(log.attributes) == {
        "code.function.name": program.qualified("FETCH"),
        "code.file.path": program.file,
        "code.line.number": program.marked["lost"],
    }


@pytest.mark.slow
@pytest.mark.parametrize("text", INNOCENT.values(), ids=INNOCENT.keys())
def test_what_only_looks_like_it_gives_nothing(
    loops: Loops, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    monkeypatch.setattr(unstarted, "AFTER_NS", 2_000_000_000)
    _, told = told_of(text, loops, capsys)

    assert told.events == []
    assert told.lines == []
    assert told.counts("asyncio.coroutine.never_awaited") == told.counts("asyncio.findings") == {}
