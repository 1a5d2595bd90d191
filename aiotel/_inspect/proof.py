"""Prove on this interpreter that what a suspended coroutine holds can be seen: CPython does not promise it.

It is tried once, on coroutines of our own and without a loop; it takes some 150 microseconds.
"""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from functools import lru_cache
from typing import Any

from .walks import Walk

__all__ = ["witnesses_can_be_seen"]


@lru_cache(1)
def witnesses_can_be_seen() -> bool:
    """Whether the stack of a suspended coroutine shows the blocks that it is inside, and nothing else."""
    one, other = asyncio.Lock(), asyncio.Lock()
    coroutine = _inside(one, other)
    try:
        coroutine.send(None)
        held = [block.manager for step in Walk(_Task(coroutine)).steps for block in step.blocks()]
        coroutine.send(None)
        later = [block.manager for step in Walk(_Task(coroutine)).steps for block in step.blocks()]
    except Exception:  # noqa: BLE001  # it cannot, whatever the reason
        return False
    finally:
        coroutine.close()
    return [id(each) for each in held] == [id(one), id(other)] and [id(each) for each in later] == [id(one)]


class _Task:
    """As much of a task as a walk asks for."""

    def __init__(self, coroutine: Any) -> None:
        self.get_coro = lambda: coroutine


class _Pause:
    def __await__(self) -> Generator[None, None, None]:
        yield


async def _inside(one: asyncio.Lock, other: asyncio.Lock) -> None:
    async with one:
        async with other:
            await _Pause()
        await _Pause()
