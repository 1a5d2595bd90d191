"""The dependence of a write on a read is found, and where there is none, none is found."""

from __future__ import annotations

import dis
import textwrap
from types import CodeType
from typing import Any

import pytest

from aiotel._inspect.flows import use_of

DERIVED = {
    "a variable": "v = a.x\nawait b\na.x = v + 1",
    "one statement": "a.x = f(a.x, await b)",
    "in place": "a.x += await b",
    "two steps": "v = a.x\nawait b\nw = v * 2\na.x = w",
    "two at once": "v, w = a.x, 1\nawait b\na.x = w + v",
    "a walrus": "f(v := a.x)\nawait b\na.x = v",
    "over lines": "v = f(\n    a.x,\n    1,\n)\nawait b\na.x = (\n    v\n)",
    "the next round": "v = 0\nwhile b:\n    a.x = v\n    v = a.x\n    await b",
    "in a block": "async with b:\n    v = a.x\n    async with b:\n        await b\n        a.x = v - 1",
    "tried": "try:\n    v = a.x\n    await b\nfinally:\n    a.x = v",
}
DECIDED = {
    "a branch": "if a.x:\n    await b\n    a.x = 1",
    "a comparison": "if a.x == 'new' and b:\n    await b\n    a.x = 1",
    "none": "if a.x is None:\n    a.x = await b",
    "an early return": "if a.x:\n    return\nawait b\na.x = 1",
    "a variable": "v = a.x\nif not v:\n    await b\n    a.x = 1",
    "an else": "if a.x:\n    f(1)\nelse:\n    await b\n    a.x = 1",
}
NEITHER = {
    "a print": "f(a.x)\nawait b\na.x = 1",
    "another variable": "v = a.x\nawait b\nw = 1\na.x = w",
    "the same variable anew": "v = a.x\nf(v)\nv = await b\na.x = v",
    "a branch that is over": "if a.x:\n    f(1)\nawait b\na.x = 1",
    "a branch that is over, with another way": "if a.x:\n    f(1)\nelse:\n    f(2)\nawait b\na.x = 1",
    "a deadline": "async with f(a.x):\n    await b\n    a.x = 1",
    "a loop": "for _ in range(3):\n    f(a.x)\n    await b\n    a.x = 1",
    "over lines": "f(\n    a.x,\n)\nawait b\na.x = (\n    1\n)",
    "tried": "try:\n    f(a.x)\n    await b\nexcept OSError:\n    f(2)\na.x = 1",
}


def code_of(body: str) -> CodeType:
    namespace: dict[str, Any] = {}
    text = "async def call(a, b, f):\n" + textwrap.indent(body, "    ")
    exec(compile(text, "/srv/flows.py", "exec"), namespace)
    code: CodeType = namespace["call"].__code__
    return code


def asked(body: str) -> str | None:
    code = code_of(body)
    fields = [each for each in dis.get_instructions(code) if each.argval == "x"]
    reads = [each.offset for each in fields if each.opname.startswith("LOAD_ATTR")]
    writes = [each.offset for each in fields if each.opname.startswith("STORE_ATTR")]
    return use_of(code, reads[0], writes[0])


@pytest.mark.parametrize("body", DERIVED.values(), ids=list(DERIVED))
def test_what_was_read_is_found_in_what_is_written(body: str) -> None:
    assert asked(body) == "derived"


@pytest.mark.parametrize("body", DECIDED.values(), ids=list(DECIDED))
def test_a_write_that_a_look_decided_on_is_found(body: str) -> None:
    assert asked(body) == "decided"


@pytest.mark.parametrize("body", NEITHER.values(), ids=list(NEITHER))
def test_a_write_that_has_nothing_to_do_with_the_read_is_found_to(body: str) -> None:
    assert asked(body) is None
