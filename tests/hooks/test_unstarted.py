"""A task that never starts, as its loop was closed or does not run, is told once; look-alikes are not."""

from __future__ import annotations

import asyncio
import gc
import threading
import time
import warnings
import weakref
from collections.abc import Iterator
from typing import Any

import pytest

import aiotel
from aiotel._hooks import unstarted
from aiotel._hooks.ledgers import ledger_of
from aiotel._inspect import glances
from aiotel._mailbox import Mailbox
from aiotel._repeats import Repeats

from ..conftest import Loops, Telemetry

# The mistakes are the point.
# mypy: disable-error-code="unused-awaitable"


async def fetch() -> None:
    """Does not run here."""


@pytest.fixture(autouse=True)
def _silent(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    caplog.set_level("CRITICAL", logger="asyncio")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
        gc.collect()


def told(telemetry: Telemetry) -> list[tuple[str, str, str]]:
    return [(log.event_name, log.severity_text, log.body) for log in telemetry.logs]


def findings(telemetry: Telemetry) -> dict[str, int]:
    points = telemetry.metrics()["asyncio.findings"]
    return {point.attributes["asyncio.finding.kind"]: point.value for point in points if point.value}


def wait_for_logs(telemetry: Telemetry) -> None:
    deadline = time.monotonic() + 20
    while not telemetry.log_exporter.get_finished_logs() and time.monotonic() < deadline:
        time.sleep(0.005)


CLOSED = ("asyncio.task.never_started", "WARN", "Task never started: its loop was closed")
STOPPED = (
    "asyncio.task.never_started",
    "WARN",
    "Task has not started for a while: its loop does not run",
)


def leave(loop: asyncio.AbstractEventLoop) -> Any:
    return loop.create_task(fetch(), name="late")


@pytest.mark.parametrize("held", [False, True], ids=["dropped", "held"])
@pytest.mark.parametrize("ran", [False, True], ids=["never ran", "ran"])
def test_a_task_that_is_left_when_its_loop_is_closed_is_told_once(
    loops: Loops, telemetry: Telemetry, *, held: bool, ran: bool
) -> None:
    telemetry.start()
    loop = loops.new()
    if ran:
        loop.run_until_complete(asyncio.sleep(0))
    kept = [leave(loop)]
    if not held:
        kept.clear()
    loop.close()
    logs = told(telemetry)
    kept.clear()
    gc.collect()
    del loop
    gc.collect()

    assert logs == told(telemetry) == [CLOSED]
    assert findings(telemetry) == {"never_started": 1}
    [log] = telemetry.logs
    attributes = dict(log.attributes)
    assert attributes.pop("asyncio.task.schedule.duration") > 0
    assert attributes.pop("asyncio.task.created.line") == leave.__code__.co_firstlineno + 1
    assert attributes == {
        "asyncio.task.name": "late",
        "code.function.name": f"{__name__}.fetch",
        "asyncio.task.created.function": "leave",
        "asyncio.task.created.file": __file__,
    }
    span = telemetry.span("fetch")
    assert span.context is not None
    assert (log.trace_id, log.span_id) == (span.context.trace_id, span.context.span_id)


def test_a_task_on_a_loop_that_does_not_run_is_told_after_a_while(
    loops: Loops, telemetry: Telemetry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unstarted, "AFTER_NS", 1_000_000)
    telemetry.start()
    loop = loops.new()
    loop.create_task(fetch())
    wait_for_logs(telemetry)
    before = told(telemetry)
    loop.close()
    gc.collect()

    assert before == told(telemetry) == [STOPPED]
    assert findings(telemetry) == {"never_started": 1}


def test_a_young_task_on_a_loop_that_has_long_not_run_is_not_told_yet(
    loops: Loops, telemetry: Telemetry
) -> None:
    telemetry.start()
    loop = loops.new()
    tasks = [loop.create_task(fetch(), name="old")]
    tasks.append(loop.create_task(fetch(), name="young"))
    ledger = ledger_of(loop)
    assert ledger is not None
    now_ns = time.monotonic_ns()
    ledger.live[id(tasks[1])].start_ns = now_ns + unstarted.AFTER_NS
    mailbox: Mailbox[Any] = Mailbox(10)
    starts = unstarted.Starts(mailbox, Repeats(), lambda at_ns: at_ns, clock=lambda: now_ns)
    told_then = []
    for _ in range(3):
        starts.look([ledger])
        told_then.append([each.task.name for each in mailbox.take(10)])
        now_ns += unstarted.AFTER_NS

    for task in tasks:
        task.cancel()
    loop.close()
    assert told_then == [[], ["old"], ["young"]]


def test_it_is_told_at_the_end_of_the_process_however_young_it_is(loops: Loops, telemetry: Telemetry) -> None:
    session = telemetry.start()
    loop = loops.new()
    task = loop.create_task(fetch())
    session.at_exit()

    assert told(telemetry) == [
        ("asyncio.task.never_started", "WARN", "Task never started: the process has ended")
    ]
    task.cancel()
    loop.close()


def test_who_ends_aiotel_may_be_about_to_run_the_loop(loops: Loops, telemetry: Telemetry) -> None:
    telemetry.start()
    loop = loops.new()
    task = loop.create_task(fetch())
    aiotel.uninstrument()
    loop.run_until_complete(task)
    loop.close()

    assert told(telemetry) == []


# Innocent look-alikes.


def test_a_task_that_was_cancelled_before_it_started_is_not_meant(loops: Loops, telemetry: Telemetry) -> None:
    telemetry.start()
    loop = loops.new()
    task = loop.create_task(fetch())
    task.cancel()
    loop.close()

    assert findings(telemetry).get("never_started", 0) == 0


def test_a_task_made_moments_before_its_loop_runs_is_not_meant(
    loops: Loops, telemetry: Telemetry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unstarted, "AFTER_NS", 60_000_000_000)
    session = telemetry.start()
    loop = loops.new()
    task = loop.create_task(fetch())
    for _ in range(3):
        session.flush()
    loop.run_until_complete(task)
    loop.close()

    assert told(telemetry) == []


def test_a_task_on_a_loop_that_is_blocked_is_not_meant(
    loops: Loops, telemetry: Telemetry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unstarted, "AFTER_NS", 1_000_000)

    async def main() -> None:
        task = asyncio.create_task(fetch())
        time.sleep(0.3)  # noqa: ASYNC251  # that is what this is about
        await task

    telemetry.start()
    loops.run(main())

    assert told(telemetry) == []


def test_a_task_that_waits_while_its_loop_does_not_run_is_not_meant(
    loops: Loops, telemetry: Telemetry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unstarted, "AFTER_NS", 1_000_000)
    telemetry.start()
    loop = loops.new()

    async def waits() -> None:
        await asyncio.sleep(0)
        await asyncio.sleep(0)

    async def main() -> Any:
        return asyncio.create_task(waits())

    task = loop.run_until_complete(main())
    loop.run_until_complete(asyncio.sleep(0))
    time.sleep(0.3)
    loop.run_until_complete(task)
    loop.close()

    assert told(telemetry) == []


def test_a_close_that_is_refused_tells_nothing(loops: Loops, telemetry: Telemetry) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        task = loop.create_task(fetch())
        with pytest.raises(RuntimeError):
            loop.close()
        await task

    telemetry.start()
    loops.run(main())

    assert told(telemetry) == []


# Looking from another thread.


def test_a_look_from_another_thread_never_holds_a_task_last(loops: Loops) -> None:
    """Tasks and loops go by the thousand while somebody looks at them: none goes on that thread."""
    wrong: list[int] = []
    current: list[Any] = [None, None]
    over = threading.Event()

    class Noticing:
        def __del__(self) -> None:
            if threading.get_ident() != home:
                wrong.append(threading.get_ident())

    async def waits(noticing: Any) -> None:
        await asyncio.sleep(0)

    def look() -> None:
        while not over.is_set():
            loop, task = current
            if task is not None:
                glances.has_not_started(task)
                glances.name_of_task(task)
                glances.is_running(loop)

    home = threading.get_ident()
    looker = threading.Thread(target=look)
    gc.disable()  # the collector runs on whichever thread makes the next object
    looker.start()
    loop = loops.new()
    for _ in range(2000):
        task = loop.create_task(waits(Noticing()))
        current[:] = [weakref.ref(loop), weakref.ref(task)]
        task.cancel()
        loop.run_until_complete(asyncio.gather(task, return_exceptions=True))
        del task
    over.set()
    looker.join()
    gc.enable()
    loop.close()

    assert wrong == []


def test_a_glance_sees_what_the_loop_sees(loops: Loops) -> None:
    loop = loops.new()
    task = loop.create_task(fetch(), name="glanced at")
    reference, home = weakref.ref(task), weakref.ref(loop)
    before = glances.has_not_started(reference), glances.is_running(home)

    async def main() -> Any:
        return glances.is_running(home)

    running = loop.run_until_complete(main())
    loop.run_until_complete(task)
    after = glances.has_not_started(reference)
    name = glances.name_of_task(reference)
    loop.close()
    del loop, task
    gc.collect()

    assert (before, running, after, name) == ((True, False), True, False, "glanced at")
    assert glances.has_not_started(reference) is False
    assert glances.name_of_task(lambda: None) is None
    assert glances.is_running(lambda: None) is None
