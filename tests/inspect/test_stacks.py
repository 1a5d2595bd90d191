"""Stacks of other threads, read without holding their frames."""

from __future__ import annotations

import gc
import sys
import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from aiotel._inspect.stacks import stack_of


@contextmanager
def waiting(work: Callable[[threading.Event], None]) -> Iterator[threading.Thread]:
    """A thread that waits inside `work` until it is let go."""
    event = threading.Event()
    thread = threading.Thread(target=work, args=(event,))
    thread.start()
    try:
        yield thread
    finally:
        event.set()
        thread.join()


def innermost(event: threading.Event) -> None:
    event.wait()


def outer(event: threading.Event) -> None:
    innermost(event)


def names_of(thread: threading.Thread, limit: int = 50) -> list[str]:
    assert thread.ident is not None
    while True:
        found = [place.function for place in stack_of(thread.ident, limit)]
        if "threading.Condition.wait" in found[:1]:
            return found


def test_a_stack_is_the_functions_a_thread_is_in_innermost_first() -> None:
    with waiting(outer) as thread:
        found = names_of(thread)

    assert found[2:4] == [f"{__name__}.innermost", f"{__name__}.outer"]
    assert found[-1] == "threading.Thread._bootstrap"


def test_a_place_has_its_line() -> None:
    with waiting(outer) as thread:
        names_of(thread)
        [place] = [place for place in stack_of(thread.ident or 0, 50) if place.function.endswith("innermost")]

    assert place.line == innermost.__code__.co_firstlineno + 1


def test_the_innermost_are_kept_where_the_stack_is_deeper_than_the_limit() -> None:
    with waiting(outer) as thread:
        found = names_of(thread, limit=3)

    assert found == ["threading.Condition.wait", "threading.Event.wait", f"{__name__}.innermost"]


def test_a_thread_that_is_no_more_has_no_stack() -> None:
    with waiting(outer) as thread:
        pass

    assert stack_of(thread.ident or 0, 50) == []


def test_code_without_a_module_has_a_stack_all_the_same() -> None:
    namespace: dict[str, Callable[[threading.Event], None]] = {}
    exec("def nowhere(event): event.wait()", namespace)

    with waiting(namespace["nowhere"]) as thread:
        found = names_of(thread)

    assert found[2:4] == ["nowhere", "threading.Thread.run"]


def test_nothing_of_the_threads_dies_on_the_one_that_looks() -> None:
    """Hammered while a thread makes and drops frames: each object goes where it was made."""
    strangers: list[int] = []
    home = 0

    class Owned:
        def __del__(self) -> None:
            if threading.get_ident() != home:
                strangers.append(threading.get_ident())

    def hold(depth: int) -> None:
        mine = Owned()  # noqa: F841  # it goes with the frame
        if depth:
            hold(depth - 1)

    def work(event: threading.Event) -> None:
        nonlocal home
        home = threading.get_ident()
        while not event.is_set():
            hold(5)

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with waiting(work) as thread:
            for _ in range(5000):
                stack_of(thread.ident or 0, 50)
    finally:
        sys.setswitchinterval(interval)

    assert strangers == []


def test_looking_keeps_no_object_alive() -> None:
    class Owned:
        pass

    def work(event: threading.Event) -> None:
        mine = Owned()
        alive.append(weakref.ref(mine))
        event.wait()

    alive: list[weakref.ref[Owned]] = []
    with waiting(work) as thread:
        names_of(thread)
        kept = stack_of(thread.ident or 0, 50)
    gc.collect()

    assert kept
    assert alive[0]() is None
