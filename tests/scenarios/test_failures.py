"""Small programs that fail, or that only look as if: what goes over the wire, and what Python says."""

from __future__ import annotations

import importlib.util
import random
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from aiotel.testing import ReceivedLog, ReceivedSpan, Receiver

from ..cli.processes import AIOTEL, SENDING_NOTHING, Outcome, run

pytestmark = pytest.mark.slow

# `FAILS` calls itself some levels deep and raises; names, depth and empty lines are others each time.
PROGRAM = """
import asyncio, concurrent.futures, gc, sys, threading

loop_name, way = sys.argv[1:3]

class ERROR(Exception):
    pass

def FAILS(depth=DEPTH, kind=ERROR):
    if depth:
        FAILS(depth - 1, kind)
    raise kind("no such order")

async def CHILD(kind=ERROR):
    await asyncio.sleep(0)
    FAILS(kind=kind)

async def MAIN():
    await asyncio.create_task(CHILD())

def loop_factory():
    if loop_name == "uvloop":
        import uvloop
        return uvloop.new_event_loop()
    loop = asyncio.new_event_loop()
    if loop_name == "eager":
        loop.set_task_factory(asyncio.eager_task_factory)
    return loop

def runs(coroutine):
    with asyncio.Runner(loop_factory=loop_factory) as runner:
        return runner.run(coroutine)

async def innocent():
    loop = asyncio.get_running_loop()

    def handles():
        try:
            FAILS()
        except ERROR:
            pass

    loop.call_soon(handles)
    await asyncio.gather(CHILD(), CHILD(), return_exceptions=True)
    done, _ = await asyncio.wait([asyncio.ensure_future(CHILD())])
    done.pop().exception()
    gone = asyncio.ensure_future(CHILD())
    for attempt in [
        lambda: loop.run_in_executor(None, FAILS),
        lambda: asyncio.to_thread(FAILS),
        lambda: asyncio.wrap_future(asyncio.run_coroutine_threadsafe(CHILD(), loop)),
        lambda: gone,
    ]:
        try:
            await attempt()
        except ERROR:
            pass
    gc.collect()

async def exits():
    raise SystemExit(3)

def caught():
    try:
        runs(MAIN())
    except ERROR as error:
        print("caught", error)

def in_a_thread():
    thread = threading.Thread(target=lambda: runs(MAIN()))
    thread.start()
    thread.join()

def replaced():
    sys.excepthook = lambda kind, error, traceback: print("mine:", error)
    runs(MAIN())

print("begins", flush=True)
{
    "main": lambda: runs(MAIN()),
    "replaced": replaced,
    "thread": in_a_thread,
    "innocent": lambda: runs(innocent()),
    "exits": lambda: runs(exits()),
    "interrupted": lambda: runs(CHILD(KeyboardInterrupt)),
    "caught": caught,
    "beside": lambda: FAILS(),
}[way]()
"""

# How a program comes to be watched: by what stands before it.
BY_ITSELF = "import aiotel; aiotel.instrument(aiotel.Config(export=True))\n"
ON_THE_PROGRAMS_PROVIDERS = """
from opentelemetry import _logs, trace
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
import aiotel
spans, logs = TracerProvider(), LoggerProvider()
spans.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
logs.add_log_record_processor(BatchLogRecordProcessor(OTLPLogExporter()))
trace.set_tracer_provider(spans)
_logs.set_logger_provider(logs)
aiotel.instrument()
"""
LOOPS = ["asyncio", "uvloop", "eager"]


@pytest.fixture(params=LOOPS)
def loop(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    if name == "uvloop" and importlib.util.find_spec("uvloop") is None:
        pytest.skip("uvloop has no wheel for this Python")
    if name == "eager" and sys.version_info < (3, 12):
        pytest.skip("eager tasks came with 3.12")
    return name


@dataclass(frozen=True)
class Program:
    """One of its kind: nobody can know its names."""

    path: Path
    names: dict[str, str]


@pytest.fixture
def program(tmp_path: Path) -> Program:
    chance = random.Random(random.randrange(1 << 32))
    names = {name: "".join(chance.choices("abcdefgh", k=12)) for name in ("FAILS", "CHILD", "MAIN", "ERROR")}
    text = "\n" * chance.randrange(40) + PROGRAM.replace("DEPTH", str(chance.randrange(30)))
    for name, stands in names.items():
        text = text.replace(name, stands)
    path = tmp_path / "program.py"
    path.write_text(text)
    return Program(path, names)


@dataclass(frozen=True)
class Watched:
    """What a program did, and what came of it."""

    outcome: Outcome
    logs: list[ReceivedLog]
    spans: list[ReceivedSpan]

    def span(self, function: str) -> ReceivedSpan:
        [found] = [span for span in self.spans if span.name == function]
        return found


def watched(program: Program, loop: str, way: str, before: str = "") -> Watched:
    """Run it under `aiotel run`; or by itself, after these lines."""
    with Receiver() as receiver:
        environ = {"OTEL_EXPORTER_OTLP_ENDPOINT": receiver.endpoint, "AIOTEL_STALL_AFTER": "3600"}
        if before:
            path = program.path.with_name("instrumented.py")
            path.write_text(before + program.path.read_text())
            outcome = run(sys.executable, path, loop, way, environ=environ, directory=program.path.parent)
        else:
            command = (*AIOTEL, "run", program.path.name, loop, way)
            outcome = run(*command, environ=environ, directory=program.path.parent)
        return Watched(outcome, list(receiver.logs), list(receiver.spans))


def of_python(outcome: Outcome) -> tuple[int, str, str]:
    """Its status, its output, and what Python said; without our JSON lines."""
    lines = [line for line in outcome.stderr.splitlines() if not line.startswith("{")]
    return outcome.status, outcome.stdout, "\n".join(lines)


@pytest.mark.parametrize(
    "before", ["", BY_ITSELF, ON_THE_PROGRAMS_PROVIDERS], ids=["aiotel run", "export", "providers"]
)
def test_a_failure_of_the_main_task_is_fatal_and_arrives(program: Program, loop: str, before: str) -> None:
    seen = watched(program, loop, "main", before)

    span = seen.span(program.names["MAIN"])
    [log] = seen.logs
    attributes = dict(log.attributes)
    assert seen.outcome.status == 1
    assert (log.event_name, log.severity_text, log.body) == ("exception", "FATAL", "Main task failed")
    assert (log.trace_id, log.span_id) == (span.trace_id, span.span_id)
    assert attributes["exception.type"] == f"__main__.{program.names['ERROR']}"
    assert attributes["exception.message"] == "no such order"
    assert attributes["asyncio.exception.source"] == "main"
    assert attributes["code.function.name"] == f"__main__.{program.names['MAIN']}"
    assert program.names["FAILS"] in str(attributes["exception.stacktrace"])


def test_aiotels_own_run_tells_it_too(program: Program, loop: str) -> None:
    text = program.path.read_text()
    here = text.index("def runs(coroutine):")
    there = text.index("async def innocent")
    mine = (
        "import aiotel\ndef runs(coroutine):\n    return aiotel.run(coroutine, loop_factory=loop_factory)\n\n"
    )
    program.path.write_text(text[:here] + mine + text[there:])

    seen = watched(program, loop, "main", "\n")
    span = seen.span(program.names["MAIN"])
    assert [(log.severity_text, log.body, log.span_id) for log in seen.logs] == [
        ("FATAL", "Main task failed", span.span_id)
    ]
    assert watched(program, loop, "caught", "\n").logs == []


def test_a_program_that_puts_its_own_hook_there_is_told_and_keeps_it(program: Program, loop: str) -> None:
    seen = watched(program, loop, "replaced")

    assert [(log.severity_text, log.body) for log in seen.logs] == [("FATAL", "Main task failed")]
    assert of_python(seen.outcome) == (1, "begins\nmine: no such order\n", "")


def test_a_thread_whose_loop_fails_is_an_error(program: Program, loop: str) -> None:
    seen = watched(program, loop, "thread")

    span = seen.span(program.names["MAIN"])
    [log] = seen.logs
    assert (log.severity_text, log.body) == ("ERROR", "Main task of a thread failed")
    assert log.attributes["asyncio.exception.source"] == "thread"
    assert (log.trace_id, log.span_id) == (span.trace_id, span.span_id)


@pytest.mark.parametrize("way", ["innocent", "exits", "interrupted", "caught", "beside"])
def test_look_alikes_are_not_told(program: Program, loop: str, way: str) -> None:
    assert watched(program, loop, way).logs == []


@pytest.mark.parametrize("way", ["main", "thread", "exits", "interrupted", "caught", "beside", "replaced"])
def test_python_says_what_it_says_without_us(program: Program, loop: str, way: str) -> None:
    without = run(
        *(sys.executable, program.path.name, loop, way),
        environ=SENDING_NOTHING,
        directory=program.path.parent,
    )

    assert of_python(watched(program, loop, way).outcome) == of_python(without)


def test_after_a_prompt_follows_nothing_has_ended(program: Program) -> None:
    with Receiver() as receiver:
        environ = {"OTEL_EXPORTER_OTLP_ENDPOINT": receiver.endpoint, "AIOTEL_STALL_AFTER": "3600"}
        path = program.path.with_name("instrumented.py")
        path.write_text(BY_ITSELF + program.path.read_text())
        outcome = run(sys.executable, "-i", path, "asyncio", "main", environ=environ, stdin="print(6 * 7)\n")
        logs = list(receiver.logs)

    assert "42" in outcome.stdout
    assert logs == []
