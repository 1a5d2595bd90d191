from __future__ import annotations

import json
import traceback
from pathlib import PurePath
from typing import TYPE_CHECKING

import pytest

from aiotel._receiver.tracebacks import Folded, Frame, short_path, shorten

if TYPE_CHECKING:
    from collections.abc import Callable

LIBRARY = "/usr/lib/python3.11/site-packages"


def frame(file: str, function: str) -> str:
    return f'  File "{file}", line 7, in {function}\n    {function}()\n    ~~~^^^\n'


def traceback_of(failing: Callable[[], object]) -> str:
    try:
        failing()
    except (ExceptionGroup, LookupError, ArithmeticError, ValueError):
        return traceback.format_exc()
    raise AssertionError("it did not fail")


def told(text: str, *, keep: int = 4) -> list[str]:
    """The parts in a form that is easy to compare."""
    shown = []
    for part in shorten(text, keep=keep):
        match part:
            case Frame():
                shown.append(f"{part.function}: {part.source}")
            case Folded():
                shown.append(" ".join([str(part.count), *part.packages]))
            case _:
                shown.append(part)
    return shown


def test_library_frames_are_folded_and_the_programs_own_are_kept() -> None:
    text = (
        "Traceback (most recent call last):\n"
        + frame(f"{LIBRARY}/uvicorn/main.py", "serve")
        + frame(f"{LIBRARY}/starlette/app.py", "call")
        + frame("/srv/shop/pay.py", "pay")
        + frame("/usr/lib/python3.11/asyncio/tasks.py", "wait_for")
        + frame("/srv/shop/bank.py", "charge")
        + "ValueError: no funds\n"
    )

    assert [
        "2 uvicorn starlette",
        "pay: pay()",
        "1 asyncio",
        "charge: charge()",
        "ValueError: no funds",
    ] == told(text)


def test_of_many_own_frames_the_last_are_kept() -> None:
    text = "".join(frame("/srv/shop/pay.py", name) for name in "abcdef") + "ValueError\n"

    assert ["4", "e: e()", "f: f()", "ValueError"] == told(text, keep=2)


def test_where_all_frames_are_a_librarys_its_last_two_are_kept() -> None:
    text = "".join(frame(f"{LIBRARY}/aiohttp/web.py", name) for name in "abcd") + "OSError: gone\n"

    assert ["2 aiohttp", "c: c()", "d: d()", "OSError: gone"] == told(text)


def test_python_itself_is_a_library() -> None:
    text = traceback_of(lambda: json.loads("{"))

    *_, folded, error = told(text)
    assert folded.endswith(" json")
    assert error.startswith("json.decoder.JSONDecodeError: ")


def test_chained_exceptions_are_shortened_each() -> None:
    def fail() -> None:
        try:
            dict[str, int]()["x"]
        except KeyError as error:
            raise ValueError("y") from error

    assert [
        'fail: dict[str, int]()["x"]',
        "KeyError: 'x'",
        "The above exception was the direct cause of the following exception:",
        "traceback_of: failing()",
        'fail: raise ValueError("y") from error',
        "ValueError: y",
    ] == told(traceback_of(fail))


def test_exception_groups_lose_their_bars() -> None:
    def fail() -> None:
        raise ExceptionGroup("two", [ValueError(1), ExceptionGroup("deep", [ValueError(2)])])

    assert [
        "ExceptionGroup: two (2 sub-exceptions)",
        "sub-exception 1:",
        "ValueError: 1",
        "sub-exception 2:",
        "ExceptionGroup: deep (1 sub-exception)",
        "sub-exception 1:",
        "ValueError: 2",
    ] == told(traceback_of(fail))[2:]


def test_a_recursion_is_short() -> None:
    def down(depth: int) -> float:
        return down(depth - 1) if depth else 1 / 0

    text = traceback_of(lambda: down(50))

    assert len(told(text)) <= 6
    assert "ZeroDivisionError: division by zero" == told(text)[-1]


@pytest.mark.parametrize("text", ["", "one line", "  at Shop.pay(Shop.java:7)\n\tat Shop.main(Shop.java:3)"])
def test_what_is_no_python_traceback_comes_back_line_by_line(text: str) -> None:
    assert [line.strip() for line in text.splitlines()] == told(text)


def test_a_message_of_many_lines_stays_whole() -> None:
    text = frame("/srv/shop/pay.py", "pay") + "ValueError: one\n  two\nthree\n"

    assert ["pay: pay()", "ValueError: one", "two", "three"] == told(text)


@pytest.mark.parametrize(
    ("file", "short"),
    [
        ("/srv/shop/pay.py", "shop/pay.py"),
        ("/opt/other/deep/down/pay.py", str(PurePath("…", "deep", "down", "pay.py"))),
        ("/opt/pay.py", "/opt/pay.py"),
        ("<stdin>", "<stdin>"),
    ],
)
def test_paths_are_told_from_here_or_by_their_last_parts(file: str, short: str) -> None:
    assert short == short_path(file, here="/srv")
