"""Broken programs, each of which is told exactly: the cycle, who holds what, and who waits behind it."""

from __future__ import annotations

import json
import random
import textwrap
from dataclasses import dataclass
from typing import Any

import pytest

from ..conftest import Loops
from .deadlocked import cycle_of, run_broken

HEAD = """
import asyncio
from contextlib import AsyncExitStack, asynccontextmanager, suppress

async def both(x, y):
    async with x:
        await asyncio.sleep(0.001)
        async with y:
            pass

"""


@dataclass(frozen=True)
class Broken:
    """A program, the functions of its cycle by the end of their names, and of the victims."""

    text: str
    cycle: tuple[str, ...]
    victims: tuple[str, ...] = ()
    severity: str = "ERROR"


TWO_LOCKS = Broken(
    """
    async def ONE(): await both(A, B)
    async def OTHER(): await both(B, A)
    async def main():
        global A, B
        A, B = asyncio.Lock(), asyncio.Lock()
        await asyncio.wait([asyncio.ensure_future(ONE()), asyncio.ensure_future(OTHER())])
    """,
    ("ONE", "OTHER"),
    ("main",),
)

BROKEN = {
    "two locks": TWO_LOCKS,
    "a ring of three": Broken(
        """
        async def ONE(): await both(A, B)
        async def OTHER(): await both(B, C)
        async def THIRD(): await both(C, A)
        async def main():
            global A, B, C
            A, B, C = asyncio.Lock(), asyncio.Lock(), asyncio.Lock()
            await asyncio.gather(ONE(), OTHER(), THIRD())
        """,
        ("ONE", "OTHER", "THIRD"),
        ("main",),
    ),
    "the same lock twice": Broken(
        """
        async def ONE(lock):
            async with lock:
                await INNER(lock)
        async def INNER(lock):
            async with lock:
                pass
        async def main():
            await ONE(asyncio.Lock())
        """,
        ("main",),
    ),
    "a lock deep inside": Broken(
        """
        async def deep(left, lock):
            if left:
                return await deep(left - 1, lock)
            async with lock:
                pass
        async def ONE(lock):
            async with lock:
                await deep(DEPTH, lock)
        async def main():
            await asyncio.create_task(ONE(asyncio.Lock()))
        """,
        ("ONE",),
        ("main",),
    ),
    "a child that wants what its parent holds": Broken(
        """
        async def CHILD(lock):
            async with lock:
                pass
        async def main():
            lock = asyncio.Lock()
            async with lock:
                await asyncio.create_task(CHILD(lock))
        """,
        ("CHILD", "main"),
    ),
    "a gather under a lock": Broken(
        """
        async def CHILD(lock):
            async with lock:
                pass
        async def main():
            lock = asyncio.Lock()
            async with lock:
                await asyncio.gather(CHILD(lock), CHILD(lock))
        """,
        ("CHILD", "main"),
        ("CHILD",),
    ),
    "a task group under a lock": Broken(
        """
        async def CHILD(lock):
            async with lock:
                pass
        async def main():
            lock = asyncio.Lock()
            async with lock:
                async with asyncio.TaskGroup() as group:
                    group.create_task(CHILD(lock))
        """,
        ("CHILD", "main"),
    ),
    "a wait under a lock": Broken(
        """
        async def CHILD(lock):
            async with lock:
                pass
        async def main():
            lock = asyncio.Lock()
            async with lock:
                await asyncio.wait([asyncio.create_task(CHILD(lock))])
        """,
        ("CHILD", "main"),
    ),
    "tasks that await each other": Broken(
        """
        async def ONE(tasks): await tasks[1]
        async def OTHER(tasks): await tasks[0]
        async def main():
            tasks = []
            tasks += [asyncio.create_task(later(ONE, tasks)), asyncio.create_task(later(OTHER, tasks))]
            await asyncio.Event().wait()
        async def later(function, tasks):
            await asyncio.sleep(0)
            await function(tasks)
        """,
        ("later", "later"),
    ),
    "three tasks that await each other": Broken(
        """
        async def ONE(number, tasks):
            await asyncio.sleep(0)
            await tasks[(number + 1) % 3]
        async def main():
            tasks = []
            tasks += [asyncio.create_task(ONE(number, tasks)) for number in range(3)]
            await asyncio.Event().wait()
        """,
        ("ONE", "ONE", "ONE"),
    ),
    "a bounded semaphore twice": Broken(
        """
        async def ONE(semaphore):
            async with semaphore:
                async with semaphore:
                    pass
        async def main():
            await asyncio.create_task(ONE(asyncio.BoundedSemaphore(1)))
        """,
        ("ONE",),
        ("main",),
    ),
    "all permits are held by those that want another": Broken(
        """
        async def ONE(semaphore):
            async with semaphore:
                await asyncio.sleep(0.001)
                async with semaphore:
                    pass
        async def main():
            semaphore = asyncio.BoundedSemaphore(2)
            await asyncio.gather(ONE(semaphore), ONE(semaphore))
        """,
        ("ONE",),
        ("ONE", "main"),
    ),
    "a semaphore and a lock": Broken(
        """
        async def ONE(): await both(A, B)
        async def OTHER(): await both(B, A)
        async def main():
            global A, B
            A, B = asyncio.BoundedSemaphore(1), asyncio.Lock()
            await asyncio.gather(ONE(), OTHER())
        """,
        ("ONE", "OTHER"),
        ("main",),
    ),
    "the lock of a condition": Broken(
        """
        async def CHILD(condition):
            async with condition:
                condition.notify_all()
        async def main():
            condition = asyncio.Condition()
            async with condition:
                await asyncio.create_task(CHILD(condition))
        """,
        ("CHILD", "main"),
    ),
    "locks in context managers": Broken(
        """
        @asynccontextmanager
        async def using(lock):
            async with lock:
                yield
        async def ONE(x, y):
            async with using(x):
                await asyncio.sleep(0.001)
                async with using(y):
                    pass
        async def main():
            A, B = asyncio.Lock(), asyncio.Lock()
            await asyncio.gather(ONE(A, B), ONE(B, A))
        """,
        ("ONE", "ONE"),
        ("main",),
    ),
    "locks in exit stacks": Broken(
        """
        async def ONE(x, y):
            async with AsyncExitStack() as stack:
                await stack.enter_async_context(x)
                await asyncio.sleep(0.001)
                await stack.enter_async_context(y)
        async def main():
            A, B = asyncio.Lock(), asyncio.Lock()
            await asyncio.gather(ONE(A, B), ONE(B, A))
        """,
        ("ONE", "ONE"),
        ("main",),
    ),
    "locks in async generators": Broken(
        """
        async def rows(lock):
            async with lock:
                yield 1
        async def ONE(x, y):
            async for _ in rows(x):
                await asyncio.sleep(0.001)
                async for _ in rows(y):
                    pass
        async def main():
            A, B = asyncio.Lock(), asyncio.Lock()
            await asyncio.gather(ONE(A, B), ONE(B, A))
        """,
        ("ONE", "ONE"),
        ("main",),
    ),
    "locks among other blocks": Broken(
        """
        async def ONE(x, y):
            with suppress(ValueError), open("/dev/null"):
                async with x:
                    try:
                        await asyncio.sleep(0.001)
                    finally:
                        with suppress(KeyError):
                            async with y:
                                pass
        async def main():
            A, B = asyncio.Lock(), asyncio.Lock()
            await asyncio.gather(ONE(A, B), ONE(B, A))
        """,
        ("ONE", "ONE"),
        ("main",),
    ),
    "a lock wanted while an exception is handled": Broken(
        """
        async def ONE(x, y):
            try:
                raise ValueError
            except ValueError:
                async with x:
                    await asyncio.sleep(0.001)
                    async with y:
                        pass
        async def main():
            A, B = asyncio.Lock(), asyncio.Lock()
            await asyncio.gather(ONE(A, B), ONE(B, A))
        """,
        ("ONE", "ONE"),
        ("main",),
    ),
    "victims behind victims": Broken(
        """
        async def ONE(): await both(A, B)
        async def OTHER(): await both(B, A)
        async def VICTIM():
            async with C:
                async with A:
                    pass
        async def LAST():
            async with C:
                pass
        async def main():
            global A, B, C
            A, B, C = asyncio.Lock(), asyncio.Lock(), asyncio.Lock()
            tasks = [asyncio.create_task(ONE()), asyncio.create_task(OTHER())]
            await asyncio.sleep(0.01)
            tasks += [asyncio.create_task(VICTIM())]
            await asyncio.sleep(0.01)
            tasks += [asyncio.create_task(LAST())]
            await asyncio.Event().wait()
        """,
        ("ONE", "OTHER"),
        ("VICTIM", "LAST"),
    ),
    "anyio's locks": Broken(
        """
        import anyio
        async def ONE(): await both(A, B)
        async def OTHER(): await both(B, A)
        async def main():
            global A, B
            A, B = anyio.Lock(), anyio.Lock()
            async with anyio.create_task_group() as group:
                group.start_soon(ONE)
                group.start_soon(OTHER)
        """,
        ("ONE", "OTHER"),
        ("main",),
    ),
    "anyio's task group under a lock": Broken(
        """
        import anyio
        async def CHILD(lock):
            async with lock:
                pass
        async def main():
            lock = anyio.Lock()
            async with lock:
                async with anyio.create_task_group() as group:
                    group.start_soon(CHILD, lock)
        """,
        ("CHILD", "main"),
    ),
    "a timeout far above": Broken(
        """
        async def ONE(): await both(A, B)
        async def OTHER(): await both(B, A)
        async def main():
            global A, B
            A, B = asyncio.Lock(), asyncio.Lock()
            async with asyncio.timeout(500):
                await asyncio.gather(ONE(), OTHER())
        """,
        ("ONE", "OTHER"),
        severity="WARN",
    ),
    "locks that are handed on in methods": Broken(
        """
        class Store:
            def __init__(self):
                self.lock = asyncio.Lock()
            async def ONE(self, other):
                async with self.lock:
                    await asyncio.sleep(0.001)
                    await other.INNER()
            async def INNER(self):
                async with self.lock:
                    pass
        async def main():
            a, b = Store(), Store()
            await asyncio.gather(a.ONE(b), b.ONE(a))
        """,
        ("ONE", "ONE"),
        ("main",),
    ),
    "a lock held while a task group of others wants it": Broken(
        """
        async def ONE(lock):
            async with asyncio.TaskGroup() as group:
                group.create_task(CHILD(lock))
        async def CHILD(lock):
            async with lock:
                pass
        async def main():
            lock = asyncio.Lock()
            async with lock:
                await asyncio.create_task(ONE(lock))
        """,
        ("CHILD", "main", "ONE"),
    ),
    "a bounded semaphore and its own child": Broken(
        """
        async def CHILD(semaphore):
            async with semaphore:
                pass
        async def main():
            semaphore = asyncio.BoundedSemaphore(1)
            async with semaphore:
                await asyncio.wait_for(asyncio.create_task(CHILD(semaphore)), None)
        """,
        ("CHILD", "main"),
    ),
}
NAMES = ("ONE", "OTHER", "THIRD", "CHILD", "INNER", "VICTIM", "LAST")


def _text(broken: Broken) -> str:
    return HEAD + textwrap.dedent(broken.text).replace("DEPTH", str(random.randrange(3, 40)))


@pytest.mark.slow
@pytest.mark.parametrize("name", BROKEN)
def test_a_deadlock_is_told_exactly(loops: Loops, capsys: pytest.CaptureFixture[str], name: str) -> None:
    broken = BROKEN[name]
    if loops.eager and name.startswith("anyio"):
        pytest.skip("anyio makes its tasks itself under an eager factory: they are not known")

    found = run_broken(loops, capsys, _text(broken), *NAMES)

    assert [broken.severity] == [log.severity_text for log in found.logs]
    log = found.logs[0]
    nodes: list[dict[str, Any]] = json.loads(str(log.attributes["asyncio.deadlock.graph"]))
    names = {stands: name for name, stands in found.program.names.items()}
    functions = [_last(node["function"], names) for node in nodes]
    cycle = [function for function, node in zip(functions, nodes, strict=True) if not node["victim"]]
    victims = [function for function, node in zip(functions, nodes, strict=True) if node["victim"]]
    assert _rotations(broken.cycle) & _rotations(tuple(cycle))
    assert sorted(broken.victims) == sorted(victims)
    for number, node in enumerate(nodes[: len(cycle)], 1):  # each waits for the next
        assert number % len(cycle) + 1 in node["waits_for"]["tasks"]
        assert found.program.file == node["waits_for"]["file"]
    assert {"deadlock": 1} == found.told.counts("asyncio.findings")
    assert ["asyncio.deadlock.resolved"] == [
        log.event_name for log in found.told.logs if "resolved" in log.event_name
    ]


def _last(function: str, names: dict[str, str]) -> str:
    last = function.rpartition(".")[2]
    return names.get(last, last)


def _rotations(cycle: tuple[str, ...]) -> set[tuple[str, ...]]:
    return {cycle[number:] + cycle[:number] for number in range(len(cycle))}


@pytest.mark.slow
def test_lines_of_what_is_held_and_waited_for_are_told(
    loops: Loops, capsys: pytest.CaptureFixture[str]
) -> None:
    text = """
    import asyncio

    async def ONE(x, y):
        async with x:  #! held
            await asyncio.sleep(0.001)
            async with y:  #! waited
                pass

    async def main():
        A, B = asyncio.Lock(), asyncio.Lock()
        await asyncio.gather(ONE(A, B), ONE(B, A))
    """
    found = run_broken(loops, capsys, text, "ONE")

    marked = found.program.marked
    assert [(marked["held"], marked["waited"])] * 2 == [
        (node["holds"][0]["line"], node["waits_for"]["line"]) for node in cycle_of(found.logs[0])
    ]
    one, other = cycle_of(found.logs[0])
    assert one["holds"][0]["what"] == other["waits_for"]["what"]
    assert other["holds"][0]["what"] == one["waits_for"]["what"]


@pytest.mark.slow
def test_the_spans_of_all_involved_have_an_event(loops: Loops, capsys: pytest.CaptureFixture[str]) -> None:
    found = run_broken(loops, capsys, _text(TWO_LOCKS), *NAMES)

    events = {
        span.name.rpartition(".")[2]: [event.name for event in span.events]
        for span in found.told.spans
        if span.events
    }
    names = found.program.names
    assert {names["ONE"], names["OTHER"], "main"} == events.keys()
    assert all("asyncio.deadlock" in each for each in events.values())
    node = cycle_of(found.logs[0])[0]
    assert node["span_id"] in {span.span_id for span in found.told.spans}


@pytest.mark.slow
def test_two_deadlocks_are_two(loops: Loops, capsys: pytest.CaptureFixture[str]) -> None:
    text = (
        HEAD
        + """
async def main():
    A, B, C, D = (asyncio.Lock() for _ in range(4))
    await asyncio.gather(both(A, B), both(B, A), both(C, D), both(D, C))
"""
    )
    found = run_broken(loops, capsys, text, deadlocks=2)

    assert [2, 2] == [len(cycle_of(log)) for log in found.logs]


@pytest.mark.slow
def test_a_ring_of_any_size_is_told(loops: Loops, capsys: pytest.CaptureFixture[str]) -> None:
    size = random.randrange(4, 12)
    text = (
        HEAD
        + f"""
async def main():
    locks = [asyncio.Lock() for _ in range({size})]
    await asyncio.gather(*(both(locks[n], locks[(n + 1) % {size}]) for n in range({size})))
"""
    )
    found = run_broken(loops, capsys, text)

    assert [size] == [len(cycle_of(log)) for log in found.logs]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "words"),
    [
        (
            "two locks",
            "Unless another task releases what one of them waits for, only a cancellation can end this.",
        ),
        ("a child that wants what its parent holds", "Unless another task releases"),
        ("tasks that await each other", "to cancel tasks that await each other is a RecursionError"),
        ("a timeout far above", "A timeout will end this in "),
    ],
)
def test_it_is_said_how_it_could_end(
    loops: Loops, capsys: pytest.CaptureFixture[str], name: str, words: str
) -> None:
    found = run_broken(loops, capsys, _text(BROKEN[name]), *NAMES)

    assert words in str(found.logs[0].body)


@pytest.mark.slow
def test_victims_that_come_and_give_up_do_not_hide_it(
    loops: Loops, capsys: pytest.CaptureFixture[str]
) -> None:
    text = (
        HEAD
        + """
async def VICTIM(lock):
    async with lock:
        pass

async def main():
    A, B = asyncio.Lock(), asyncio.Lock()
    stuck = asyncio.gather(both(A, B), both(B, A))
    waiting = []
    while True:
        waiting.append(asyncio.create_task(VICTIM(A)))
        if len(waiting) > 8:
            waiting.pop(0).cancel()
        await asyncio.sleep(0.02)
"""
    )
    found = run_broken(loops, capsys, text, "VICTIM")

    assert [2] == [len(cycle_of(log)) for log in found.logs]
