"""Updates that are lost, and programs that only look like it, over the wire."""

from __future__ import annotations

import pytest

from ..conftest import Loops
from .wire import program_of, wire

HEAD = """
import asyncio, contextvars
import aiotel

class OWNER:
    def __init__(self):
        self.FIELD = 100
        self.lock = asyncio.Lock()

async def turn():
    await asyncio.sleep(0)

"""
TAIL = """

async def main():
    thing = aiotel.watch(OWNER(), "FIELD")
    await asyncio.gather(
        asyncio.create_task(ONE(thing, 1), name="one"), asyncio.create_task(TWO(thing, 2), name="two")
    )
"""

PLAIN = """
async def TWO(thing, n):
    thing.FIELD = n  #! other
"""
LOST = {
    "through a variable": """
async def ONE(thing, n):
    value = thing.FIELD  #! read
    await turn()
    thing.FIELD = value - n  #! write
""",
    "in one statement": """
async def ONE(thing, n):
    thing.FIELD = thing.FIELD + len(str(await turn()))  #! read write
""",
    "in place": """
async def ONE(thing, n):
    thing.FIELD += await turn() or n  #! read write
""",
    "through two variables": """
async def ONE(thing, n):
    value = thing.FIELD  #! read
    await turn()
    more = max(value, n) + 5
    thing.FIELD = more  #! write
""",
    "in a loop": """
async def ONE(thing, n):
    for _ in range(1):
        value = thing.FIELD  #! read
        for _ in range(3):
            await turn()
        thing.FIELD = value + n  #! write
""",
    "over several lines": """
async def ONE(thing, n):
    value = str(
        thing.FIELD  #! read
    )
    await turn()
    thing.FIELD = (  #! write
        value
    )
""",
    "with a lock of its own alone": """
async def ONE(thing, n):
    async with thing.lock:
        value = thing.FIELD  #! read
        await turn()
        thing.FIELD = value - n  #! write
""",
    "by getattr": """
async def ONE(thing, n):
    value = getattr(thing, "FIELD")  #! read
    await turn()
    setattr(thing, "FIELD", value - n)  #! write
""",
    "a call below the task": """
async def ONE(thing, n):
    await below(thing, n)

async def below(thing, n):
    value = thing.FIELD  #! read
    await turn()
    thing.FIELD = value - n  #! write
""",
}
DECIDED = {
    "in a branch": """
async def ONE(thing, n):
    if thing.FIELD == 100:  #! read
        await turn()
        thing.FIELD = "done"  #! write
""",
    "after an early return": """
async def ONE(thing, n):
    state = thing.FIELD  #! read
    if state != 100:
        return
    await turn()
    thing.FIELD = "done"  #! write
""",
}
INNOCENT = {
    "the same value": "    if thing.FIELD == 100:\n        await turn()\n        thing.FIELD = 2",
    "read again": "    _ = thing.FIELD\n    await turn()\n    thing.FIELD = thing.FIELD - n",
    "read again by a function": (
        "    value = thing.FIELD\n    await turn()\n    check(thing)\n    thing.FIELD = value - n"
    ),
    "no await between": "    await turn()\n    thing.FIELD -= n\n    await turn()\n    thing.FIELD -= n",
    "set without a look": "    await turn()\n    thing.FIELD = n",
    "read for something else": (
        "    print(end='' if thing.FIELD else '')\n    await turn()\n    thing.FIELD = n"
    ),
    "the variable is another's by then": (
        "    value = thing.FIELD\n    await turn()\n    value = n\n    thing.FIELD = value"
    ),
    "read in one call, written in another": (
        "    await show(thing)\n    await turn()\n    await put(thing, n)"
    ),
    "one call reads, the next one of the same function writes": (
        "    await either(thing, True)\n    await turn()\n    await either(thing, False)"
    ),
    "its own change": "    value = thing.FIELD\n    await put(thing, 7)\n    thing.FIELD = value - n",
    "another object": "    v = thing.FIELD\n    await turn()\n    other = OWNER()\n    other.FIELD = v",
    "in the next round of a loop": (
        "    for v in (1, 2):\n        thing.FIELD = v\n        print(end='' if thing.FIELD else '')\n"
        "        await turn()"
    ),
}
MORE = """

def check(thing):
    return thing.FIELD > 0

async def show(thing):
    return thing.FIELD

async def put(thing, n):
    thing.FIELD = n

async def either(thing, reads):
    if reads:
        value = thing.FIELD
    await asyncio.sleep(0)
    if not reads:
        value = 5
        thing.FIELD = value
"""
NAMES = ("OWNER", "FIELD", "ONE", "TWO")


@pytest.mark.parametrize("how", [*LOST, *DECIDED])
def test_a_lost_update_is_told_with_both_sides(
    loops: Loops, how: str, capsys: pytest.CaptureFixture[str]
) -> None:
    program = program_of(HEAD + LOST.get(how, DECIDED.get(how, "")) + PLAIN + TAIL, *NAMES)
    with wire(capsys) as told:
        loops.run(program.namespace["main"]())

    lines = {word: line for mark, line in program.marked.items() for word in mark.split()}
    certain = how in LOST
    logs = [log for log in told.logs if log.event_name == "asyncio.lost_update"]
    assert [log.severity_text for log in logs] == ["ERROR" if certain else "WARN"]
    assert told.counts("asyncio.findings") == {"lost_update": 1}
    attributes = logs[0].attributes
    assert attributes["asyncio.lost_update.field"] == f"{program.qualified('OWNER')}.{program.names['FIELD']}"
    assert attributes["asyncio.lost_update.read.line"] == lines["read"]
    assert attributes["code.line.number"] == lines["write"]
    assert attributes["asyncio.lost_update.other.line"] == lines["other"]
    assert attributes["asyncio.lost_update.other.function"] == program.qualified("TWO")
    assert attributes["asyncio.lost_update.other.task.name"] == "two"
    noted = {
        span.name.split(".")[-1]
        for span in told.spans
        if "asyncio.lost_update" in [e.name for e in span.events]
    }
    assert noted == {program.names["ONE"], program.names["TWO"]}


@pytest.mark.parametrize("how", INNOCENT)
def test_what_only_looks_like_it_is_not_told(
    loops: Loops, how: str, capsys: pytest.CaptureFixture[str]
) -> None:
    one = f"\nasync def ONE(thing, n):\n{INNOCENT[how]}\n"
    program = program_of(HEAD + one + PLAIN + MORE + TAIL, *NAMES)
    with wire(capsys) as told:
        loops.run(program.namespace["main"]())

    assert [log.body for log in told.logs] == []


LOCKED = """
async def ONE(thing, n):
    async with thing.lock:
        value = thing.FIELD
        await turn()
        thing.FIELD = value - n

TWO = ONE
"""
RESTORED = """
async def ONE(thing, n):
    value = thing.FIELD
    await turn()
    await turn()
    thing.FIELD = value - n

async def TWO(thing, n):
    thing.FIELD += 1
    await turn()
    thing.FIELD -= 1
"""
SEQUENTIAL = """
async def ONE(thing, n):
    for n in range(3):
        await asyncio.create_task(TWO(thing, n))

async def TWO(thing, n):
    value = thing.FIELD
    await turn()
    thing.FIELD = value - n
"""


THREAD = """
async def ONE(thing, n):
    value = thing.FIELD
    await asyncio.to_thread(setattr, thing, "FIELD", 9)
    thing.FIELD = value - n

async def TWO(thing, n):
    await turn()
"""


AND_A_THREAD = """
async def ONE(thing, n):
    value = thing.FIELD
    await turn()
    await turn()
    await asyncio.to_thread(setattr, thing, "FIELD", 9)
    thing.FIELD = value - n

async def TWO(thing, n):
    thing.FIELD = n
"""


@pytest.mark.parametrize("pair", [LOCKED, RESTORED, THREAD, AND_A_THREAD])
def test_pairs_that_lose_nothing_are_not_told(
    loops: Loops, pair: str, capsys: pytest.CaptureFixture[str]
) -> None:
    program = program_of(HEAD + pair + TAIL, *NAMES)
    with wire(capsys) as told:
        loops.run(program.namespace["main"]())

    assert [log.body for log in told.logs] == []


def test_tasks_one_after_the_other_are_not_told(loops: Loops, capsys: pytest.CaptureFixture[str]) -> None:
    tail = '\nasync def main():\n    await ONE(aiotel.watch(OWNER(), "FIELD"), 1)\n'
    program = program_of(HEAD + SEQUENTIAL + tail, *NAMES)
    with wire(capsys) as told:
        loops.run(program.namespace["main"]())

    assert [log.body for log in told.logs] == []
