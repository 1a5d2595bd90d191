"""Tasks that wait, and what a look says of them."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

from aiotel._inspect.deadlines import Clock
from aiotel._inspect.waits import Look, look_at
from aiotel._inspect.walks import Walk

__all__ = ["look_of", "settle"]


async def settle() -> None:
    """Let everything run that can."""
    for _ in range(20):
        await asyncio.sleep(0)


async def look_of(coroutine: Coroutine[Any, Any, Any]) -> Look:
    """What a look says of a task of this coroutine, once it waits; the task is cancelled."""
    task = asyncio.ensure_future(coroutine)
    await settle()
    try:
        return look_at(Walk(task), clock=Clock(asyncio.get_running_loop().time(), 0), since_ns=7)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
