"""Programs that block their loop, and what their telemetry has to say of it."""

from __future__ import annotations

import functools
import random
import textwrap
from collections.abc import Callable
from typing import Any, ParamSpec

import pytest

from aiotel.testing import ReceivedLog, ReceivedSpan

from ..conftest import Loops
from .wire import Program, Told, program_of, wire

P = ParamSpec("P")
ATTEMPTS = 3


def attempts(test: Callable[P, None]) -> Callable[P, None]:
    """Run a test again that fails: on a machine that others use, who computes may really get no CPU."""

    @functools.wraps(test)
    def again(*args: P.args, **kwargs: P.kwargs) -> None:
        for _ in range(ATTEMPTS - 1):
            try:
                test(*args, **kwargs)
            except AssertionError:
                continue
            return
        test(*args, **kwargs)

    return again


AFTER_S = 0.15
"""A stall, in these programs. They block for more than twice as long."""

_AROUND = """
import asyncio, gc, json, os, re, socket, threading, time

TOOK = []

{body}

{plain}
async def CULPRIT():
    {outermost}()

async def INNOCENT():
    await asyncio.sleep(0.02)

async def main():
    others = [asyncio.create_task(INNOCENT()) for _ in range({before})]
    await asyncio.sleep(0.05)
    await asyncio.create_task(CULPRIT())
    await asyncio.gather(*others, *[INNOCENT() for _ in range({after})])
    await asyncio.sleep(0.05)
"""

_BLOCKS = """
def BLOCKS():
    {prepare}
    began = time.perf_counter()
    {statement}  #! at
    TOOK.append(time.perf_counter() - began)
"""


def blocking(statement: str, *, prepare: str = "pass", **values: object) -> Program:
    """A program in which a function is blocked in one statement, some functions deep in a task.

    `values` are variables of the program.
    """
    body = _BLOCKS.format(prepare=prepare, statement=statement)
    names = [f"PLAIN{number}_" for number in range(random.randrange(4))]
    plain = "".join(
        f"def {name}():\n    {inner}()\n\n" for name, inner in zip(names, ["BLOCKS", *names], strict=False)
    )
    text = _AROUND.format(
        body=body,
        plain=plain,
        outermost=[*reversed(names), "BLOCKS"][0],
        before=random.randrange(3),
        after=random.randrange(3),
    )
    program = program_of(text, "BLOCKS", "CULPRIT", "INNOCENT", *names)
    program.namespace.update(values)
    return program


def calling(text: str, *names: str, **values: object) -> Program:
    """A program of one's own, with what `blocking` has at hand."""
    head = "import asyncio, gc, json, os, re, socket, threading, time\n\nTOOK = []\n"
    program = program_of(head + textwrap.dedent(text), *names)
    program.namespace.update(values)
    return program


def run(program: Program, loops: Loops, capsys: pytest.CaptureFixture[str], **settings: Any) -> Told:
    """What the telemetry of this program was."""
    with wire(capsys, **{"stall_after": AFTER_S, **settings}) as told:
        loops.run(program.namespace["main"]())
    return told


def the_stall(told: Told) -> ReceivedLog:
    """The one log of a stall, which is the only log."""
    assert [("asyncio.stall", "WARN")] == told.events, [log.body for log in told.logs]
    return told.logs[0]


def said(told: Told, program: Program) -> tuple[str, str, str]:
    """What the one log says: the function, the mark of the line, and the cause."""
    attributes = the_stall(told).attributes
    module, _, function = str(attributes["code.function.name"]).partition(".")
    assert (program.module, program.file) == (module, attributes["code.file.path"])
    given = {name: known for known, name in program.names.items()}
    marks = {line: mark for mark, line in program.marked.items()}
    line = attributes["code.line.number"]
    assert isinstance(line, int)
    return given[function], marks.get(line, f"line {line}"), str(attributes["asyncio.stall.cause"])


def check_duration(seconds: object, program: Program) -> None:
    """It is what the program has measured itself, as far as a busy machine lets it be."""
    took = sum(program.namespace["TOOK"])
    assert isinstance(seconds, float)
    assert 0.8 * took <= seconds <= 2 * took + 0.1, (seconds, took)


def span_of(told: Told, program: Program, name: str) -> ReceivedSpan:
    """The one span of the tasks of this function."""
    found = [span for span in told.spans if span.name == program.names.get(name, name)]
    assert len(found) == 1, [span.name for span in told.spans]
    return found[0]


def waited(told: Told, program: Program) -> list[str]:
    """Whose spans say that they had to wait, by name, in order."""
    given = {"main": "main", **{known: name for name, known in program.names.items()}}
    return sorted(
        given[span.name]
        for span in told.spans
        for event in span.events
        if event.name == "asyncio.stall.waited"
    )


def points(told: Told, metric: str) -> dict[tuple[str, ...], float]:
    """What a counter, or the counts of a histogram, came to, by attributes; without what is zero."""
    latest = {
        tuple(str(point.attributes[key]) for key in sorted(point.attributes)): point.value or point.count
        for point in told.metrics
        if point.name == metric
    }
    return {key: value for key, value in latest.items() if value}
