"""Exceptions reach whom they would reach, and go when they would go; however they behave themselves."""

from __future__ import annotations

import asyncio
import gc
import logging
import re
import signal
import sys
import time
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from ..conftest import Loops, Telemetry


class Plain(Exception):  # noqa: N818  # a name like any other
    pass


# Exceptions as no test would have them, and as programs do.


class StrRaises(Plain):
    def __str__(self) -> str:
        raise RuntimeError("no text today")


class StrRecurses(Plain):
    def __str__(self) -> str:
        return str(self)


class StrCancels(Plain):
    def __str__(self) -> str:
        raise asyncio.CancelledError


class StrIsNone(Plain):
    def __str__(self) -> str:
        return None  # type: ignore[return-value]  # noqa: PLE0307  # the point of it


class Text(str):
    __slots__ = ()

    def __len__(self) -> int:
        raise RuntimeError("do not measure")

    def __getitem__(self, key: Any) -> str:
        raise RuntimeError("do not cut")


class StrIsNoPlainText(Plain):
    def __str__(self) -> str:
        return Text("text")


class Meta(type):
    def __getattribute__(cls, name: str) -> Any:
        if name in {"__qualname__", "__module__"}:
            raise RuntimeError("no name today")
        return super().__getattribute__(name)


class ClassRaises(Plain, metaclass=Meta):
    pass


class ModuleIsNone(Plain):
    __module__ = None  # type: ignore[assignment]  # the point of it


class AttributesRaise(Plain):
    def __getattribute__(self, name: str) -> Any:
        if name.startswith("__") and name not in {"__class__", "__traceback__", "__cause__", "__context__"}:
            raise RuntimeError("look away")
        return super().__getattribute__(name)


class ComparesBadly(Plain):
    __hash__ = None  # type: ignore[assignment]  # the point of it

    def __eq__(self, other: object) -> bool:
        raise RuntimeError("incomparable")

    def __bool__(self) -> bool:
        raise RuntimeError("neither true nor false")


def cyclic() -> Exception:
    first, second = Plain("first"), Plain("second")
    first.__cause__, second.__cause__ = second, first
    first.__context__ = second
    return first


def nested(depth: int) -> Exception:
    error: Exception = Plain("innermost")
    for _ in range(depth):
        error = ExceptionGroup("around", [error])
    return error


def chained(depth: int) -> Exception:
    error: Exception = Plain("first")
    for number in range(depth):
        after = Plain(f"after {number}")
        after.__context__ = error
        error = after
    return error


def deep(depth: int) -> Exception:
    def down(left: int) -> None:
        if not left:
            raise Plain("at the bottom")
        down(left - 1)

    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(limit + depth + 1000)
    try:
        down(depth)
    except Plain as error:
        return error
    finally:
        sys.setrecursionlimit(limit)
    raise AssertionError


HOSTILE: dict[str, Callable[[], Exception]] = {
    "its text raises": StrRaises,
    "its text recurses": StrRecurses,
    "its text cancels": StrCancels,
    "its text is none": StrIsNone,
    "its text is no plain text": StrIsNoPlainText,
    "its class has no name": ClassRaises,
    "its class has no module": ModuleIsNone,
    "its attributes raise": AttributesRaise,
    "it cannot be compared": ComparesBadly,
    "a lone surrogate": lambda: Plain("half a \ud800 character"),
    "a megabyte": lambda: Plain("x" * 1_000_000),
    "a cycle of causes": cyclic,
    "a thousand causes": lambda: chained(1000),
    "ten thousand leaves": lambda: ExceptionGroup("many", [Plain(number) for number in range(10_000)]),
    "a thousand groups": lambda: nested(900),
    "ten thousand frames": lambda: deep(10_000),
}


@pytest.mark.parametrize("make", HOSTILE.values(), ids=HOSTILE.keys())
def test_whatever_an_exception_does_it_is_told_once_and_handled_as_before(
    telemetry: Telemetry, make: Callable[[], Exception]
) -> None:
    handled = []

    async def fails() -> None:
        raise make()

    async def main() -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda loop, context: handled.append(context["message"]))
        asyncio.create_task(fails())  # type: ignore[unused-awaitable]  # noqa: RUF006  # nobody looks at it
        awaited = asyncio.create_task(fails())
        with pytest.raises((Plain, ExceptionGroup)):
            await awaited
        del awaited
        gc.collect()

    telemetry.start()
    began = time.monotonic()
    asyncio.run(main())
    spent = time.monotonic() - began
    logs = telemetry.logs

    assert handled == ["Task exception was never retrieved"]
    assert len(logs) == 1
    assert "Task exception" in str(logs[0].body)
    assert [span.status.is_ok for span in telemetry.spans if span.name.endswith("fails")] == [False, False]
    assert len(str(logs[0].attributes["exception.stacktrace"])) < 100_000
    str(logs[0].attributes["exception.stacktrace"]).encode()
    assert spent < 20  # it takes milliseconds; a walk through all the leaves of all groups would not


def test_the_frames_that_raised_are_the_ones_that_are_kept(telemetry: Telemetry) -> None:
    async def fails() -> None:
        raise deep(20_000)

    async def main() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: None)
        asyncio.create_task(fails())  # type: ignore[unused-awaitable]  # noqa: RUF006  # nobody looks at it
        await asyncio.sleep(0)

    telemetry.start(stack_frames=8)
    asyncio.run(main())
    trace = str(telemetry.logs[0].attributes["exception.stacktrace"])

    assert 'raise Plain("at the bottom")' in trace
    assert "in test_the_frames" in trace or "in fails" in trace
    assert re.search(r"\[(19|20)\d\d\d frames left out\]", trace)


# Who gets what.


class _Lines(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(self.format(record))


@pytest.fixture
def lines() -> Iterator[list[str]]:
    """What asyncio logs."""
    handler = _Lines()
    logger = logging.getLogger("asyncio")
    logger.addHandler(handler)
    logger.propagate = False
    yield handler.lines
    logger.removeHandler(handler)
    logger.propagate = True


def test_the_default_handler_says_what_it_said(loops: Loops, telemetry: Telemetry, lines: list[str]) -> None:
    async def fails() -> None:
        raise Plain("nobody looks")

    async def forever() -> None:
        await asyncio.get_running_loop().create_future()

    async def main() -> None:
        loop = asyncio.get_running_loop()
        loop.call_soon(lambda: 1 / 0)
        loop.create_future().set_exception(Plain("in a future"))
        tasks = [asyncio.create_task(fails(), name="failing"), asyncio.create_task(forever(), name="endless")]
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        tasks.clear()
        gc.collect()

    said = []
    for start in (lambda: None, telemetry.start):
        start()
        loops.run(main())
        gc.collect()
        # Whether a collected task's coroutine went before the task is the collector's to say.
        calm = [re.sub(r"(done, defined|running) at [^>]*:\d+", "…", line) for line in lines]
        said.append(sorted(re.sub(r"0x[0-9a-f]+", "0x…", line) for line in calm))
        lines.clear()
    # The one difference that cannot be hidden: how aiotel learns of a task's end is in the task's repr.
    told = [re.sub(r"cb=\[aiotel\(\) at [^]]*\]", "", line).replace(" >", ">") for line in said[1]]

    assert len(said[0]) == 4
    assert said[0] == told
    assert sum("cb=[aiotel() at " in line for line in said[1]) == 1


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit])
@pytest.mark.parametrize("place", ["task", "callback", "handler", "done callback"])
def test_what_ends_a_program_ends_it(
    loops: Loops, telemetry: Telemetry, kind: type[BaseException], place: str
) -> None:
    def end(*ignored: Any) -> None:
        raise kind("now")

    async def ends() -> None:
        end()

    async def main() -> None:
        loop = asyncio.get_running_loop()
        if place == "task":
            await asyncio.create_task(ends())
        elif place == "callback":
            loop.call_soon(end)
        elif place == "handler":
            loop.set_exception_handler(end)
            loop.call_soon(lambda: 1 / 0)
        else:
            asyncio.create_task(asyncio.sleep(0)).add_done_callback(end)
        await asyncio.sleep(0.05)

    seen = []
    for start in (lambda: None, telemetry.start):
        start()
        with pytest.raises(kind) as caught:
            loops.run(main())
        seen.append((type(caught.value), caught.value.args, caught.value.__context__ is None))

    assert seen[0] == seen[1]
    assert telemetry.metrics()["asyncio.task.count"][0].value == 0


def test_control_c_passes_through_a_text_that_takes_long(telemetry: Telemetry) -> None:
    class Slow(Plain):
        def __str__(self) -> str:
            signal.raise_signal(signal.SIGINT)
            return "slow"

    async def fails() -> None:
        raise Slow

    async def main() -> None:
        with pytest.raises(Slow):
            await asyncio.create_task(fails())
        await asyncio.sleep(10)

    telemetry.start()
    with pytest.raises(KeyboardInterrupt):
        asyncio.run(main())


def test_who_has_not_looked_at_an_exception_is_still_said_not_to_have(
    loops: Loops, telemetry: Telemetry
) -> None:
    async def fails() -> None:
        raise Plain

    async def main() -> list[bool]:
        task: Any = asyncio.create_task(fails())
        await asyncio.wait([task])
        await asyncio.sleep(0)
        before = task._log_traceback
        task.exception()
        return [before, task._log_traceback]

    telemetry.start()

    assert loops.run(main()) == [True, False]
    assert telemetry.logs == []


# When they are let go.


class Local:
    """Something in a frame."""


def test_an_exception_and_its_frames_go_when_they_would(loops: Loops, telemetry: Telemetry) -> None:
    gone: list[weakref.ref[Any]] = []

    async def fails() -> None:
        local = Local()
        gone.append(weakref.ref(local))
        raise Plain(local)

    async def main() -> list[list[bool]]:
        seen = []
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: None)
        task: Any = asyncio.create_task(fails())
        try:
            await task
        except Plain as error:
            gone.append(weakref.ref(error))
        del task
        await asyncio.sleep(0)
        seen.append([reference() is None for reference in gone])
        gone.clear()
        task = asyncio.create_task(fails())
        await asyncio.wait([task])
        await asyncio.sleep(0)
        gone.append(weakref.ref(task.exception()))
        task = None
        await asyncio.sleep(0)
        seen.append([reference() is None for reference in gone])
        return seen

    gc.disable()
    try:
        plain = loops.run(main())
        gone.clear()
        telemetry.start()
        watched = loops.run(main())
    finally:
        gc.enable()

    assert plain == watched
    assert loops.eager or plain == [[True, True], [True, True]]
