from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from aiotel._receiver.received import AttributeValue, ReceivedLog

if TYPE_CHECKING:
    from .conftest import Shown

STACK = """\
Traceback (most recent call last):
  File "/usr/lib/python3.11/asyncio/tasks.py", line 9, in step
    coroutine.send()
  File "{here}/shop/pay.py", line 42, in charge
    raise NoFunds("card declined")
shop.NoFunds: card declined
"""


def log(body: AttributeValue = None, **more: object) -> ReceivedLog:
    record = {"body": body, "time_ns": 1_800_000_000_123_000_000, "resource": {"service.name": "shop"}} | more
    return ReceivedLog(**record)  # type: ignore[arg-type]  # the dataclass's own fields


def failure(stack: str) -> ReceivedLog:
    return log(
        "a task failed",
        event_name="exception",
        severity_number=17,
        trace_id="a" * 32,
        span_id="b" * 16,
        attributes={
            "exception.type": "shop.NoFunds",
            "exception.message": "card declined",
            "exception.stacktrace": stack,
            "asyncio.exception.source": "task",
            "asyncio.task.created.function": "Orders.pay",
            "asyncio.task.created.file": str(Path.cwd() / "shop" / "orders.py"),
            "asyncio.task.created.line": 68,
        },
    )


def test_a_coroutine_that_was_lost_is_shown_with_its_places(shown: Shown) -> None:
    file = str(Path.cwd() / "shop" / "orders.py")
    record = log(
        "Coroutine 'shop.redeem' was never awaited",
        event_name="asyncio.coroutine.never_awaited",
        severity_number=13,
        attributes={
            "code.function.name": "shop.redeem",
            "code.file.path": file,
            "code.line.number": 62,
            "asyncio.coroutine.dropped.function": "Orders.pay",
            "asyncio.coroutine.defined.file": file,
            "asyncio.coroutine.defined.line": 86,
        },
    )

    assert [
        "08:00:00.123 WARN  shop  asyncio.coroutine.never_awaited  Coroutine 'shop.redeem' was never awaited",
        "    code.function.name=shop.redeem",
        "    dropped in Orders.pay  shop/orders.py:62",
        "    defined at shop/orders.py:86",
    ] == shown(lambda screen: screen.show_log(record), width=120)[:4]


def test_a_failure_is_shown_with_the_frames_that_matter(shown: Shown) -> None:
    record = failure(STACK.format(here=Path.cwd()))

    assert [
        "08:00:00.123 ERROR shop  exception  a task failed",
        "    shop.NoFunds: card declined",
        "      … 1 frame in asyncio",
        "      shop/pay.py:42 in charge",
        '        raise NoFunds("card declined")',
        "    asyncio.exception.source=task",
        "    created in Orders.pay  shop/orders.py:68",
        f"    trace {'a' * 32}  span {'b' * 16}",
        "",
    ] == shown(lambda screen: screen.show_log(record))


def test_a_stack_of_another_language_is_shown_from_its_start(shown: Shown) -> None:
    stack = "shop.NoFunds: card declined\n" + "".join(f"\tat Shop.f{i}(Shop.java:{i})\n" for i in range(30))

    lines = shown(lambda screen: screen.show_log(failure(stack)))

    assert ["      at Shop.f0(Shop.java:0)", "      at Shop.f1(Shop.java:1)"] == lines[2:4]
    assert 20 > len(lines)


@pytest.mark.parametrize(
    ("number", "label"),
    [
        (0, "LOG"),
        (1, "TRACE"),
        (5, "DEBUG"),
        (9, "INFO"),
        (12, "INFO"),
        (13, "WARN"),
        (17, "ERROR"),
        (24, "FATAL"),
    ],
)
def test_the_severity_is_told_in_a_word(shown: Shown, number: int, label: str) -> None:
    lines = shown(lambda screen: screen.show_log(log("hello", severity_number=number)))

    assert [f"08:00:00.123 {label:<5} shop  hello"] == lines


def test_a_severity_that_is_only_a_text_is_told(shown: Shown) -> None:
    assert ["08:00:00.123 notice shop  hi"] == shown(
        lambda screen: screen.show_log(log("hi", severity_text="notice"))
    )


def test_a_body_that_is_data_is_shown_as_data(shown: Shown) -> None:
    assert ["08:00:00.123 LOG   shop  {'order': 7}"] == shown(
        lambda screen: screen.show_log(log({"order": 7}))
    )


def test_a_long_line_is_wrapped_and_stays_indented(shown: Shown) -> None:
    lines = shown(lambda screen: screen.show_log(log("word " * 40)), width=60)

    assert all(line.startswith("    word") for line in lines[1:])
    assert max(map(len, lines)) <= 60


def test_what_a_sender_writes_cannot_steer_the_terminal(shown: Shown) -> None:
    evil = "\x1b[2J\x9b[red]\u202e"
    record = log(
        evil,
        event_name=evil,
        severity_text=evil,
        resource={"service.name": evil},
        attributes={
            evil: evil,
            "exception.type": evil,
            "exception.stacktrace": f'  File "{evil}", line 1, in f\n    {evil}',
        },
    )

    shown_text = "\n".join(shown(lambda screen: screen.show_log(record), width=160))

    assert not set(shown_text) & {"\x1b", "\x9b", "\u202e"}
    assert "[red]" in shown_text
