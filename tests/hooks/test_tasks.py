"""Every task gets a span under the right parent, whoever makes it and however."""

from __future__ import annotations

import asyncio

from ..conftest import Loops, Telemetry


async def leaf() -> str:
    await asyncio.sleep(0)
    return "leaf"


def test_every_task_is_a_child_of_the_one_that_created_it(loops: Loops, telemetry: Telemetry) -> None:
    async def branch() -> str:
        return await asyncio.create_task(leaf())

    async def main() -> str:
        return await asyncio.create_task(branch())

    telemetry.start()

    assert loops.run(main()) == "leaf"
    assert telemetry.parents() == {"main": None, "branch": "main", "leaf": "branch"}
