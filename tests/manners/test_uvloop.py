"""On uvloop a task is made as uvloop would have made it, whatever is asked for."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import sys
import warnings
from collections.abc import Callable
from typing import Any

import pytest

from aiotel._hooks.makers import TASK, state_by_uvloop

from ..conftest import Telemetry

uvloop: Any = pytest.importorskip("uvloop", exc_type=ImportError)

variable = contextvars.ContextVar("variable", default="unset")


async def read() -> str:
    return variable.get()


class Unprintable:
    def __str__(self) -> str:
        raise LookupError("no text")


class Truthless(str):
    """A name that is not to be asked anything but its text."""

    __slots__ = ()

    def __bool__(self) -> bool:
        raise LookupError("asked")

    def __eq__(self, other: object) -> bool:
        raise LookupError("compared")

    __hash__ = str.__hash__


def given(context: str) -> contextvars.Context:
    made = contextvars.Context()
    made.run(variable.set, context)
    return made


async def made(options: dict[str, Any]) -> dict[str, Any]:
    """What comes of a task that is made with these options, and how many numbers the names used up."""
    loop = asyncio.get_running_loop()
    before = int(loop.create_task(asyncio.sleep(0)).get_name().removeprefix("Task-"))
    told: dict[str, Any] = {}
    known = asyncio.all_tasks()
    coro = read()
    try:
        task = loop.create_task(coro, **options)
        told["name"] = task.get_name()
        told["type"] = type(task)
    except (TypeError, LookupError) as error:
        told["error"] = f"{error!r} {error.__context__}"
    left = asyncio.all_tasks() - known
    told["results"] = [await task for task in left]
    if not left:
        coro.close()
    told["numbers"] = int(loop.create_task(asyncio.sleep(0)).get_name().removeprefix("Task-")) - before
    if told.get("name", "").startswith("Task-"):
        told["name"] = int(told["name"].removeprefix("Task-")) - before
    return told


OPTIONS: dict[str, Callable[[], dict[str, Any]]] = {
    "nothing": dict,
    "no name": lambda: {"name": None},
    "a name": lambda: {"name": "mine"},
    "an empty name": lambda: {"name": ""},
    "a number for a name": lambda: {"name": 7},
    "a name without text": lambda: {"name": Unprintable()},
    "a name of its own kind": lambda: {"name": Truthless("mine")},
    "a context": lambda: {"context": given("given")},
    "an empty context": lambda: {"context": contextvars.Context()},
    "no context": lambda: {"context": None},
    "both": lambda: {"name": "mine", "context": given("given")},
    "neither": lambda: {"name": None, "context": None},
    "eager": lambda: {"eager_start": True},
    "not eager": lambda: {"eager_start": None, "name": "mine"},
    "a word too much": lambda: {"colour": "red"},
    "a word in place of another": lambda: {"name": "mine", "colour": "red"},
    "another loop": lambda: {"loop": None},
}


@pytest.mark.parametrize("under_span", [False, True])
@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
def test_whatever_is_asked_for_comes_of_it(
    telemetry: Telemetry, options: Callable[[], dict[str, Any]], under_span: bool
) -> None:
    async def main() -> dict[str, Any]:
        variable.set("the creator's")
        if not under_span:
            return await made(options())
        with telemetry.tracer_provider.get_tracer("program").start_as_current_span("request"):
            return await made(options())

    plain = run(main)
    telemetry.start()
    observed = run(main)

    assert plain == observed


def run(main: Callable[[], Any], kind: Any = uvloop.Loop, *, debug: bool = False) -> Any:
    with asyncio.Runner(loop_factory=kind, debug=debug) as runner:
        return runner.run(main())


def test_on_a_closed_loop_no_task_is_begun(telemetry: Telemetry) -> None:
    def number() -> int:
        async def main() -> str:
            return asyncio.create_task(asyncio.sleep(0)).get_name()

        return int(run(main).removeprefix("Task-"))

    def attempt() -> tuple[str, list[str], int]:
        loop = uvloop.new_event_loop()
        loop.close()
        before = number()
        with warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("always")
            with pytest.raises(RuntimeError) as caught:
                loop.create_task(read())
            told = f"{caught.value} {caught.value.__context__}"
            del caught  # its frames hold the coroutine
            gc.collect()
        return told, [str(each.message) for each in warned], number() - before

    plain = attempt()
    telemetry.start()

    assert plain == attempt()


def test_in_debug_mode_a_task_knows_who_made_it(telemetry: Telemetry) -> None:
    async def main() -> list[tuple[str, str]]:
        task: Any = asyncio.create_task(read(), name="mine")
        await task
        return [(summary.filename, summary.name) for summary in task._source_traceback]

    plain = run(main, debug=True)
    telemetry.start()

    assert plain == run(main, debug=True)


def test_a_factory_is_asked_from_when_to_when_it_is_there(telemetry: Telemetry) -> None:
    def factory(loop: Any, coro: Any, **options: Any) -> Any:
        task: Any = asyncio.Task(coro, loop=loop, name="the factory's")
        return task

    async def main() -> list[bool]:
        loop = asyncio.get_running_loop()
        names = []
        for each in (None, factory, None):
            loop.set_task_factory(each)
            task = loop.create_task(read())
            names.append(task.get_name() == "the factory's")
            await task
        return names

    telemetry.start()

    assert run(main) == [False, True, False]


def test_what_a_subclass_says_of_itself_is_not_asked(telemetry: Telemetry) -> None:
    """Nor does uvloop: it looks at what its compiled class keeps."""
    asked = []

    class Talkative(uvloop.Loop):  # type: ignore[misc]  # of any type
        def get_task_factory(self) -> Any:
            asked.append("factory")
            return super().get_task_factory()

        def get_debug(self) -> bool:
            asked.append("debug")
            return bool(super().get_debug())

        def is_closed(self) -> bool:
            asked.append("closed")
            return bool(super().is_closed())

    async def main() -> list[str]:
        asked.clear()
        for _ in range(3):
            await asyncio.get_running_loop().create_task(read())
        return list(asked)

    plain = run(main, Talkative)
    telemetry.start()
    found = run(main, Talkative)

    # `Task` itself asks for "debug". We ask for the factory before we time a first step, one in many.
    assert plain == ["debug"] * 3 == [what for what in found if what != "factory"]
    assert found.count("factory") <= 1


def test_a_subclass_that_makes_tasks_itself_goes_on(telemetry: Telemetry) -> None:
    class Mine(asyncio.Task[Any]):
        pass

    class Making(uvloop.Loop):  # type: ignore[misc]  # of any type
        def create_task(self, coro: Any, **options: Any) -> Any:
            return Mine(coro, loop=self, **options)

    async def main() -> type:
        task = asyncio.create_task(read())
        await task
        return type(task)

    telemetry.start()

    assert run(main, Making) is Mine
    assert telemetry.parents() == {"main": None, "read": "main"}


def test_only_the_create_task_of_a_uvloop_that_was_read_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where this fails for a new uvloop: read its `create_task`, and add the version."""
    own = sys.modules["uvloop.loop"].Loop.create_task

    assert state_by_uvloop(own) is not None
    assert state_by_uvloop(asyncio.BaseEventLoop.create_task) is None
    assert state_by_uvloop(lambda loop, coro: None) is None
    monkeypatch.setattr(uvloop, "__version__", "99.0.0")
    assert state_by_uvloop(own) is None


def test_with_a_class_of_tasks_that_is_not_the_compiled_one_nothing_is_taken_over(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    own = sys.modules["uvloop.loop"].Loop.create_task
    monkeypatch.setattr(asyncio, "Task", asyncio.tasks._PyTask)  # type: ignore[attr-defined]  # asyncio's own

    assert state_by_uvloop(own) is None


@pytest.mark.parametrize("known", [True, False])
def test_a_uvloop_that_is_not_known_is_seen_as_well(
    telemetry: Telemetry, monkeypatch: pytest.MonkeyPatch, known: bool
) -> None:
    async def main() -> type:
        task = asyncio.create_task(read(), name="mine")
        await task
        return type(task)

    if not known:
        monkeypatch.setattr(uvloop, "__version__", "99.0.0")
    telemetry.start()

    assert run(main) is TASK
    assert telemetry.parents() == {"main": None, "read": "main"}
    assert (telemetry.span("read").attributes or {})["asyncio.task.name"] == "mine"
