"""Random programs that count their own losses: exactly these are told."""

from __future__ import annotations

import asyncio
import random
from typing import Any

import pytest

from ..conftest import Loops, Telemetry

PROGRAMS = 20


class Shared:
    """Every write adds a token to what it was made of: what is missing afterwards is lost."""

    def __init__(self) -> None:
        self.tokens: tuple[str, ...] = ()
        self.lock = asyncio.Lock()


def text_of(source: random.Random, task: int) -> str:
    """A coroutine function of some rounds: it reads, may await, and writes; now and then under the lock."""
    lines = [f"async def task_{task}(shared, lost):"]
    for number in range(source.randint(1, 4)):
        indent = "    "
        lines += [f"{indent}await turn()"] * source.randint(0, 2)
        if source.random() < 0.4:
            lines.append(f"{indent}async with shared.lock:")
            indent += "    "
        token = f"('{task}.{number}',)"
        lines.append(f"{indent}value = shared.tokens")
        if source.random() < 0.3:
            lines.append(f"{indent}value = tuple(value)")
        lines += [f"{indent}await turn()"] * source.randint(0, 3)
        if source.random() < 0.3:
            lines.append(f"{indent}value = shared.tokens")
        lines.append(f"{indent}before = vars(shared)['tokens']")
        lines.append(f"{indent}shared.tokens = value + {token}")
        lines.append(f"{indent}lost += [set(before) - set(value)] if set(before) - set(value) else []")
    return "\n".join(lines)


async def turn() -> None:
    await asyncio.sleep(0)


async def main(source: random.Random) -> int:
    """Run one program; gives how often something was lost."""
    import aiotel

    namespace: dict[str, Any] = {"turn": turn, "__name__": "oracle"}
    tasks = range(source.randint(2, 5))
    for task in tasks:
        exec(compile(text_of(source, task), f"/srv/oracle_{source.random()}.py", "exec"), namespace)
    lost: list[set[str]] = []
    shared = aiotel.watch(Shared(), "tokens")
    await asyncio.gather(*[namespace[f"task_{task}"](shared, lost) for task in tasks])
    return len(lost)


def told(telemetry: Telemetry) -> int:
    points = telemetry.metrics()["asyncio.findings"]
    return sum(point.value for point in points if point.attributes["asyncio.finding.kind"] == "lost_update")


@pytest.mark.slow
def test_what_is_lost_is_told_and_nothing_else(telemetry: Telemetry, loops: Loops) -> None:
    telemetry.start()
    seed = random.randrange(1 << 32)
    source = random.Random(seed)
    sums = []
    for _ in range(PROGRAMS):
        before = told(telemetry)
        lost = loops.run(main(source))
        sums.append((lost, told(telemetry) - before))

    assert [lost for lost, _ in sums] == [found for _, found in sums], seed
    assert sum(lost for lost, _ in sums) > 0
