"""A loop is asked to call something of ours, whatever it takes, and whoever holds it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from aiotel._borrowed import Returns
from aiotel._ledger import Ledger
from aiotel._visits import ask

from .conftest import Loops


def test_it_is_called_on_the_loop_in_a_context_of_its_own(loops: Loops) -> None:
    called: list[bool] = []
    loop = loops.new()
    queued = ask(Ledger(loop), lambda: called.append(asyncio.get_running_loop() is loop), Returns())
    loop.run_until_complete(asyncio.sleep(0))
    loop.close()

    assert (queued, called) == (True, [True])


def test_a_loop_that_takes_no_context_is_asked_too() -> None:
    class Strict(asyncio.SelectorEventLoop):
        def call_soon_threadsafe(self, callback: Callable[..., object], *args: Any) -> Any:  # type: ignore[override]  # that is the point
            return super().call_soon_threadsafe(callback, *args)

    called: list[int] = []
    loop = Strict()
    queued = ask(Ledger(loop), lambda: called.append(1), Returns())
    loop.run_until_complete(asyncio.sleep(0))
    loop.close()

    assert (queued, called) == (True, [1])


def test_a_loop_that_is_closed_or_gone_is_not_asked(loops: Loops) -> None:
    loop = loops.new()
    ledger = Ledger(loop)
    loop.close()
    closed = ask(ledger, lambda: None, Returns())
    del loop

    assert not closed
    assert not ask(ledger, lambda: None, Returns())
