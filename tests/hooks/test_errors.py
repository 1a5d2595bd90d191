"""What asyncio gives up on is told once to the log and once to the counter, with the failed task's ids."""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import socket
from typing import Any

import pytest

from ..conftest import Loops, Telemetry


class BadError(Exception):
    """A failure with a module."""


def fail_in_a_task() -> Any:
    async def fails() -> None:
        raise BadError("no such order")

    async def main() -> None:
        asyncio.create_task(fails())  # type: ignore[unused-awaitable]  # noqa: RUF006  # nobody looks at it
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        gc.collect()

    return main()


def _counted(telemetry: Telemetry) -> dict[tuple[str, str], int]:
    return {
        (point.attributes["asyncio.exception.source"], point.attributes["error.type"]): point.value
        for point in telemetry.metrics()["asyncio.exceptions"]
        if "error.type" in point.attributes
    }


@pytest.fixture(autouse=True)
def _quiet_asyncio(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL, logger="asyncio")


def test_a_failure_nobody_looks_at_is_a_log_with_the_ids_and_the_time_of_its_task(
    loops: Loops, telemetry: Telemetry
) -> None:
    telemetry.start()
    loops.run(fail_in_a_task())

    span = telemetry.span("fails")
    [log] = telemetry.logs
    assert span.context is not None
    assert (log.event_name, log.severity_text, log.body) == (
        "exception",
        "ERROR",
        "Task exception was never retrieved",
    )
    assert (log.trace_id, log.span_id) == (span.context.trace_id, span.context.span_id)
    assert log.timestamp == span.end_time or loops.eager
    attributes = dict(log.attributes)
    assert attributes.pop("exception.stacktrace").splitlines()[-2:] == [
        '    raise BadError("no such order")',
        f"{__name__}.BadError: no such order",
    ]
    assert attributes == {
        "exception.type": f"{__name__}.BadError",
        "exception.message": "no such order",
        "asyncio.exception.source": "task",
        "asyncio.task.name": (span.attributes or {})["asyncio.task.name"],
        "code.function.name": f"{__name__}.fail_in_a_task.<locals>.fails",
        "asyncio.task.created.function": "fail_in_a_task.<locals>.main",
        "asyncio.task.created.file": __file__,
        "asyncio.task.created.line": (span.attributes or {})["asyncio.task.created.line"],
    }


def test_a_failure_is_counted_once_by_source_and_type(loops: Loops, telemetry: Telemetry) -> None:
    telemetry.start()
    loops.run(fail_in_a_task())

    assert _counted(telemetry) == {("task", f"{__name__}.BadError"): 1}


def test_every_source_is_there_before_anything_fails(telemetry: Telemetry) -> None:
    telemetry.start()

    zeros = {
        point.attributes["asyncio.exception.source"]: point.value
        for point in telemetry.metrics()["asyncio.exceptions"]
    }
    assert zeros["task"] == zeros["callback"] == 0
    assert set(zeros.values()) == {0}


def _in_a_callback(loop: asyncio.AbstractEventLoop) -> None:
    def fails() -> None:
        raise BadError

    loop.call_soon(fails)


def _in_a_timer(loop: asyncio.AbstractEventLoop) -> None:
    def fails() -> None:
        raise BadError

    loop.call_later(0, fails)


def _in_a_future(loop: asyncio.AbstractEventLoop) -> None:
    loop.create_future().set_exception(BadError())


@pytest.mark.parametrize(
    ("start", "source"), [(_in_a_callback, "callback"), (_in_a_timer, "callback"), (_in_a_future, "future")]
)
def test_failures_beside_tasks_are_told_with_their_source(
    loops: Loops, telemetry: Telemetry, start: Any, source: str
) -> None:
    async def main() -> None:
        start(asyncio.get_running_loop())
        await asyncio.sleep(0.01)

    telemetry.start()
    loops.run(main())

    assert _counted(telemetry) == {(source, f"{__name__}.BadError"): 1}
    assert [log.attributes["asyncio.exception.source"] for log in telemetry.logs] == [source]


def test_a_failing_protocol_is_told(loops: Loops, telemetry: Telemetry) -> None:
    class Fails(asyncio.Protocol):
        def data_received(self, data: bytes) -> None:
            raise BadError

    async def main() -> None:
        here, there = socket.socketpair()
        with here:
            transport, _ = await asyncio.get_running_loop().create_connection(Fails, sock=there)
            here.send(b"x")
            await asyncio.sleep(0.05)
            transport.close()
            await asyncio.sleep(0.01)

    telemetry.start()
    loops.run(main())

    [(_, kind)] = _counted(telemetry)
    assert kind == f"{__name__}.BadError"


def test_a_failure_that_is_awaited_is_no_log(loops: Loops, telemetry: Telemetry) -> None:
    async def fails() -> None:
        raise BadError

    async def main() -> None:
        with pytest.raises(BadError):
            await asyncio.create_task(fails())
        gc.collect()

    telemetry.start()
    loops.run(main())

    assert telemetry.logs == []
    assert _counted(telemetry) == {}


def test_the_users_handler_gets_what_it_got_without_us(loops: Loops, telemetry: Telemetry) -> None:
    seen: list[tuple[Any, str, list[str]]] = []

    async def main() -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(
            lambda loop, context: seen.append((loop, context["message"], sorted(context)))
        )
        await fail_in_a_task()

    telemetry.start()
    loop = loops.new()
    loop.run_until_complete(main())
    loop.close()

    assert seen == [(loop, "Task exception was never retrieved", ["exception", "future", "message"])]
    assert len(telemetry.logs) == 1


def test_a_failure_is_one_json_line_on_stderr(
    loops: Loops, telemetry: Telemetry, capsys: pytest.CaptureFixture[str]
) -> None:
    telemetry.start()
    loops.run(fail_in_a_task())

    span = telemetry.span("fails")
    [line] = [json.loads(line) for line in capsys.readouterr().err.splitlines() if line.startswith("{")]
    assert span.context is not None
    assert (line["event"], line["level"], line["exception.type"], line["trace_id"]) == (
        "Task exception was never retrieved",
        "error",
        f"{__name__}.BadError",
        f"{span.context.trace_id:032x}",
    )


def test_the_leaves_of_a_group_are_in_the_traceback(loops: Loops, telemetry: Telemetry) -> None:
    async def main() -> None:
        async def fails() -> None:
            raise ExceptionGroup("two", [BadError("one"), ValueError("other")])

        asyncio.create_task(fails())  # type: ignore[unused-awaitable]  # noqa: RUF006  # nobody looks at it
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        gc.collect()

    telemetry.start()
    loops.run(main())

    [log] = telemetry.logs
    stacktrace = log.attributes["exception.stacktrace"]
    assert log.attributes["exception.type"] == "ExceptionGroup"
    assert f"  | {__name__}.BadError: one" in stacktrace
    assert "  | ValueError: other" in stacktrace


def test_what_has_no_exception_is_told_in_its_words_without_the_values_in_them(
    loops: Loops, telemetry: Telemetry
) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        for number in range(3):
            loop.call_exception_handler({"message": f"job failed: {number} of 0x7f12"})

    telemetry.start()
    loops.run(main())

    [log] = telemetry.logs
    assert (log.event_name, log.severity_text, log.body) == ("exception", "ERROR", "job failed")
    assert dict(log.attributes) == {
        "exception.message": "job failed",
        "asyncio.exception.source": "other",
    }
    assert _counted(telemetry) == {("other", "_OTHER"): 3}


def _ids_are_of(telemetry: Telemetry, name: str, log: Any) -> bool:
    context = telemetry.span(name).context
    assert context is not None
    return (log.trace_id, log.span_id) == (context.trace_id, context.span_id)


def test_a_task_that_a_callback_has_created_is_told_with_the_ids_of_its_span(
    loops: Loops, telemetry: Telemetry
) -> None:
    async def fails() -> None:
        raise BadError

    async def main() -> None:
        loop = asyncio.get_running_loop()
        loop.call_soon(lambda: loop.create_task(fails()))
        await asyncio.sleep(0.01)
        gc.collect()

    telemetry.start()
    loops.run(main())

    [log] = telemetry.logs
    assert _ids_are_of(telemetry, "fails", log)


def test_a_handler_of_a_server_is_told_with_the_ids_of_its_task_and_is_not_handled(
    loops: Loops, telemetry: Telemetry
) -> None:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()
        raise BadError

    async def main() -> None:
        server = await asyncio.start_server(handle, "127.0.0.1", 0)
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        await reader.read()
        writer.close()
        server.close()
        await asyncio.sleep(0.01)

    telemetry.start()
    loops.run(main())

    [log] = telemetry.logs
    assert log.attributes["asyncio.exception.source"] == "server"
    assert log.attributes["code.function.name"].endswith("handle")
    assert _ids_are_of(telemetry, "handle", log)
    assert _counted(telemetry) == {("server", f"{__name__}.BadError"): 1}
    assert telemetry.session is not None
    telemetry.session.close()
    assert sum(point.value for point in telemetry.metrics()["asyncio.exceptions.handled"]) == 0


def test_a_gather_that_nobody_awaits_is_told_with_the_ids_of_the_task_that_failed(
    loops: Loops, telemetry: Telemetry
) -> None:
    async def fails() -> None:
        raise BadError

    async def main() -> None:
        asyncio.gather(fails())  # type: ignore[unused-awaitable]
        await asyncio.sleep(0.01)
        gc.collect()

    telemetry.start()
    loops.run(main())

    [log] = telemetry.logs
    assert log.attributes["asyncio.exception.source"] == "future"
    assert _ids_are_of(telemetry, "fails", log)


def test_a_callback_is_told_by_its_name_and_in_the_trace_in_which_it_was_made(
    loops: Loops, telemetry: Telemetry
) -> None:
    tracer = telemetry.tracer_provider.get_tracer("program")

    def fails() -> None:
        raise BadError

    async def main() -> None:
        with tracer.start_as_current_span("request"):
            asyncio.get_running_loop().call_soon(fails)
        await asyncio.sleep(0.01)

    telemetry.start()
    loops.run(main())

    [log] = telemetry.logs
    assert log.attributes["code.function.name"] == f"{__name__}.{fails.__qualname__}"
    assert _ids_are_of(telemetry, "request", log)


def test_an_exception_of_no_module_is_told_too(loops: Loops, telemetry: Telemetry) -> None:
    namespace: dict[str, Any] = {}
    exec("Homeless = type('Homeless', (Exception,), {})", {"__builtins__": __builtins__}, namespace)
    homeless = namespace["Homeless"]

    async def main() -> None:
        async def fails() -> None:
            raise homeless

        await asyncio.gather(fails(), return_exceptions=True)
        asyncio.get_running_loop().call_exception_handler({"message": "lost", "exception": homeless()})

    asyncio_says: list[Any] = []
    telemetry.start()
    with asyncio.Runner(loop_factory=loops.new) as runner:
        runner.get_loop().set_exception_handler(lambda loop, context: asyncio_says.append(context))
        runner.run(main())

    assert [log.attributes["exception.type"] for log in telemetry.logs] == ["Homeless"]
    assert len(asyncio_says) == 1


def test_who_is_told_to_exit_has_not_failed(telemetry: Telemetry) -> None:
    held: list[asyncio.Task[None]] = []

    async def leaves() -> None:
        raise SystemExit(0)

    async def main() -> None:
        held.append(asyncio.create_task(leaves()))
        await asyncio.sleep(0.01)

    telemetry.start()
    with pytest.raises(SystemExit):
        asyncio.run(main())
    assert telemetry.session is not None
    telemetry.session.at_exit()

    assert telemetry.logs == []
    assert _counted(telemetry) == {}
    held[0].exception()
