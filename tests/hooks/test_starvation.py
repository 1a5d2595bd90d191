"""A pool is starved where calls wait and nothing comes free; not where it is only busy."""

from __future__ import annotations

import queue
import random
import threading
from collections.abc import Callable
from concurrent.futures import thread
from types import FunctionType
from typing import Any

import pytest

from aiotel._hooks.pools import View
from aiotel._hooks.starvation import Starvation
from aiotel._inspect.stacks import Place
from aiotel._mailbox import Mailbox
from aiotel._repeats import Repeats
from aiotel.observations import Frame, PoolKind, Recovered, Starved

TICK_NS = 100_000_000
SECOND = 10
"""A second in ticks."""


class FakePool:
    """A pool as one says it is."""

    kind: PoolKind = "user"

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.busy = 0
        self.waiting = 0
        self.started_ns = 0
        self.gone = False
        self.builtin = ""

    def view(self, now_ns: int) -> View | None:
        if self.gone:
            return None
        busy = dict.fromkeys(range(self.busy), self.builtin)
        return View(self.limit, self.limit, self.waiting, busy, self.started_ns)


def place(function: Callable[..., Any], module: str = "shop") -> Place:
    assert isinstance(function, FunctionType)
    return Place(function.__code__, 0, module)


BENEATH = [
    place(thread._WorkItem.run, thread.__name__),
    place(thread._worker, thread.__name__),
    place(threading.Thread.run, "threading"),
    place(threading.Thread._bootstrap_inner, "threading"),  # type: ignore[attr-defined]  # as it is
    place(threading.Thread._bootstrap, "threading"),  # type: ignore[attr-defined]  # as it is
]


def query() -> None: ...


def render() -> None: ...


class Watch:
    """Looks at one pool every tick."""

    def __init__(self, pool: FakePool, **settings: Any) -> None:
        self.pool = pool
        self.now_ns = 1_000_000_000_000
        self.meanwhile: Callable[[], None] = lambda: None
        self.mailbox: Mailbox[Any] = Mailbox(1000)
        self.stacks = {ident: [place(query), *BENEATH] for ident in range(pool.limit)}
        self.starvation = Starvation(
            self.mailbox,
            Repeats(clock=self.clock),
            lambda now_ns: now_ns,
            after_ns=SECOND * TICK_NS,
            frames=50,
            clock=self.clock,
            stack_of=self.stack_of,
            **settings,
        )

    def stack_of(self, ident: int, limit: int) -> list[Place]:
        self.meanwhile()
        return list(self.stacks[ident])

    def clock(self) -> int:
        return self.now_ns

    def look(self, ticks: int = 1) -> list[Any]:
        """What is told in so many ticks."""
        for _ in range(ticks):
            self.now_ns += TICK_NS
            self.starvation.look([self.pool])
        return self.mailbox.take(1000)


def stuck(limit: int = 4, waiting: int = 3) -> Watch:
    watch = Watch(FakePool(limit))
    watch.pool.busy, watch.pool.waiting, watch.pool.started_ns = limit, waiting, watch.now_ns
    return watch


def test_calls_that_wait_while_nothing_comes_free_are_told_once() -> None:
    watch = stuck()

    assert watch.look(SECOND) == []
    [starved] = watch.look(10 * SECOND)
    assert isinstance(starved, Starved)
    assert (starved.pool, starved.threads, starved.limit, starved.waiting) == ("user", 4, 4, 3)
    assert (round(starved.seconds, 3), starved.left_out) == (1.0, 0)
    assert [(each.threads, each.at.function) for each in starved.occupied] == [(4, "shop.query")]


def test_threads_are_told_together_where_they_are_at_the_same_place() -> None:
    watch = stuck()
    watch.stacks[3] = [place(render), *BENEATH]

    [starved] = watch.look(2 * SECOND)

    assert [(each.threads, each.at.function) for each in starved.occupied] == [
        (3, "shop.query"),
        (1, "shop.render"),
    ]
    assert [frame.function for frame in starved.occupied[1].frames] == ["shop.render"]


def test_a_pool_whose_calls_end_is_only_busy() -> None:
    watch = stuck(waiting=500)

    for _ in range(50):
        watch.pool.started_ns = watch.now_ns
        assert watch.look(SECOND // 2) == []


def test_a_pool_at_its_limit_for_which_nobody_waits_is_not_starved() -> None:
    assert stuck(waiting=0).look(10 * SECOND) == []


def test_a_pool_that_may_yet_have_a_thread_is_not_starved() -> None:
    watch = stuck()
    watch.pool.busy = 3

    assert watch.look(10 * SECOND) == []


def test_a_call_that_has_just_come_has_not_waited() -> None:
    watch = stuck(waiting=0)
    watch.look(10 * SECOND)
    watch.pool.waiting = 1

    assert watch.look(SECOND) == []
    assert len(watch.look(1)) == 1


def test_a_thread_that_has_come_free_just_now_is_seen_by_its_stack() -> None:
    watch = stuck()
    watch.stacks[0] = BENEATH

    assert watch.look(10 * SECOND) == []


def test_a_thread_in_a_builtin_has_no_stack_and_is_named_by_what_it_was_given() -> None:
    watch = stuck()
    watch.pool.builtin = "time.sleep"
    watch.stacks = dict.fromkeys(range(4), BENEATH)

    [starved] = watch.look(2 * SECOND)

    assert [(each.threads, each.at, each.frames) for each in starved.occupied] == [
        (4, Frame(file="", line=0, function="time.sleep"), (Frame(file="", line=0, function="time.sleep"),))
    ]


@pytest.mark.parametrize("change", [{"busy": 3}, {"started_ns": 10**15}, {"gone": True}])
def test_a_call_that_ends_or_starts_while_the_stacks_are_looked_at_is_a_flow(change: dict[str, Any]) -> None:
    watch = stuck()
    watch.pool.builtin = "time.sleep"

    def meanwhile() -> None:
        for name, value in change.items():
            setattr(watch.pool, name, value)

    watch.meanwhile = meanwhile

    assert watch.look(10 * SECOND) == []


@pytest.mark.parametrize("function", [threading.Event.wait, threading.Thread.join, queue.Queue.get])
def test_a_function_of_a_module_that_is_also_beneath_counts_as_work(function: Callable[..., Any]) -> None:
    watch = stuck()
    watch.stacks = {ident: [place(function, function.__module__), *BENEATH] for ident in range(4)}

    [starved] = watch.look(2 * SECOND)

    assert [each.at.function for each in starved.occupied] == [
        f"{function.__module__}.{function.__qualname__}"
    ]


def test_that_it_is_over_is_told_when_the_queue_is_empty() -> None:
    watch = stuck()
    watch.look(5 * SECOND)
    watch.pool.waiting = 0

    [recovered] = watch.look(3)

    assert isinstance(recovered, Recovered)
    assert (recovered.pool, recovered.at.function) == ("user", "shop.query")
    assert 4.8 <= recovered.seconds <= 5.2


def test_that_it_is_over_is_told_when_a_thread_is_free_though_calls_wait() -> None:
    watch = stuck()
    watch.look(2 * SECOND)
    watch.pool.busy = 3

    assert [type(each) for each in watch.look(3)] == [Recovered]


def test_a_call_now_and_then_does_not_end_it_but_a_flow_does() -> None:
    watch = stuck()
    watch.look(2 * SECOND)

    for _ in range(3):
        watch.pool.started_ns = watch.now_ns + 1
        assert watch.look(2 * SECOND) == []
    watch.pool.started_ns = watch.now_ns + 1
    assert watch.look(2) == []
    watch.pool.started_ns = watch.now_ns + 1
    [recovered] = watch.look(2)

    assert isinstance(recovered, Recovered)


def test_a_pool_that_goes_is_not_starved_any_more() -> None:
    watch = stuck()
    watch.look(2 * SECOND)
    watch.pool.gone = True

    assert [type(each) for each in watch.look(5)] == [Recovered]


def test_while_the_process_is_stopped_nothing_is_stuck() -> None:
    watch = stuck()
    watch.look(2)

    watch.now_ns += 3600 * 1_000_000_000
    assert watch.look(1) == []


def test_a_function_of_a_library_is_named_where_there_is_no_other() -> None:
    watch = stuck()
    source = "def read(): ...\n"
    found: dict[str, Any] = {}
    exec(compile(source, "/usr/lib/python3.13/ssl.py", "exec"), found)
    read = place(found["read"], "ssl")
    watch.stacks = {0: [read, place(query)], 1: [read, place(query)], 2: [read], 3: [read]}

    [starved] = watch.look(2 * SECOND)

    assert {each.at.function: each.threads for each in starved.occupied} == {"shop.query": 2, "ssl.read": 2}


def test_many_different_stacks_are_cut() -> None:
    watch = stuck(limit=15)
    for ident in range(15):
        watch.stacks[ident] = [place(query)._replace(module=f"shop{ident}")]

    [starved] = watch.look(2 * SECOND)

    assert (len(starved.occupied), starved.left_out) == (10, 5)


def test_the_same_again_is_a_number() -> None:
    watch = stuck()
    source = random.Random(7)
    told = []

    for _ in range(20):
        watch.pool.waiting = 3
        told += watch.look(2 * SECOND)
        watch.pool.waiting = 0
        told += watch.look(source.randrange(1, 5))

    assert [type(each) for each in told] == [Starved, Recovered]
