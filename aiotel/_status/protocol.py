"""Read requests and write answers: a line of JSON each, `{"v":1,"do":"ps"}` and `{"v":1,"ok":...}`."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from .bounds import ANSWER_BYTES, VERSION

__all__ = ["Refusal", "Request", "answer", "parse", "refused", "reply_of", "request_line"]


class Refusal(Exception):  # noqa: N818  # it is an answer, not a fault
    """A request that is answered with an error; the message is for whoever asks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What a client wants; `task` is an id, a name, or the beginning of a name."""

    do: str
    task: str = ""


def request_line(request: Request) -> bytes:
    """The request as a client sends it."""
    fields = {"v": VERSION, "do": request.do, **({"task": request.task} if request.task else {})}
    return json.dumps(fields).encode() + b"\n"


def parse(line: bytes) -> Request:
    """The request in a line; raises `Refusal` where there is none."""
    try:
        fields = json.loads(line)
    except (ValueError, RecursionError):
        raise Refusal('a request is a line of JSON: {"v":1,"do":"ps"}') from None
    if not isinstance(fields, dict):
        raise Refusal('a request is a JSON object: {"v":1,"do":"ps"}')
    if type(fields.get("v")) is not int or fields["v"] != VERSION:
        raise Refusal(f"this aiotel speaks version {VERSION}, and knows no other")
    do, task = fields.get("do"), fields.get("task", "")
    if not isinstance(do, str) or not isinstance(task, str):
        raise Refusal("`do` and `task` must be texts")
    return Request(do=do, task=task)


def answer(line: bytes, commands: Mapping[str, Callable[[Request], bytes]]) -> bytes:
    """The line that answers a line; `commands` give the JSON of what is `ok`."""
    try:
        request = parse(line)
        body = commands.get(request.do, partial(_unknown, commands))(request)
    except Refusal as refusal:
        return refused(str(refusal))
    if len(body) > ANSWER_BYTES:
        return refused(f"the answer has {len(body):,} bytes, more than {ANSWER_BYTES:,}")
    return b'{"v":%d,"ok":%b}\n' % (VERSION, body)


def _unknown(commands: Iterable[str], request: Request) -> bytes:
    raise Refusal(f"there is no {request.do[:40]!r}; there are {', '.join(commands)}")


def refused(why: str) -> bytes:
    """The line that says why not."""
    return json.dumps({"v": VERSION, "error": why}).encode() + b"\n"


def reply_of(line: bytes) -> Any:
    """What is `ok` in an answer; raises `Refusal` with its error, and ValueError where it is none of ours."""
    try:
        fields = json.loads(line)
    except RecursionError:
        raise ValueError("too deep") from None
    if not isinstance(fields, dict) or fields.get("v") != VERSION:
        raise ValueError("another version, or another program")
    if "error" in fields:
        raise Refusal(str(fields["error"]))
    if "ok" not in fields:
        raise ValueError("neither an answer nor an error")
    return fields["ok"]
