"""Programs that deadlock, and look-alikes that do not: run until it was told, or until enough looks were
taken."""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import dataclass
from typing import Any

import pytest

import aiotel
from aiotel.testing import ReceivedLog

from ..conftest import Loops
from .wire import Program, Told, program_of, wire

__all__ = ["LOOK_S", "cycle_of", "run_broken", "run_silent"]

LOOK_S = 0.05
PATIENCE_S = 20.0
ROUNDS = 8
"""Four looks could tell it twice over."""


@dataclass
class Deadlocks:
    """What was told of the deadlocks of a program."""

    program: Program
    told: Told

    @property
    def logs(self) -> list[ReceivedLog]:
        """The logs that tell of one."""
        return [log for log in self.told.logs if log.event_name == "asyncio.deadlock"]


def run_broken(
    loops: Loops, capsys: pytest.CaptureFixture[str], text: str, *names: str, deadlocks: int = 1
) -> Deadlocks:
    """Run until so many deadlocks were told; all tasks are cancelled then."""
    program = program_of(text, *names)
    with wire(capsys, look_interval=LOOK_S) as told:
        loops.run(_until(program, lambda looks: looks.active()["deadlock"] >= deadlocks))
    return Deadlocks(program, told)


def run_silent(
    loops: Loops, capsys: pytest.CaptureFixture[str], text: str, *names: str, rounds: int = ROUNDS
) -> Deadlocks:
    """Run until so many looks were taken."""
    program = program_of(text, *names)
    with wire(capsys, look_interval=LOOK_S) as told:
        loops.run(_until(program, lambda looks: looks.rounds >= rounds))
    return Deadlocks(program, told)


async def _until(program: Program, enough: Any) -> None:
    """Run `main` of the program beside a task that looks whether it is enough."""
    main = asyncio.ensure_future(program.namespace["main"]())
    looks = aiotel.instrument()._looks
    until = time.monotonic() + PATIENCE_S
    while not enough(looks) and time.monotonic() < until:
        await asyncio.sleep(0.01)
        if main.done():
            break
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for _ in range(3):  # one that is awaited in a cycle cannot be cancelled by its members
        for task in others:
            try:
                task.cancel()
            except RecursionError:
                _break_up(task)
        await asyncio.sleep(0)
    await asyncio.gather(*others, return_exceptions=True)


def _break_up(task: Any) -> None:
    """Wake whoever awaits this one: asyncio itself cannot cancel tasks that await each other."""
    loop = asyncio.get_running_loop()
    cancelled = loop.create_future()
    cancelled.cancel()
    for callback, _ in task._callbacks or ():
        if hasattr(getattr(callback, "__self__", None), "_fut_waiter"):
            loop.call_soon(callback, cancelled)


def cycle_of(log: ReceivedLog) -> list[dict[str, Any]]:
    """The tasks of the cycle, as data, beginning with the one that comes first by its name."""
    nodes = [node for node in json.loads(str(log.attributes["asyncio.deadlock.graph"])) if not node["victim"]]
    first = min(range(len(nodes)), key=lambda number: nodes[number]["task"])
    return nodes[first:] + nodes[:first]
