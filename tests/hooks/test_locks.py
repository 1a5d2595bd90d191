"""Who holds which lock is known exactly or not at all, and the program's locks are what they were."""

from __future__ import annotations

import asyncio
import gc
import inspect
import io
import random
import traceback
import unittest
import weakref
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack
from typing import Any

import pytest

from aiotel._complaints import complaints
from aiotel._hooks import followed
from aiotel._hooks import locks as module
from aiotel._hooks.locks import Locks
from aiotel._hooks.setters import Setter, place

from ..conftest import Loops, Telemetry

PRIMITIVES = (asyncio.Lock, asyncio.Semaphore, asyncio.BoundedSemaphore)


@pytest.fixture
def hook() -> Iterator[Locks]:
    hook = Locks(measure=True)
    detach = hook.attach()
    yield hook
    detach()


def me() -> int:
    return id(asyncio.current_task())


def owners(hook: Locks, primitive: Any) -> list[int]:
    return [owner.task_id for owner in hook.owners_of(id(primitive))]


async def until(condition: Callable[[], bool]) -> None:
    for _ in range(100_000):
        if condition():
            return
        await asyncio.sleep(0)
    raise AssertionError


async def until_waiting(primitive: Any) -> None:
    await until(lambda: any(not future.done() for future in primitive._waiters or ()))


@pytest.mark.parametrize("made", PRIMITIVES)
def test_the_owner_is_known_from_a_bare_acquire_to_its_release(loops: Loops, hook: Locks, made: Any) -> None:
    async def main() -> None:
        primitive = made()
        assert owners(hook, primitive) == []
        await primitive.acquire()
        (owner,) = hook.owners_of(id(primitive))
        assert (owner.task_id, owner.ended) == (me(), False)
        assert owner.at is not None
        assert owner.at.file == __file__
        assert owner.at.function.endswith("main")
        assert hook.held_by(me()) == {id(primitive)}
        primitive.release()
        assert owners(hook, primitive) == []
        assert hook.held_by(me()) == frozenset()

    loops.run(main())


@pytest.mark.parametrize("made", PRIMITIVES)
def test_it_goes_on_to_the_one_that_has_waited(loops: Loops, hook: Locks, made: Any) -> None:
    async def other(primitive: Any, seen: list[Any]) -> None:
        async with primitive:
            seen.extend([hook.owners_of(id(primitive))[0], me()])

    async def main() -> None:
        primitive, seen = made(), []  # type: ignore[var-annotated]  # of anything
        async with primitive:
            task = asyncio.create_task(other(primitive, seen))
            await until_waiting(primitive)
            assert owners(hook, primitive) == [me()]
        await task
        owner, other_id = seen
        assert owner.task_id == other_id
        assert owner.at.function.endswith("other")
        assert owners(hook, primitive) == []

    loops.run(main())


@pytest.mark.parametrize("made", PRIMITIVES)
def test_a_wait_that_is_cancelled_holds_nothing(loops: Loops, hook: Locks, made: Any) -> None:
    async def other(primitive: Any) -> None:
        async with primitive:
            raise AssertionError

    async def main() -> None:
        primitive = made()
        await primitive.acquire()
        timed_out = asyncio.create_task(asyncio.wait_for(primitive.acquire(), 0.001))
        with pytest.raises(TimeoutError):
            await timed_out
        task = asyncio.create_task(other(primitive))
        await until_waiting(primitive)
        primitive.release()  # it is woken, and cancelled before it goes on
        task.cancel()
        await asyncio.wait([task])
        assert owners(hook, primitive) == []
        async with primitive:
            assert owners(hook, primitive) == [me()]

    loops.run(main())


def test_a_condition_lets_go_of_its_lock_while_it_waits(loops: Loops, hook: Locks) -> None:
    async def waits(condition: asyncio.Condition, seen: list[Any]) -> None:
        async with condition:
            await condition.wait()
            seen.append(owners(hook, condition._lock) == [me()])  # type: ignore[attr-defined]  # asyncio's own

    async def main() -> list[Any]:
        condition, seen = asyncio.Condition(), []  # type: ignore[var-annotated]  # of anything
        task = asyncio.create_task(waits(condition, seen))
        await until_waiting(condition)
        assert owners(hook, condition._lock) == []  # type: ignore[attr-defined]  # asyncio's own
        async with condition:
            condition.notify()
        await task
        return seen

    assert loops.run(main()) == [True]


def test_a_release_by_whomever_ends_it(loops: Loops, hook: Locks) -> None:
    async def release(lock: Any) -> None:
        lock.release()

    async def main() -> None:
        loop, lock, semaphore = asyncio.get_running_loop(), asyncio.Lock(), asyncio.Semaphore(1)
        for primitive in (lock, semaphore):
            await primitive.acquire()
            await asyncio.create_task(release(primitive))
            assert owners(hook, primitive) == []
            await primitive.acquire()
            await asyncio.to_thread(loop.call_soon_threadsafe, primitive.release)
            await until(lambda primitive=primitive: not primitive.locked())  # type: ignore[misc]  # a lambda
            assert owners(hook, primitive) == []
            async with primitive:
                assert owners(hook, primitive) == [me()]

    loops.run(main())


def test_a_lock_whose_owner_has_ended_says_so(loops: Loops, telemetry: Telemetry) -> None:
    async def leaves(lock: asyncio.Lock) -> None:
        await lock.acquire()

    async def main(hook: Locks) -> Any:
        lock = asyncio.Lock()
        await asyncio.create_task(leaves(lock), name="the one that left")
        gc.collect()
        (owner,) = hook.owners_of(id(lock))
        assert hook.held_by(owner.task_id) == frozenset()
        return owner

    session = telemetry.start(lock_owners=True)
    hook = session._hooks.locks
    assert hook is not None
    owner = loops.run(main(hook))

    assert owner.ended
    assert owner.at.function.endswith("leaves")
    assert owner.task.function.endswith("leaves")


def test_what_was_held_before_is_not_known_until_it_is_free(loops: Loops) -> None:
    async def main() -> None:
        primitives: list[Any] = [asyncio.Lock(), asyncio.BoundedSemaphore(2)]
        for primitive in primitives:
            await primitive.acquire()
        hook = Locks()
        detach = hook.attach()
        try:
            assert [owners(hook, primitive) for primitive in primitives] == [[], []]
            await primitives[1].acquire()
            assert owners(hook, primitives[1]) == []  # only one of two is known
            primitives[1].release()
            for primitive in primitives:
                primitive.release()
                await primitive.acquire()
                assert owners(hook, primitive) == [me()]
        finally:
            detach()

    loops.run(main())


def test_a_semaphore_that_signals_has_no_owners(loops: Loops, hook: Locks) -> None:
    async def main() -> None:
        semaphore = asyncio.Semaphore(0)
        semaphore.release()
        await semaphore.acquire()
        assert owners(hook, semaphore) == []
        assert hook.held_by(me()) == frozenset()

    loops.run(main())


def test_a_semaphore_that_was_released_too_often_has_no_owners_any_more(loops: Loops, hook: Locks) -> None:
    async def main() -> None:
        semaphore = asyncio.Semaphore(1)
        semaphore.release()
        await semaphore.acquire()
        await semaphore.acquire()
        semaphore.release()  # its value is what it was at first, and one permit is out
        await semaphore.acquire()
        assert owners(hook, semaphore) == []
        assert hook.held_by(me()) == frozenset()

    loops.run(main())


def test_a_lock_that_was_free_was_not_waited_for_though_an_earlier_wait_was_cancelled(
    loops: Loops, hook: Locks
) -> None:
    async def main() -> None:
        lock = asyncio.Lock()
        await lock.acquire()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.001):
                await lock.acquire()
        lock.release()
        await lock.acquire()

    loops.run(main())

    waits, _ = hook.take()
    assert list(waits.values()) == [[0, 0]]


def test_a_lock_that_went_while_it_was_held_is_not_taken_for_the_next_at_its_place(
    loops: Loops, hook: Locks
) -> None:
    async def main() -> None:
        lock: Any = asyncio.Lock()
        await lock.acquire()
        for _ in range(100):
            place = id(lock)
            del lock
            lock = asyncio.Lock()
            assert owners(hook, lock) == []
            if id(lock) == place:
                return
            await lock.acquire()

    loops.run(main())

    assert hook.take()[1] == {}


def test_the_permit_of_one_of_several_released_by_a_stranger_is_nobodys(loops: Loops, hook: Locks) -> None:
    async def holds(semaphore: asyncio.Semaphore, end: asyncio.Event) -> None:
        await semaphore.acquire()
        await end.wait()

    async def main() -> None:
        semaphore, end = asyncio.Semaphore(2), asyncio.Event()
        tasks = [asyncio.create_task(holds(semaphore, end)) for _ in range(2)]
        await until(semaphore.locked)
        assert owners(hook, semaphore) == [id(task) for task in tasks]
        semaphore.release()  # whose?
        assert owners(hook, semaphore) == []
        semaphore.release()  # all are back
        async with semaphore:
            assert owners(hook, semaphore) == [me()]
        end.set()
        await asyncio.gather(*tasks)

    loops.run(main())


def test_random_programs_have_the_owners_that_they_themselves_note(loops: Loops, hook: Locks) -> None:
    source = random.Random(seed := random.randrange(1 << 32))
    checked = 0

    async def works(primitives: list[Any], noted: dict[int, list[int]]) -> None:
        nonlocal checked
        for _ in range(6):
            primitive = source.choice(primitives)
            try:
                async with asyncio.timeout(source.choice([0, 0.001, 10])):
                    await primitive.acquire()
            except TimeoutError:
                continue
            noted[id(primitive)].append(me())
            for _ in range(source.randrange(3)):
                await asyncio.sleep(0)
            found = owners(hook, primitive)
            # A permit that is granted to a task that has not gone on is known to the hook only.
            assert set(noted[id(primitive)]) <= set(found), seed
            checked += 1
            noted[id(primitive)].remove(me())
            primitive.release()

    async def main() -> None:
        primitives = [*(asyncio.Lock() for _ in range(2)), asyncio.Semaphore(2), asyncio.BoundedSemaphore(3)]
        noted: dict[int, list[int]] = {id(primitive): [] for primitive in primitives}
        await asyncio.gather(*(works(primitives, noted) for _ in range(20)))
        assert [owners(hook, primitive) for primitive in primitives] == [[], [], [], []]

    loops.run(main())

    assert checked > 20


def test_an_overridden_acquire_and_an_exit_stack_are_seen_too(loops: Loops, hook: Locks) -> None:
    class Named(asyncio.Lock):
        async def acquire(self) -> Any:
            return await super().acquire()

    async def main() -> None:
        lock = Named()
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(lock)
            assert owners(hook, lock) == [me()]
        assert owners(hook, lock) == []

    loops.run(main())


def test_nothing_is_kept_alive(loops: Loops, hook: Locks, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(followed, "FEW", 8)
    hook.forget()

    async def main() -> list[Any]:
        gone, primitive = [], None
        for _ in range(100):
            for made in PRIMITIVES:
                primitive = made()
                await primitive.acquire()
                gone.append(weakref.ref(primitive))
        del primitive
        gc.collect()
        return [reference() for reference in gone if reference() is not None]

    assert loops.run(main()) == []
    assert len(hook._known.held) <= 32
    assert len(hook._known.permits) <= 32


def test_what_there_is_no_place_for_is_counted_and_not_known(
    loops: Loops, hook: Locks, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(followed, "FEW", 4)
    monkeypatch.setattr(followed, "KNOWN", 8)
    hook.forget()

    async def main() -> int:
        locks = [asyncio.Lock() for _ in range(20)]
        for lock in locks:
            await lock.acquire()
        return sum(bool(owners(hook, lock)) for lock in locks)

    assert loops.run(main()) == 8
    assert hook.dropped() == 12
    hook._close()
    assert hook.dropped() == 12  # to be told at the end of the session


def test_classes_are_put_back_as_they_were_found() -> None:
    before = [dict(vars(made)) for made in PRIMITIVES]
    hook = Locks()
    detach = hook.attach()
    hook.attach()()
    assert "_locked" in vars(asyncio.Lock)
    detach()

    assert [dict(vars(made)) for made in PRIMITIVES] == before


def test_what_somebody_has_put_in_front_stays_and_ours_does_nothing(loops: Loops) -> None:
    hook = Locks()
    detach = hook.attach()
    undo = place(asyncio.Lock, "_locked", Setter("_locked", lambda *_: None))
    detach()
    theirs = vars(asyncio.Lock)["_locked"]
    undo()  # gives back ours, which is a pass-through by now

    async def main() -> list[int]:
        lock = asyncio.Lock()
        async with lock:
            assert lock.locked()
            return owners(hook, lock)

    try:
        assert theirs is not vars(asyncio.Lock)["_locked"]
        assert loops.run(main()) == []
    finally:
        del asyncio.Lock._locked  # type: ignore[attr-defined]  # ours


def test_a_session_that_does_not_ask_touches_nothing(telemetry: Telemetry) -> None:
    before = [dict(vars(made)) for made in PRIMITIVES]
    session = telemetry.start()

    assert session._hooks.locks is None
    assert [dict(vars(made)) for made in PRIMITIVES] == before


def test_locks_that_are_made_otherwise_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "GRANT", "locked")
    hook = Locks()
    hook.attach()()

    assert "_locked" not in vars(asyncio.Lock)
    complaints.clear()


def test_tracebacks_and_signatures_are_the_programs_own(loops: Loops, hook: Locks) -> None:
    async def main() -> list[str]:
        lock = asyncio.Lock()
        await lock.acquire()
        with pytest.raises(TimeoutError) as caught:
            await asyncio.wait_for(lock.acquire(), 0.001)
        cancelled = caught.value.__cause__
        assert cancelled is not None
        return [frame.filename for frame in traceback.extract_tb(cancelled.__traceback__)]

    assert not [file for file in loops.run(main()) if "aiotel" in file and file != __file__]
    assert inspect.iscoroutinefunction(asyncio.Lock.acquire)
    assert "_locked" in vars(asyncio.Lock())


def test_a_lock_of_another_loop_is_refused_without_a_frame_of_ours(loops: Loops, hook: Locks) -> None:
    lock = asyncio.Lock()

    async def contend() -> None:
        await lock.acquire()
        await asyncio.wait({asyncio.create_task(lock.acquire())}, timeout=0.001)

    async def other() -> list[str]:
        with pytest.raises(RuntimeError, match="different event loop") as caught:
            await lock.acquire()
        return [frame.filename for frame in traceback.extract_tb(caught.value.__traceback__)]

    loops.run(contend())

    assert not [file for file in loops.run(other()) if "_hooks" in file]


def test_the_interpreters_own_tests_end_as_they_do_without() -> None:
    tests = pytest.importorskip("test.test_asyncio.test_locks")

    def outcomes() -> tuple[int, list[str], list[str]]:
        suite = unittest.defaultTestLoader.loadTestsFromModule(tests)
        result = unittest.TextTestRunner(io.StringIO()).run(suite)
        return (
            result.testsRun,
            sorted(str(test) for test, _ in (*result.failures, *result.errors)),
            sorted(str(test) for test, _ in result.skipped),
        )

    plain = outcomes()
    hook = Locks(measure=True)
    detach = hook.attach()
    try:
        watched = outcomes()
    finally:
        detach()

    assert plain[0] > 50
    assert watched == plain
