"""Whatever a client sends, it gets an answer: what it has asked for, or an error in words."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiotel._status import protocol
from aiotel._status.bounds import ANSWER_BYTES
from aiotel._status.protocol import Refusal, Request, answer, parse, refused, reply_of, request_line

COMMANDS = {"ps": lambda request: b'{"asked":true}', "long": lambda request: b"0" * (ANSWER_BYTES + 1)}


def _error(line: bytes) -> Any:
    reply = json.loads(answer(line, COMMANDS))
    assert reply["v"] == 1
    return reply.get("error")


def test_a_request_is_answered() -> None:
    assert answer(b'{"v":1,"do":"ps"}', COMMANDS) == b'{"v":1,"ok":{"asked":true}}\n'


@pytest.mark.parametrize(
    ("line", "error"),
    [
        (b"", 'a request is a line of JSON: {"v":1,"do":"ps"}'),
        (b"GET / HTTP/1.1", 'a request is a line of JSON: {"v":1,"do":"ps"}'),
        (b"[" * 4000, 'a request is a line of JSON: {"v":1,"do":"ps"}'),
        (b"\xff\xfe", 'a request is a line of JSON: {"v":1,"do":"ps"}'),
        (b"[]", 'a request is a JSON object: {"v":1,"do":"ps"}'),
        (b"{}", "this aiotel speaks version 1, and knows no other"),
        (b'{"v":2,"do":"ps"}', "this aiotel speaks version 1, and knows no other"),
        (b'{"v":true,"do":"ps"}', "this aiotel speaks version 1, and knows no other"),
        (b'{"v":1}', "`do` and `task` must be texts"),
        (b'{"v":1,"do":"ps","task":3}', "`do` and `task` must be texts"),
        (b'{"v":1,"do":"kill"}', "there is no 'kill'; there are ps, long"),
        (b'{"v":1,"do":"long"}', "the answer has 16,777,217 bytes, more than 16,777,216"),
    ],
)
def test_what_is_no_request_is_told_so(line: bytes, error: str) -> None:
    assert _error(line) == error


@given(st.binary(max_size=200) | st.text(max_size=100).map(str.encode))
def test_garbage_gets_an_error_in_one_line(line: bytes) -> None:
    reply = answer(line, COMMANDS)

    assert reply.count(b"\n") == 1
    assert set(json.loads(reply)) == {"v", "error"}


@given(
    st.dictionaries(st.sampled_from(["v", "do", "task"]), st.sampled_from([1, "ps", [], None, "long", 2.0]))
)
def test_any_fields_get_one_of_both(fields: dict[str, object]) -> None:
    reply = json.loads(answer(json.dumps(fields).encode(), COMMANDS))

    assert set(reply) in ({"v", "error"}, {"v", "ok"})


@given(st.sampled_from(["ps", "where"]), st.text())
def test_what_a_client_asks_is_what_is_read(do: str, task: str) -> None:
    line = request_line(Request(do=do, task=task))

    assert (line.count(b"\n"), parse(line)) == (1, Request(do=do, task=task))


@given(st.text())
def test_an_error_is_what_the_client_is_told(why: str) -> None:
    with pytest.raises(Refusal) as refusal:
        reply_of(refused(why))

    assert str(refusal.value) == why


@given(st.binary(max_size=100))
def test_an_answer_that_is_none_is_a_value_error(line: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  # of json or of ours
        reply_of(line)


def test_an_answer_that_is_too_deep_is_a_value_error() -> None:
    with pytest.raises(ValueError, match=r"too deep|Expecting"):
        protocol.reply_of(b"[" * 200_000)
