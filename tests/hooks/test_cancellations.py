"""What stands in front of asyncio's cancellers: it goes as it came, changes nothing, and keeps nothing."""

from __future__ import annotations

import asyncio
import gc
import re
import sys
import weakref
from asyncio import runners, tasks, timeouts
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF

import aiotel
from aiotel._borrowed import Returns
from aiotel._faults import faults
from aiotel._hooks import chains, requests, unfinished
from aiotel._hooks.cancellations import Cancellations
from aiotel._hooks.unfinished import Unfinished
from aiotel._ledger import Ledger
from aiotel._mailbox import Mailbox
from aiotel._repeats import Repeats
from aiotel.observations import Cancellation, UnfinishedCancellation

from ..conftest import Loops, Telemetry

GATHERING: Any = tasks._GatheringFuture  # type: ignore[attr-defined]  # asyncio's own
PLACES: list[tuple[Any, str]] = [
    (timeouts.Timeout, "_on_timeout"),
    (asyncio.TaskGroup, "_abort"),
    (GATHERING, "cancel"),
    (tasks, "_cancel_and_wait"),
    (runners, "_cancel_all_tasks"),
    (runners.Runner, "_on_sigint"),
]


def found() -> list[Any]:
    return [vars(owner)[name] for owner, name in PLACES]


async def forever() -> None:
    await asyncio.get_running_loop().create_future()


async def swallows() -> None:
    with suppress(asyncio.CancelledError):
        await forever()
    await forever()


def told(telemetry: Telemetry, name: str) -> dict[str, Any]:
    """What the span of the task with this name says of its cancellation."""
    [span] = [span for span in telemetry.spans if (span.attributes or {})["asyncio.task.name"] == name]
    prefix = "asyncio.task.cancelled."
    return {
        key.removeprefix(prefix): value
        for key, value in (span.attributes or {}).items()
        if key.startswith(prefix)
    }


async def cancelled(coro: Any, *message: Any) -> None:
    """A task named `task` that is cancelled while it waits."""
    task = asyncio.create_task(coro, name="task")
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    task.cancel(*message)
    await asyncio.wait([task])


# Coming and going.


def test_every_canceller_is_what_it_was(telemetry: Telemetry) -> None:
    before = found()

    telemetry.start()
    during = found()
    aiotel.uninstrument()

    assert not set(map(id, before)) & set(map(id, during))
    assert all(ours is theirs for ours, theirs in zip(before, found(), strict=True))


def test_attaching_twice_is_as_once() -> None:
    before = found()
    cancellations = Cancellations(watcher())

    detach = cancellations.attach()
    once = found()
    cancellations.attach()
    twice = found()
    detach()
    detach()

    assert once == twice
    assert before == found()


@pytest.fixture
def put_back() -> Iterator[None]:
    """What asyncio has, after somebody has put theirs in front of ours."""
    before = found()
    yield
    aiotel.uninstrument()
    for (owner, name), original in zip(PLACES, before, strict=True):
        setattr(owner, name, original)


@pytest.mark.usefixtures("put_back")
def test_what_somebody_has_wrapped_stays_and_does_what_it_did(loops: Loops, telemetry: Telemetry) -> None:
    seen = []

    def wrapped(inner: Any, name: str) -> Any:
        def theirs(*args: Any, **kwargs: Any) -> Any:
            seen.append(name)
            return inner(*args, **kwargs)

        return theirs

    telemetry.start()
    for owner, name in PLACES:
        setattr(owner, name, wrapped(vars(owner)[name], name))
    theirs = found()
    aiotel.uninstrument()

    async def main() -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(0.01):
                await asyncio.gather(forever(), forever())

    loops.run(main())

    assert theirs == found()
    assert {"_on_timeout", "cancel", "_cancel_all_tasks"} == set(seen)
    assert [] == telemetry.spans


@pytest.mark.usefixtures("put_back")
def test_a_session_after_a_wrapped_one_tells_once(telemetry: Telemetry) -> None:
    telemetry.start()
    inner = vars(timeouts.Timeout)["_on_timeout"]

    def theirs(timeout: Any) -> None:
        inner(timeout)

    setattr(timeouts.Timeout, "_on_timeout", theirs)  # noqa: B010  # asyncio's own
    aiotel.uninstrument()
    second = Telemetry()
    second.start()

    async def main() -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(0.01):
                await asyncio.create_task(forever(), name="task")

    asyncio.run(main())

    assert told(second, "task")["by"] == "timeout"
    assert [] == telemetry.spans


def test_a_fault_of_ours_is_not_the_programs(telemetry: Telemetry, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(task: Any) -> Any:
        raise RuntimeError("ours")

    async def main() -> bool:
        try:
            async with asyncio.timeout(0.01):
                await asyncio.create_task(forever())
        except TimeoutError:
            return True
        return False

    telemetry.start()
    monkeypatch.setattr("aiotel._hooks.cancellations.below", broken)
    before = faults.count

    assert asyncio.run(main())
    assert faults.count == before + 1
    faults.count = before
    faults.latest.clear()


def test_cancelling_a_gather_gives_what_it_gave(loops: Loops, telemetry: Telemetry) -> None:
    async def main() -> list[bool]:
        gathering = asyncio.gather(forever(), forever())
        await asyncio.sleep(0)
        answers = [gathering.cancel("enough")]
        with pytest.raises(asyncio.CancelledError, match="enough"):
            await gathering
        return [*answers, gathering.cancel()]

    telemetry.start()

    assert [True, False] == loops.run(main())


def test_a_timer_is_shown_as_it_was(telemetry: Telemetry) -> None:
    async def main() -> str:
        async with asyncio.timeout(5) as timeout:
            await asyncio.sleep(0)
            shown = repr(timeout._timeout_handler)  # type: ignore[attr-defined]  # asyncio's own
        return re.sub(r"when=[\d.]+", "", shown)

    without = asyncio.run(main(), debug=True)
    telemetry.start()

    assert without == asyncio.run(main(), debug=True)


# Messages.


@pytest.mark.parametrize(
    ("message", "kept"),
    [("enough", "enough"), ("x" * 300, "x" * 256 + "…"), (7, "7"), ("", ""), ("\ud800", "?")],
    ids=["short", "long", "no text", "empty", "surrogate"],
)
def test_what_was_given_to_cancel_is_kept_in_part(
    loops: Loops, telemetry: Telemetry, message: Any, kept: str
) -> None:
    telemetry.start()
    loops.run(cancelled(forever(), message))

    assert kept == told(telemetry, "task")["message"]


def test_a_message_that_cannot_be_read_is_said_to_be_so(loops: Loops, telemetry: Telemetry) -> None:
    class Odd:
        def __str__(self) -> str:
            raise ValueError

    telemetry.start()
    loops.run(cancelled(forever(), Odd()))

    assert told(telemetry, "task")["message"] == "<its __str__ raised ValueError>"


def test_without_a_message_none_is_told(loops: Loops, telemetry: Telemetry) -> None:
    telemetry.start()
    loops.run(cancelled(forever()))

    assert set(told(telemetry, "task")) == {"by", "reason"}


def test_the_awaiter_gets_the_message_that_it_got_without_us(loops: Loops, telemetry: Telemetry) -> None:
    async def main() -> None:
        task = asyncio.create_task(forever())
        await asyncio.sleep(0)
        task.cancel("enough")
        with pytest.raises(asyncio.CancelledError, match="enough"):
            await task

    telemetry.start()
    loops.run(main())


def test_a_task_that_was_cancelled_before_its_first_step_is_told(telemetry: Telemetry) -> None:
    async def main() -> None:
        task = asyncio.create_task(forever(), name="task")
        task.cancel("at once")
        await asyncio.wait([task])

    telemetry.start()
    asyncio.run(main())

    assert told(telemetry, "task") == {
        "by": "explicit",
        "reason": "cancel() was called",
        "message": "at once",
    }


def test_a_gather_that_nobody_awaits_says_where_it_was_cancelled(loops: Loops, telemetry: Telemetry) -> None:
    async def main() -> None:
        gathering = asyncio.gather(asyncio.create_task(forever(), name="task"))
        await asyncio.sleep(0)
        gathering.cancel()
        await asyncio.wait([gathering])

    telemetry.start()
    loops.run(main())

    line = main.__code__.co_firstlineno + 3
    place = {"function": main.__qualname__, "file": __file__, "line": line}
    assert told(telemetry, "task") == {"by": "gather", "reason": "gather() was cancelled", **place}


@pytest.mark.skipif(sys.version_info < (3, 15), reason="TaskGroup.cancel came with 3.15")
def test_a_task_group_that_was_cancelled_says_where(loops: Loops, telemetry: Telemetry) -> None:
    async def main() -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(forever(), name="task")
            await asyncio.sleep(0)
            group.cancel()  # type: ignore[attr-defined,unused-ignore]  # 3.15

    telemetry.start()
    loops.run(main())

    line = main.__code__.co_firstlineno + 4
    place = {"function": main.__qualname__, "file": __file__, "line": line}
    assert told(telemetry, "task") == {"by": "task_group", "reason": "its task group was cancelled", **place}


def test_a_timeout_that_comes_late_says_so(telemetry: Telemetry) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        with suppress(TimeoutError):
            async with asyncio.timeout_at(loop.time() - 3):
                await asyncio.create_task(forever(), name="task")

    telemetry.start()
    asyncio.run(main())

    reason = f"timeout in {__name__}.{main.__qualname__}, 3.0 s late"
    assert told(telemetry, "task")["reason"] == reason


def test_a_cancellation_that_was_taken_back_is_not_why_the_task_ends(
    loops: Loops, telemetry: Telemetry
) -> None:
    async def takes_it_back(other: asyncio.Task[None]) -> None:
        with suppress(asyncio.CancelledError):
            await forever()
        current = asyncio.current_task()
        assert current is not None
        current.uncancel()
        await other

    async def main() -> None:
        other = asyncio.create_task(forever())
        task = asyncio.create_task(takes_it_back(other), name="task")
        gathering = asyncio.gather(task)
        await asyncio.sleep(0)
        gathering.cancel()
        await asyncio.sleep(0)
        other.cancel()
        await asyncio.wait([task])

    telemetry.start()
    loops.run(main())

    assert told(telemetry, "task")["by"] == "awaited"


def test_a_message_is_redacted_on_the_span_and_in_the_finding(loops: Loops, telemetry: Telemetry) -> None:
    session = telemetry.start(redact=lambda text: text.replace("secret", "***"))
    session._hooks.unfinished.limit_ns = 10_000_000

    async def cleans_up() -> None:
        try:
            await forever()
        finally:
            await forever()

    async def main() -> None:
        task = asyncio.create_task(cleans_up(), name="task")
        await asyncio.sleep(0)
        task.cancel("Cancelled via cancel scope 1; reason: secret")
        while not telemetry.log_exporter.get_finished_logs():  # noqa: ASYNC110  # told on aiotel's thread
            await asyncio.sleep(0.01)
        task.cancel("Cancelled via cancel scope 1; reason: secret")
        await asyncio.wait([task])

    loops.run(main())

    assert told(telemetry, "task") == {
        "by": "cancel_scope",
        "reason": "a cancel scope was cancelled: ***",
        "message": "Cancelled via cancel scope 1; reason: ***",
    }
    [log] = telemetry.logs
    assert "(a cancel scope was cancelled: ***)" in log.body
    assert "secret" not in f"{log.body} {dict(log.attributes)}"


# What is kept.


def test_of_tasks_without_a_span_nothing_is_kept() -> None:
    telemetry = Telemetry()
    telemetry.tracer_provider = TracerProvider(sampler=ALWAYS_OFF, shutdown_on_exit=False)
    session = telemetry.start()

    async def main() -> list[Any]:
        task = asyncio.create_task(asyncio.wait_for(forever(), 0.01))
        await asyncio.wait([task])
        waiting = asyncio.create_task(forever())
        await asyncio.sleep(0)
        gathering = asyncio.gather(waiting)
        gathering.cancel()
        await asyncio.wait([gathering])
        [ledger] = session._ledgers.opened()
        return [getattr(record, "cancellation", None) for record in ledger.live.values()]

    assert {None} == set(asyncio.run(main()))


def test_a_cancelled_task_is_let_go(loops: Loops, telemetry: Telemetry) -> None:
    async def main() -> Any:
        with suppress(TimeoutError):
            async with asyncio.timeout(0.01):
                task = asyncio.create_task(forever())
                reference = weakref.ref(task)
                await task
        del task
        await asyncio.sleep(0)
        gc.collect()
        return reference()

    telemetry.start()

    assert loops.run(main()) is None


def test_no_more_than_so_many_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> int:
        watch = requests.Watch(Ledger(asyncio.get_running_loop()))
        started = [asyncio.create_task(forever()) for _ in range(20)]
        for number, task in enumerate(started):
            watch.add(task, None, number)
        assert list(watch.requests) == [id(task) for task in started[-5:]]
        return len(watch.requests)

    monkeypatch.setattr(requests, "REQUESTS", 5)

    assert asyncio.run(main()) == 5


def test_only_so_many_below_are_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> int:
        waiting = asyncio.create_task(gathers())
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        return len(list(chains.below(waiting)))

    async def gathers() -> None:
        await asyncio.gather(*(forever() for _ in range(20)))

    monkeypatch.setattr(chains, "TASKS", 6)

    # The gathering, two tasks with the futures that they wait for, and a third.
    assert asyncio.run(main()) == 3


# Tasks that go on.


class Clock:
    def __init__(self) -> None:
        self.now_ns = 1_000_000_000_000

    def __call__(self) -> int:
        return self.now_ns

    def wait(self, seconds: float) -> None:
        self.now_ns += int(seconds * 1e9)


def watcher(clock: Clock | None = None, mailbox: Mailbox[Any] | None = None) -> Unfinished:
    clock = clock or Clock()
    box: Mailbox[Any] = Mailbox(10) if mailbox is None else mailbox
    return Unfinished(box, Repeats(clock=clock), lambda now_ns: now_ns, Returns(), clock=clock)


WHY = Cancellation(by="timeout", reason="timeout")


def watching(loops: Loops, telemetry: Telemetry, body: Any) -> list[UnfinishedCancellation]:
    """Run `body(ledger, unfinished, clock, look)`; what was found."""
    session = telemetry.start()
    mailbox: Mailbox[Any] = Mailbox(10)
    clock = Clock()
    unfinished_ = watcher(clock, mailbox)

    async def main() -> None:
        [ledger] = session._ledgers.opened()

        async def look() -> None:
            unfinished_.look([ledger])
            for _ in range(3):
                await asyncio.sleep(0)

        await body(ledger, unfinished_, clock, look)

    loops.run(main())
    return mailbox.take(10)


def test_a_task_is_told_once_after_the_limit_and_not_before(loops: Loops, telemetry: Telemetry) -> None:
    counts = []

    async def body(ledger: Ledger, unfinished_: Unfinished, clock: Clock, look: Any) -> None:
        task = asyncio.create_task(swallows())
        await asyncio.sleep(0)
        task.cancel()
        unfinished_.add(ledger, task, WHY)
        for seconds in (4.9, 0.2, 10, 10, 10, 10):
            clock.wait(seconds)
            await look()
            counts.append(len(unfinished_._mailbox.queue))
        task.cancel()

    [found_one] = watching(loops, telemetry, body)

    assert counts == [0, 1, 1, 1, 1, 1]
    assert (found_one.kind, round(found_one.seconds, 1), found_one.exact) == ("swallowed", 5.1, True)


def test_a_task_whose_cancel_nobody_saw_is_found_in_its_turn(loops: Loops, telemetry: Telemetry) -> None:
    async def body(ledger: Ledger, unfinished_: Unfinished, clock: Clock, look: Any) -> None:
        task = asyncio.create_task(swallows())
        await asyncio.sleep(0)
        task.cancel()
        await look()  # which task is the eldest, is seen
        for record in ledger.live.values():
            record.start_ns = clock.now_ns
        for seconds in (6, 1, 6):
            clock.wait(seconds)
            await look()
        task.cancel()

    [found_one] = watching(loops, telemetry, body)

    assert found_one.kind == "swallowed"
    assert not found_one.exact
    assert found_one.cancellation == Cancellation(by="explicit", reason="cancel() was called")


def test_turns_are_taken_and_all_come_round(loops: Loops, telemetry: Telemetry) -> None:
    sizes = []

    async def body(ledger: Ledger, unfinished_: Unfinished, clock: Clock, look: Any) -> None:
        started = [asyncio.create_task(forever()) for _ in range(2 * unfinished.AT_ONCE)]
        await look()
        clock.wait(6)
        watch = unfinished_._watch(ledger)
        seen: set[int] = set()
        for _ in range(4):
            keys = unfinished_._turn(ledger, watch, clock())
            sizes.append(len(keys))
            seen.update(keys)
            clock.wait(unfinished.STEP_NS / 1e9)
        assert {id(task) for task in started} <= seen
        for task in started:
            task.cancel()

    watching(loops, telemetry, body)

    # The third has the main task; then all have had their turn, and nothing is asked for a second.
    assert sizes == [unfinished.AT_ONCE, unfinished.AT_ONCE, 1, 0]


def test_young_tasks_wake_no_loop(loops: Loops, telemetry: Telemetry) -> None:
    async def body(ledger: Ledger, unfinished_: Unfinished, clock: Clock, look: Any) -> None:
        for _ in range(3):
            await look()
            clock.wait(1)
        assert unfinished_._turn(ledger, unfinished_._watch(ledger), clock()) == []

    assert watching(loops, telemetry, body) == []


def test_one_look_is_outstanding_on_a_loop_that_does_not_run(loops: Loops, telemetry: Telemetry) -> None:
    session = telemetry.start()
    clock = Clock()
    unfinished_ = watcher(clock)
    calls: list[None] = []
    loop = loops.new()
    task = loop.create_task(swallows())
    [ledger] = session._ledgers.opened()
    unfinished_.add(ledger, task, WHY)
    look_here = unfinished_._look_here
    unfinished_._look_here = lambda *args: calls.append(look_here(*args))  # type: ignore[method-assign]

    for _ in range(5):
        clock.wait(10)
        unfinished_.look([ledger])
    loop.run_until_complete(asyncio.sleep(0))
    task.cancel()
    loop.run_until_complete(asyncio.sleep(0))
    task.cancel()
    loop.run_until_complete(asyncio.wait([task]))
    loop.close()

    assert len(calls) == 1


def test_a_loop_that_was_closed_is_forgotten(telemetry: Telemetry) -> None:
    session = telemetry.start()
    clock = Clock()
    unfinished_ = watcher(clock)
    loop = asyncio.new_event_loop()
    task = loop.create_task(cancelled(forever()))
    [ledger] = session._ledgers.opened()
    loop.run_until_complete(task)
    unfinished_.add(ledger, task, WHY)
    loop.close()
    clock.wait(10)

    unfinished_.look([])

    assert unfinished_._watches == {}


def test_a_task_that_is_about_to_run_is_looked_at_again(loops: Loops, telemetry: Telemetry) -> None:
    async def spins() -> None:
        while not stop:
            with suppress(asyncio.CancelledError):
                await asyncio.sleep(0)

    stop: list[bool] = []
    counts = []

    async def body(ledger: Ledger, unfinished_: Unfinished, clock: Clock, look: Any) -> None:
        task = asyncio.create_task(spins())
        await asyncio.sleep(0)
        task.cancel()
        unfinished_.add(ledger, task, WHY)
        for _ in range(unfinished.LOOKS + 1):
            clock.wait(6)
            await look()
            counts.append(len(unfinished_._mailbox.queue))
        stop.append(True)
        await task

    watching(loops, telemetry, body)

    assert counts == [0, 0, 0, 1]


def test_a_loop_that_is_a_mock_is_none_of_our_business(telemetry: Telemetry) -> None:
    class Answers:
        def __getattr__(self, name: str) -> Any:
            return Answers()

        def __call__(self) -> None:
            """Whatever it is asked for, it has nothing."""

    telemetry.start()
    before = faults.count
    runners._cancel_all_tasks(Answers())  # type: ignore[attr-defined]

    assert faults.count == before
