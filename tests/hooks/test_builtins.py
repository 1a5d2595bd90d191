"""A builtin that a pool was given is named; a function of Python's has frames, and is not."""

from __future__ import annotations

import contextvars
import gc
import queue
import threading
import time
import weakref
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from aiotel._hooks.builtins import builtin_of


class Rows:
    """Something of a program's."""

    def read(self) -> None: ...

    def __call__(self) -> None: ...


def read() -> None: ...


def by_to_thread(function: Callable[..., Any], *args: Any) -> Any:
    return partial(contextvars.copy_context().run, function, *args)


@pytest.mark.parametrize("around", [lambda call: call, by_to_thread, partial, lambda call: (call, (), {})])
@pytest.mark.parametrize(
    ("function", "name"),
    [
        (time.sleep, "time.sleep"),
        (threading.Lock().acquire, f"_thread.{type(threading.Lock()).__name__}.acquire"),
        (queue.SimpleQueue[int]().get, "_queue.SimpleQueue.get"),
        (read, ""),
        (Rows().read, ""),
    ],
)
def test_a_builtin_is_named_and_a_function_is_not(
    function: Callable[..., Any], name: str, around: Callable[[Any], Any]
) -> None:
    assert builtin_of(around(function)) == name


def test_anything_else_has_a_name_too() -> None:
    assert builtin_of(Rows()) == f"{__name__}.Rows.__call__"
    assert builtin_of(Rows) == f"{__name__}.Rows"
    assert builtin_of(None) == "builtins.NoneType.__call__"


def test_what_was_given_is_not_kept() -> None:
    given = Rows()
    reference = weakref.ref(given)

    builtin_of(by_to_thread(time.sleep, given))
    builtin_of(by_to_thread(given))
    del given
    gc.collect()

    assert reference() is None
