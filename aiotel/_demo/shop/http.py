"""Speak HTTP/1.1 on a pair of streams: as much of it as the shop and its customers need."""

from __future__ import annotations

import json
from asyncio import IncompleteReadError, LimitOverrunError, StreamReader, StreamWriter
from dataclasses import dataclass, field
from http import HTTPStatus
from urllib.parse import parse_qsl, urlsplit

_MAX_BODY = 64 * 1024
_MAX_HEADERS = 50


class BadMessageError(Exception):
    """What came is not HTTP/1.1, or more of it than we take."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A request; header names are in lower case."""

    method: str
    target: str
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""

    @property
    def path(self) -> str:
        """The target without its query."""
        return urlsplit(self.target).path

    @property
    def query(self) -> dict[str, str]:
        """The parameters in the target; of one that is repeated, the last."""
        return dict(parse_qsl(urlsplit(self.target).query))

    @property
    def is_last(self) -> bool:
        """Whether the client wants to end the connection after the answer."""
        return self.headers.get("connection", "").lower() == "close"


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """An answer."""

    status: int = 200
    body: bytes = b""
    content_type: str = "application/json"

    @classmethod
    def of(cls, content: object, status: int = 200) -> Response:
        """An answer in JSON."""
        return cls(status=status, body=json.dumps(content).encode())


async def read_request(reader: StreamReader) -> Request | None:
    """The next request, or None where the client has hung up. Raises `BadMessageError`."""
    try:
        line = await _read_line(reader)
        if not line:
            return None
        method, target, version = line.split(" ")
        if not version.startswith("HTTP/1."):
            raise BadMessageError(f"{version} is not HTTP/1")
        headers = await _read_headers(reader)
        return Request(method=method, target=target, headers=headers, body=await _read_body(reader, headers))
    except (ValueError, LimitOverrunError, IncompleteReadError) as error:
        raise BadMessageError(str(error)) from error


async def write_response(writer: StreamWriter, response: Response, *, is_last: bool) -> None:
    """Answer, and say whether the connection goes on."""
    head = [
        f"HTTP/1.1 {response.status} {HTTPStatus(response.status).phrase}",
        f"Content-Type: {response.content_type}",
        f"Content-Length: {len(response.body)}",
        f"Connection: {'close' if is_last else 'keep-alive'}",
    ]
    writer.write("\r\n".join([*head, "", ""]).encode() + response.body)
    await writer.drain()


async def write_request(writer: StreamWriter, method: str, target: str) -> None:
    """Ask, without a body."""
    writer.write(f"{method} {target} HTTP/1.1\r\nHost: shop\r\nContent-Length: 0\r\n\r\n".encode())
    await writer.drain()


async def read_response(reader: StreamReader) -> Response:
    """The answer. Raises `BadMessageError`."""
    try:
        _, status, _ = (await _read_line(reader)).split(" ", 2)
        headers = await _read_headers(reader)
        return Response(
            status=int(status),
            body=await _read_body(reader, headers),
            content_type=headers.get("content-type", ""),
        )
    except (ValueError, LimitOverrunError, IncompleteReadError) as error:
        raise BadMessageError(str(error)) from error


async def _read_headers(reader: StreamReader) -> dict[str, str]:
    headers: dict[str, str] = {}
    while line := await _read_line(reader):
        name, colon, value = line.partition(":")
        if not colon or len(headers) >= _MAX_HEADERS:
            raise BadMessageError(f"{line[:100]!r} is not a header, or one too many")
        headers[name.lower()] = value.strip()
    return headers


async def _read_body(reader: StreamReader, headers: dict[str, str]) -> bytes:
    if "transfer-encoding" in headers:
        raise BadMessageError("send Content-Length, not Transfer-Encoding")
    length = int(headers.get("content-length", "0"))
    if not 0 <= length <= _MAX_BODY:
        raise BadMessageError(f"a body has 0 to {_MAX_BODY} bytes, not {length}")
    return await reader.readexactly(length)


async def _read_line(reader: StreamReader) -> str:
    return (await reader.readline()).decode("latin-1").rstrip("\r\n")
