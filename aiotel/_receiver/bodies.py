"""Read the body of a request: by length or in chunks, decompressed, and never more than a fixed size."""

from __future__ import annotations

import zlib
from http import HTTPStatus
from typing import TYPE_CHECKING

from .refusal import RefusalError

if TYPE_CHECKING:
    from email.message import Message
    from io import BufferedIOBase

MAX_BODY = 64 * 1024 * 1024  # what OpenTelemetry's own exporters send at most

_PIECE = 64 * 1024
_MAX_LINE = 4096  # of a chunk's size, and of a trailer
_MAX_TRAILERS = 100
_MAX_STREAMS = 1000  # gzip streams one after the other: allowed, and each costs a copy of what is left

_GZIP = 16 + zlib.MAX_WBITS
_RAW = -zlib.MAX_WBITS


def read(stream: BufferedIOBase, headers: Message, *, limit: int = MAX_BODY) -> bytes:
    """The body as sent, still compressed; raises `RefusalError`."""
    chunked = headers.get_all("Transfer-Encoding", [])
    lengths = headers.get_all("Content-Length", [])
    if chunked and lengths:
        raise RefusalError(HTTPStatus.BAD_REQUEST, "Transfer-Encoding and Content-Length exclude each other")
    if chunked:
        if [coding.strip().lower() for coding in chunked] != ["chunked"]:
            raise RefusalError(HTTPStatus.NOT_IMPLEMENTED, "no Transfer-Encoding but chunked is understood")
        return _read_chunks(stream, limit)
    return _read_exactly(stream, _length(lengths, limit))


def decompress(body: bytes, coding: str, *, limit: int = MAX_BODY) -> bytes:
    """The body without its Content-Encoding; raises `RefusalError`."""
    match coding.strip().lower():
        case "" | "identity":
            return body
        case "gzip" | "x-gzip":
            return _inflate(body, _GZIP, limit)
        case "deflate":
            return _inflate(body, zlib.MAX_WBITS if _has_zlib_header(body) else _RAW, limit)
        case other:
            raise RefusalError(
                HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
                f"Content-Encoding {other[:64]!r} is not understood: send gzip, deflate or none",
                Accept_Encoding="gzip, deflate, identity",
            )


def too_large(limit: int) -> RefusalError:
    """The refusal of a body over the limit."""
    return RefusalError(
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"the body is over {limit} bytes: send smaller batches"
    )


def _length(lengths: list[str], limit: int) -> int:
    if not lengths:
        raise RefusalError(HTTPStatus.LENGTH_REQUIRED, "send Content-Length or Transfer-Encoding: chunked")
    text = lengths[0].strip()
    if len(set(lengths)) > 1 or not (text.isascii() and text.isdigit()):
        raise RefusalError(
            HTTPStatus.BAD_REQUEST, f"Content-Length {', '.join(lengths)[:64]!r} is not a number"
        )
    if len(text) > len(str(limit)) or int(text) > limit:
        raise too_large(limit)
    return int(text)


def _read_exactly(stream: BufferedIOBase, length: int) -> bytes:
    """Piece by piece: a client that announces much and sends little costs little."""
    body = bytearray()
    while len(body) < length:
        piece = stream.read(min(_PIECE, length - len(body)))
        if not piece:
            raise RefusalError(HTTPStatus.BAD_REQUEST, f"the body ended after {len(body)} of {length} bytes")
        body += piece
    return bytes(body)


def _read_chunks(stream: BufferedIOBase, limit: int) -> bytes:
    body = bytearray()
    while size := _chunk_size(stream):
        if len(body) + size > limit:
            raise too_large(limit)
        body += _read_exactly(stream, size)
        if _line(stream):
            raise RefusalError(HTTPStatus.BAD_REQUEST, "a chunk is longer than it said")
    for _ in range(_MAX_TRAILERS):
        if not _line(stream):
            return bytes(body)
    raise RefusalError(HTTPStatus.BAD_REQUEST, "too many trailers")


def _chunk_size(stream: BufferedIOBase) -> int:
    digits = _line(stream).partition(b";")[0].strip()
    if not 1 <= len(digits) <= 16 or digits.strip(b"0123456789abcdefABCDEF"):
        raise RefusalError(HTTPStatus.BAD_REQUEST, f"{digits[:32]!r} is not the size of a chunk")
    return int(digits, 16)


def _line(stream: BufferedIOBase) -> bytes:
    line = stream.readline(_MAX_LINE)
    if not line.endswith(b"\n"):
        raise RefusalError(
            HTTPStatus.BAD_REQUEST, "the body ended inside a chunk's line, or that line is too long"
        )
    return line.rstrip(b"\r\n")


def _has_zlib_header(body: bytes) -> bool:
    """HTTP's deflate is zlib's format, but many senders take it by its word and send it bare."""
    return len(body) >= 2 and body[0] & 0x0F == 8 and int.from_bytes(body[:2]) % 31 == 0


def _inflate(body: bytes, wbits: int, limit: int) -> bytes:
    unpacked = bytearray()
    stream, streams = zlib.decompressobj(wbits), 1
    try:
        for start in range(0, len(body), _PIECE):
            piece = body[start : start + _PIECE]
            while piece:
                if stream.eof:  # another stream follows: as allowed in gzip as unusual
                    stream, streams = zlib.decompressobj(wbits), streams + 1
                unpacked += stream.decompress(piece, limit + 1 - len(unpacked))
                if len(unpacked) > limit:
                    raise too_large(limit)
                if streams > _MAX_STREAMS:
                    raise RefusalError(
                        HTTPStatus.BAD_REQUEST, f"over {_MAX_STREAMS} compressed streams in one body"
                    )
                piece = stream.unused_data
    except zlib.error as error:
        raise RefusalError(HTTPStatus.BAD_REQUEST, f"the body does not decompress: {error}") from None
    if not stream.eof:
        raise RefusalError(HTTPStatus.BAD_REQUEST, "the compressed body is cut short")
    return bytes(unpacked)
