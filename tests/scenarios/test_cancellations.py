"""Programs that cancel tasks in every way there is: what goes over the wire says who did it."""

from __future__ import annotations

import asyncio
import random
import re
import signal
import sys
from collections.abc import Callable, Coroutine, Iterator
from contextlib import suppress
from typing import Any

import anyio
import pytest
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import SimpleLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor

import aiotel
from aiotel.testing import ReceivedLog, Receiver

from ..conftest import NEVER_S, Loops

DOWN = f"{__name__}.down"
PREFIX = "asyncio.task.cancelled."
LIMIT_S = 0.3


class Wire:
    """A session whose telemetry goes to a receiver, which waits `LIMIT_S` for cancelled tasks to end."""

    def __init__(self, receiver: Receiver) -> None:
        self.receiver = receiver
        self.reader = InMemoryMetricReader()
        resource = Resource({})
        self._traces = TracerProvider(resource=resource, shutdown_on_exit=False)
        exporter = OTLPSpanExporter(endpoint=f"{receiver.endpoint}/v1/traces")
        self._traces.add_span_processor(SimpleSpanProcessor(exporter))
        self._logs = LoggerProvider(resource=resource, shutdown_on_exit=False)
        logs = OTLPLogExporter(endpoint=f"{receiver.endpoint}/v1/logs")
        self._logs.add_log_record_processor(SimpleLogRecordProcessor(logs))
        self._metrics = MeterProvider([self.reader], resource=resource, shutdown_on_exit=False)
        self.session = aiotel.instrument(
            aiotel.Config(stall_after=NEVER_S),
            tracer_provider=self._traces,
            logger_provider=self._logs,
            meter_provider=self._metrics,
        )
        self.session._hooks.unfinished.limit_ns = int(LIMIT_S * 1e9)

    def close(self) -> None:
        aiotel.uninstrument()
        for provider in (self._traces, self._logs, self._metrics):
            provider.shutdown()

    def cancelled(self) -> dict[str, dict[str, Any]]:
        """What is said of each task that was cancelled, by its name; without how late a timeout came."""
        assert self.session.flush(timeout=30)
        told = {}
        for span in self.receiver.spans:
            attributes = span.attributes
            if attributes["asyncio.task.outcome"] == "cancelled":
                name = str(attributes["asyncio.task.name"])
                told[name] = {
                    key.removeprefix(PREFIX): re.sub(r", [\d.]+ s late$", "", str(value))
                    for key, value in attributes.items()
                    if key.startswith(PREFIX)
                }
            else:
                assert not [key for key in attributes if key.startswith(PREFIX)]
        return told

    async def findings(self, count: int) -> list[ReceivedLog]:
        """So many findings, once they have come."""
        while len(self.receiver.logs) < count:  # noqa: ASYNC110  # they come on the receiver's thread
            await asyncio.sleep(0.01)
        return list(self.receiver.logs)

    def counted(self) -> dict[str, int]:
        data = self.reader.get_metrics_data()
        points = [
            point
            for resource in (data.resource_metrics if data is not None else ())
            for scope in resource.scope_metrics
            for metric in scope.metrics
            if metric.name == "asyncio.findings"
            for point in metric.data.data_points
        ]
        kinds = {str((point.attributes or {})["asyncio.finding.kind"]): int(point.value) for point in points}  # type: ignore[union-attr]  # a sum
        return {kind: count for kind, count in kinds.items() if count}


@pytest.fixture
def wire() -> Iterator[Wire]:
    """Whatever a program tells goes to a receiver."""
    with Receiver() as receiver:
        wire = Wire(receiver)
        yield wire
        wire.close()


@pytest.fixture(params=[1, 2, 3], ids=lambda seed: f"seed{seed}")
def names(request: pytest.FixtureRequest) -> list[str]:
    """The names of tasks of which each awaits the next."""
    pick = random.Random(request.param)
    return [f"{pick.choice(['order', 'stock', 'mail'])}-{index}" for index in range(pick.randint(2, 6))]


async def down(names: list[str]) -> None:
    """A task for each name, each in the one before; the last one waits for ever."""
    if names:
        await start(names)
    else:
        await asyncio.get_running_loop().create_future()


def start(names: list[str]) -> asyncio.Task[None]:
    return asyncio.create_task(down(names[1:]), name=names[0])


async def settle(names: list[str]) -> None:
    """Until each of these tasks waits."""
    for _ in range(2 * len(names) + 2):
        await asyncio.sleep(0)


async def cancel(task: asyncio.Task[Any], message: str | None = None) -> None:
    task.cancel(message)
    await asyncio.wait([task])


def sees_who_waits(loops: Loops) -> bool:
    """Whether an ended task tells who waits for it."""
    return loops.name != "uvloop" or sys.version_info >= (3, 14)


async def pay(names: list[str]) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(0.02):
            await down(names)


def test_a_timeout_and_the_function_that_it_is_in(loops: Loops, wire: Wire, names: list[str]) -> None:
    loops.run(pay(names))

    told = {"by": "timeout", "reason": f"timeout in {__name__}.pay", "origin": f"{__name__}.pay"}
    assert dict.fromkeys(names, told) == wire.cancelled()


async def pay_within(names: list[str], seconds: float) -> None:
    with suppress(TimeoutError):
        await asyncio.wait_for(start(names), seconds)


@pytest.mark.parametrize("seconds", [0, 0.02])
def test_wait_for_and_its_seconds(loops: Loops, wire: Wire, names: list[str], seconds: float) -> None:
    async def main() -> None:
        task = asyncio.create_task(pay_within(names, seconds))
        await task

    loops.run(main())

    function = f"{__name__}.pay_within"
    told = {"by": "wait_for", "reason": f"wait_for of {seconds:g} s in {function}", "origin": function}
    cancelled = wire.cancelled()
    assert cancelled[names[0]] == told
    # Without a second to spare those below were not begun, but where tasks are eager.
    assert dict.fromkeys(names if seconds or loops.eager else names[:1], told) == cancelled


async def fails(error: Exception) -> None:
    await asyncio.sleep(0.02)
    raise error


async def sell(names: list[str]) -> None:
    with suppress(ExceptionGroup):
        async with asyncio.TaskGroup() as group:
            group.create_task(fails(ValueError("sold out")))
            group.create_task(down(names[1:]), name=names[0])


def below(names: list[str], told: dict[str, str]) -> dict[str, dict[str, str]]:
    """The first of these is told so, the others with its function as the origin."""
    waited = {**told, "origin": DOWN}
    return {names[0]: told, **dict.fromkeys(names[1:], waited)}


def test_a_sibling_that_failed_in_a_task_group(loops: Loops, wire: Wire, names: list[str]) -> None:
    loops.run(sell(names))

    told = {"by": "task_group", "reason": f"sibling {__name__}.fails raised ValueError"}
    assert below(names, told) == wire.cancelled()


def test_the_body_of_a_task_group_that_failed(loops: Loops, wire: Wire, names: list[str]) -> None:
    async def main() -> None:
        with suppress(ExceptionGroup):
            async with asyncio.TaskGroup() as group:
                group.create_task(down(names[1:]), name=names[0])
                await settle(names)
                raise KeyError("no such order")

    loops.run(main())

    function = f"{__name__}.{main.__qualname__}"
    told = {"by": "task_group", "reason": f"the body of its task group in {function} raised KeyError"}
    assert below(names, told) == wire.cancelled()


async def serve(names: list[str]) -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(down(names[1:]), name=names[0])


def explicit(loops: Loops, **more: str) -> dict[str, str]:
    """What is told of a task whose `cancel()` was called."""
    where = "" if sees_who_waits(loops) else " on it, or on a task that waits for it"
    return {"by": "explicit", "reason": f"cancel() was called{where}", **more}


def test_the_task_around_a_task_group_that_was_cancelled(loops: Loops, wire: Wire, names: list[str]) -> None:
    async def main() -> None:
        task = asyncio.create_task(serve(names), name="serve")
        await settle(names)
        await cancel(task, "enough")

    loops.run(main())

    function = f"{__name__}.serve"
    told = {"by": "parent", "reason": f"{function}, which waits for it, was cancelled", "origin": function}
    expected = {**dict.fromkeys(names, told), "serve": explicit(loops, message="enough")}
    assert expected == wire.cancelled()


def test_a_timeout_around_a_task_group_is_the_reason_of_all_in_it(
    loops: Loops, wire: Wire, names: list[str]
) -> None:
    async def main() -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(0.02):
                await serve(names)

    loops.run(main())

    function = f"{__name__}.{main.__qualname__}"
    told = {"by": "timeout", "reason": f"timeout in {function}", "origin": function}
    assert dict.fromkeys(names, told) == wire.cancelled()


async def collect(names: list[str]) -> None:
    await asyncio.gather(start(names), start(["other"]))


def test_gather_and_the_line_that_cancelled_it(loops: Loops, wire: Wire, names: list[str]) -> None:
    async def main() -> None:
        task = asyncio.create_task(collect(names), name="collect")
        await settle(names)
        await cancel(task, "enough")

    loops.run(main())

    function = f"{__name__}.collect"
    at = {
        "function": "cancel",
        "file": __file__,
        "line": str(cancel.__code__.co_firstlineno + 1),
        "message": "enough",
    }
    told = {"by": "gather", "reason": f"gather() in {function} was cancelled", "origin": function, **at}
    expected: dict[str, Any] = dict.fromkeys([*names, "other"], told)
    expected["collect"] = {"by": "explicit", "reason": "cancel() was called", **at}
    assert expected == wire.cancelled()


def test_a_timeout_around_gather_is_the_reason_of_all_in_it(
    loops: Loops, wire: Wire, names: list[str]
) -> None:
    async def main() -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(0.02):
                await collect(names)

    loops.run(main())

    function = f"{__name__}.{main.__qualname__}"
    told = {"by": "timeout", "reason": f"timeout in {function}", "origin": function}
    assert dict.fromkeys([*names, "other"], told) == wire.cancelled()


def test_a_call_of_cancel_and_all_that_is_waited_for(loops: Loops, wire: Wire, names: list[str]) -> None:
    async def main() -> None:
        task = start(names)
        await settle(names)
        await cancel(task, "enough")

    loops.run(main())

    message = {"message": "enough"}
    told = {"by": "parent", "reason": f"{DOWN}, which waits for it, was cancelled", "origin": DOWN, **message}
    first = explicit(loops, **message)
    waited = told if sees_who_waits(loops) else first
    assert {names[0]: first, **dict.fromkeys(names[1:], waited)} == wire.cancelled()


def test_what_was_awaited_was_cancelled_and_not_the_task(loops: Loops, wire: Wire, names: list[str]) -> None:
    async def waits(task: asyncio.Task[None]) -> None:
        await task

    async def main() -> None:
        task = asyncio.create_task(down([]), name="awaited")
        waiting = asyncio.create_task(waits(task), name="waits")
        await settle(names)
        task.cancel()
        await asyncio.wait([task, waiting])

    loops.run(main())

    cancelled = wire.cancelled()
    assert ("awaited", "explicit") == (cancelled["waits"]["by"], cancelled["awaited"]["by"])


def test_the_shutdown_of_the_loop(loops: Loops, wire: Wire, names: list[str]) -> None:
    async def main() -> None:
        kept.extend([start(names), asyncio.create_task(collect(["some"]), name="collect")])
        await settle(names)

    kept: list[asyncio.Task[None]] = []
    loops.run(main())

    told = {"by": "shutdown", "reason": "the event loop is being shut down"}
    assert dict.fromkeys([*names, "collect", "some", "other"], told) == wire.cancelled()


def test_control_c(loops: Loops, wire: Wire, names: list[str]) -> None:
    async def main() -> None:
        current = asyncio.current_task()
        assert current is not None
        current.set_name("main")
        asyncio.get_running_loop().call_later(0.02, signal.raise_signal, signal.SIGINT)
        await down(names)

    with pytest.raises(KeyboardInterrupt):
        loops.run(main())

    told = {"by": "signal", "reason": "Ctrl-C (SIGINT)"}
    waited = {**told, "origin": f"{__name__}.{main.__qualname__}"}
    assert {"main": told, **dict.fromkeys(names, waited)} == wire.cancelled()


def test_a_cancel_scope_of_anyio(loops: Loops, wire: Wire, names: list[str]) -> None:
    async def main() -> None:
        with anyio.move_on_after(0.02):
            await down(names)

    loops.run(main())

    cancelled = wire.cancelled()
    assert set(names) == set(cancelled)
    for told in cancelled.values():
        assert told.pop("message").startswith("Cancelled via cancel scope ")
        assert told == {"by": "cancel_scope", "reason": "a cancel scope was cancelled: deadline exceeded"}


def test_a_timeout_that_was_dealt_with_is_not_blamed_for_what_comes_later(
    loops: Loops, wire: Wire, names: list[str]
) -> None:
    async def main() -> None:
        task = asyncio.create_task(then_waits(), name="then waits")
        await ready.wait()
        await cancel(task)

    async def then_waits() -> None:
        await pay(names)
        ready.set()
        await down([])

    ready = asyncio.Event()
    loops.run(main())

    assert explicit(loops) == wire.cancelled()["then waits"]


async def swallows() -> None:
    with suppress(asyncio.CancelledError):
        await down([])
    await goes_on()


async def goes_on() -> None:
    await asyncio.sleep(3600)


async def swallows_and_remembers() -> None:
    last: BaseException | None = None
    try:
        await down([])
    except asyncio.CancelledError as error:
        last = error
    await goes_on()
    del last


async def cleans_up() -> None:
    try:
        await down([])
    finally:
        await goes_on()


def line_of_going_on() -> int:
    return goes_on.__code__.co_firstlineno + 1


def by_timeout(task: asyncio.Task[None]) -> Coroutine[Any, Any, None]:
    async def waits() -> None:
        async with asyncio.timeout(0.01):
            await task

    return waits()


def by_call(task: asyncio.Task[None]) -> Coroutine[Any, Any, None]:
    async def calls() -> None:
        task.cancel()

    return calls()


KINDS = {
    swallows: ("asyncio.cancellation.swallowed", "swallowed", "still runs"),
    swallows_and_remembers: ("asyncio.cancellation.swallowed", "swallowed", "still runs"),
    cleans_up: ("asyncio.cancellation.slow", "slow_cancellation", "is still cleaning up"),
}


@pytest.mark.parametrize("program", KINDS)
@pytest.mark.parametrize("way", [by_timeout, by_call])
def test_a_task_that_goes_on_after_it_was_cancelled_is_a_finding(
    loops: Loops,
    wire: Wire,
    program: Callable[[], Coroutine[Any, Any, None]],
    way: Callable[[asyncio.Task[None]], Coroutine[Any, Any, None]],
) -> None:
    event, kind, words = KINDS[program]

    async def main() -> list[ReceivedLog]:
        task = asyncio.create_task(program(), name="task")
        await asyncio.sleep(0)
        canceller = asyncio.create_task(way(task), name="canceller")
        found = await wire.findings(1)
        task.cancel()
        await asyncio.wait([task, canceller])
        with suppress(TimeoutError):
            await canceller
        return found

    [log] = loops.run(main())

    assert "task" in wire.cancelled()
    span = next(span for span in wire.receiver.spans if span.attributes["asyncio.task.name"] == "task")
    assert (event, "WARN", span.span_id) == (log.event_name, log.severity_text, log.span_id)
    function = f"{__name__}.{program.__name__}"
    timed = way is by_timeout
    reason = f"timeout in {__name__}.by_timeout.<locals>.waits" if timed else "cancel() was called"
    body = re.sub(r", [\d.]+ s late", "", str(log.body))
    ago = re.sub(r"[\d.]+ s ago", "some time ago", body)
    assert ago == (
        f"{function} was cancelled {'' if timed else 'at least '}some time ago ({reason}) and {words}: "
        f"it waits in goes_on, line {line_of_going_on()}"
    )
    attributes = dict(log.attributes)
    seconds = attributes.pop("asyncio.cancellation.duration")
    assert isinstance(seconds, float)
    assert LIMIT_S <= seconds < 10
    assert attributes == {
        "asyncio.task.name": "task",
        "code.function.name": function,
        "asyncio.task.created.function": main.__qualname__,
        "asyncio.task.created.file": __file__,
        "asyncio.task.created.line": span.attributes["asyncio.task.created.line"],
        "asyncio.task.cancelled.by": "timeout" if timed else "explicit",
        "asyncio.task.cancelled.reason": attributes["asyncio.task.cancelled.reason"],
        "code.file.path": __file__,
        "code.line.number": line_of_going_on(),
    }
    assert {kind: 1} == wire.counted()


async def cleans_up_soon() -> None:
    try:
        await down([])
    finally:
        await asyncio.sleep(0.05)


async def takes_it_back() -> None:
    with suppress(asyncio.CancelledError):
        await down([])
    current = asyncio.current_task()
    assert current is not None
    current.uncancel()
    await goes_on()


async def is_shielded(inner: asyncio.Task[None]) -> None:
    await asyncio.shield(inner)


async def times_out() -> None:
    await pay([])
    await goes_on()


async def groups(inner: Callable[[], Coroutine[Any, Any, None]]) -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(inner())


async def waits_for(inner: Callable[[], Coroutine[Any, Any, None]]) -> None:
    await asyncio.wait_for(asyncio.create_task(inner()), 3600)


async def cleans_up_in_a_scope() -> None:
    with anyio.move_on_after(0.01):
        try:
            await down([])
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.sleep(0.05)
    await goes_on()


def test_innocent_tasks_are_no_findings(loops: Loops, wire: Wire) -> None:
    async def main() -> list[ReceivedLog]:
        inner = asyncio.create_task(goes_on())
        cancelled = [
            asyncio.create_task(coro)
            for coro in (
                cleans_up_soon(),
                takes_it_back(),
                is_shielded(inner),
                groups(swallows),
                waits_for(swallows),
            )
        ]
        others = [asyncio.create_task(times_out()), asyncio.create_task(cleans_up_in_a_scope())]
        await asyncio.sleep(0.1)
        for task in cancelled:
            task.cancel()
        await asyncio.sleep(0.1)
        last = asyncio.create_task(swallows())
        await asyncio.sleep(0)
        last.cancel()
        # The last to be cancelled is the last to be looked at.
        while wire.counted().get("swallowed", 0) < 3:  # noqa: ASYNC110  # counted on aiotel's thread
            await asyncio.sleep(0.01)
        found = await wire.findings(1)
        for task in [*cancelled, *others, last, inner]:
            task.cancel()
        return found

    found = loops.run(main())

    # Those inside the group and inside `wait_for`, and the last one: equal ones are told once, and counted.
    assert [f"{__name__}.swallows"] == [log.attributes["code.function.name"] for log in found]
    assert {"swallowed": 3} == wire.counted()
