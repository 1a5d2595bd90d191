from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import Any

import anyio

from aiotel._inspect.deadlines import Clock
from aiotel._inspect.primitives import beneath
from aiotel._inspect.proof import witnesses_can_be_seen
from aiotel._inspect.waits import Look, look_at
from aiotel._inspect.walks import Walk

from ..conftest import Loops
from .tasks import look_of, settle


def _held(look: Look) -> list[tuple[str, int]]:
    """The class and the line of each, relative to the first line of its function."""
    return [
        (held.primitive.name, held.at.line - _first_line(held.at.function))
        for held in look.holds
        if held.at is not None
    ]


def _first_line(function: str) -> int:
    name = function.rpartition(".")[2]
    return int(_FUNCTIONS[name].__code__.co_firstlineno)


_FUNCTIONS: dict[str, Any] = {}


def _known(function: Any) -> Any:
    _FUNCTIONS[function.__name__] = getattr(function, "__wrapped__", function)
    return function


@_known
async def nested(one: asyncio.Lock, other: asyncio.Lock) -> None:
    async with one:
        with suppress(ValueError):
            async with other:
                await asyncio.Event().wait()


def test_a_task_holds_the_locks_whose_blocks_it_is_inside(loops: Loops) -> None:
    look = loops.run(look_of(nested(asyncio.Lock(), asyncio.Lock())))

    assert [("Lock", 2), ("Lock", 4)] == _held(look)


@_known
async def entering(one: asyncio.Lock, other: asyncio.Lock) -> None:
    async with one, other:
        raise AssertionError("not to be had")


def test_a_lock_that_is_still_waited_for_is_not_held(loops: Loops) -> None:
    async def main() -> Look:
        other = asyncio.Lock()
        await other.acquire()
        return await look_of(entering(asyncio.Lock(), other))

    look = loops.run(main())

    assert [("Lock", 2)] == _held(look)
    assert look.waiting is not None
    assert ("lock", True) == (look.waiting.kind, look.waiting.complete)


@_known
async def after_a_block(lock: asyncio.Lock) -> None:
    async with lock:
        pass
    await asyncio.Event().wait()


def test_a_lock_that_was_let_go_of_is_not_held(loops: Loops) -> None:
    assert [] == _held(loops.run(look_of(after_a_block(asyncio.Lock()))))


@_known
async def after_an_error(one: asyncio.Lock, other: asyncio.Lock) -> None:
    try:
        async with one:
            [].pop()
    except IndexError:
        async with other:
            await asyncio.Event().wait()


def test_the_block_that_an_exception_left_is_left(loops: Loops) -> None:
    one, other = asyncio.Lock(), asyncio.Lock()

    look = loops.run(look_of(after_an_error(one, other)))

    assert [id(other)] == [held.primitive.id for held in look.holds]


@_known
@asynccontextmanager
async def locked(lock: asyncio.Lock) -> AsyncIterator[None]:
    async with lock:
        yield


@_known
async def through_a_context_manager(lock: asyncio.Lock) -> None:
    async with locked(lock):
        await asyncio.Event().wait()


def test_a_lock_in_a_context_manager_is_held_by_who_is_inside(loops: Loops) -> None:
    assert [("Lock", 3)] == _held(loops.run(look_of(through_a_context_manager(asyncio.Lock()))))


@_known
async def through_a_stack(lock: asyncio.Lock) -> None:
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(lock)
        await asyncio.Event().wait()


def test_a_lock_in_an_exit_stack_is_held_by_who_is_inside(loops: Loops) -> None:
    assert [("Lock", 2)] == _held(loops.run(look_of(through_a_stack(asyncio.Lock()))))


@_known
async def numbers(lock: asyncio.Lock) -> AsyncIterator[int]:
    async with lock:
        yield 1


@_known
async def through_a_generator(lock: asyncio.Lock) -> None:
    async for _ in numbers(lock):
        await asyncio.Event().wait()


def test_a_lock_in_an_async_generator_is_held_by_who_iterates_it(loops: Loops) -> None:
    assert [("Lock", 2)] == _held(loops.run(look_of(through_a_generator(asyncio.Lock()))))


@_known
async def within_a_generator(lock: asyncio.Lock) -> AsyncIterator[int]:
    async with lock:
        await asyncio.Event().wait()
        yield 1


def test_a_lock_in_an_async_generator_that_waits_is_held(loops: Loops) -> None:
    async def main() -> None:
        async for _ in within_a_generator(lock):
            pass

    lock = asyncio.Lock()
    assert [("Lock", 2)] == _held(loops.run(look_of(main())))


def test_whoever_waits_on_a_condition_does_not_hold_it(loops: Loops) -> None:
    async def main() -> None:
        condition = asyncio.Condition()
        async with condition:
            await condition.wait()

    look = loops.run(look_of(main()))

    assert ((), "condition") == (look.holds, look.waiting and look.waiting.kind)


def test_who_is_woken_from_a_condition_waits_for_its_lock(loops: Loops) -> None:
    async def waits(condition: asyncio.Condition) -> None:
        async with condition:
            await condition.wait()

    async def main() -> tuple[Look, int]:
        condition = asyncio.Condition()

        async def wakes() -> None:
            await settle()
            async with condition:
                condition.notify_all()
                await asyncio.Event().wait()

        waker = asyncio.ensure_future(wakes())
        look = await _late(waits(condition))
        waker.cancel()
        await asyncio.gather(waker, return_exceptions=True)
        return look, id(beneath(condition))

    async def _late(coroutine: Any) -> Look:
        task = asyncio.ensure_future(coroutine)
        for _ in range(4):
            await settle()
        look = look_at(Walk(task), clock=Clock(0, 0), since_ns=0)
        task.cancel()
        return look

    look, lock = loops.run(main())

    assert look.waiting is not None
    assert look.waiting.primitive is not None
    assert ((), "lock", lock) == (look.holds, look.waiting.kind, look.waiting.primitive.id)


@_known
async def with_a_local(lock: asyncio.Lock) -> None:
    leave = lock.__aexit__
    with suppress(ValueError):
        await asyncio.Event().wait()
    await leave(None, None, None)


def test_a_variable_is_not_a_block(loops: Loops) -> None:
    async def main() -> Look:
        lock = asyncio.Lock()
        await lock.acquire()
        return await look_of(with_a_local(lock))

    assert () == loops.run(main()).holds


def test_anyios_lock_says_itself_who_holds_it(loops: Loops) -> None:
    async def main() -> tuple[Look, int]:
        lock = anyio.Lock()

        async def holds() -> None:
            async with lock:
                await asyncio.Event().wait()

        async def wants() -> None:
            async with lock:
                pass

        holder = asyncio.ensure_future(holds())
        await settle()
        look = await look_of(wants())
        holder.cancel()
        await asyncio.gather(holder, return_exceptions=True)
        return look, id(holder)

    look, holder = loops.run(main())

    assert look.waiting is not None
    assert ((holder,), True) == (look.owners, look.waiting.complete)


def test_this_python_shows_what_a_suspended_coroutine_holds() -> None:
    assert (True, True) == (witnesses_can_be_seen(), hasattr(asyncio.Task, "_fut_waiter"))
