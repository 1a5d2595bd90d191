from __future__ import annotations

import gzip
import io
import tracemalloc
import zlib
from email.message import Message

import pytest

from aiotel._receiver import bodies
from aiotel._receiver.refusal import RefusalError


def headers(**fields: str) -> Message:
    message = Message()
    for name, value in fields.items():
        message[name.replace("_", "-")] = value
    return message


def refused(sent: bytes, coding: str, *, limit: int = bodies.MAX_BODY) -> tuple[int, str]:
    with pytest.raises(RefusalError) as caught:
        bodies.decompress(sent, coding, limit=limit)
    return caught.value.status, caught.value.message


@pytest.mark.slow
def test_a_bomb_is_stopped_before_it_takes_memory() -> None:
    bomb = gzip.compress(bytes(50_000_000))
    tracemalloc.start()

    try:
        status, _ = refused(bomb, "gzip", limit=1000)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert 413 == status
    assert peak < 1_000_000


def test_a_body_of_exactly_the_limit_passes() -> None:
    assert bytes(1000) == bodies.decompress(gzip.compress(bytes(1000)), "gzip", limit=1000)
    assert 413 == refused(gzip.compress(bytes(1001)), "gzip", limit=1000)[0]


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
def test_a_compressed_body_that_is_cut_short_is_refused(coding: str) -> None:
    compress = gzip.compress if coding == "gzip" else zlib.compress

    assert (400, "the compressed body is cut short") == refused(compress(b"telemetry")[:-1], coding)
    assert (400, "the compressed body is cut short") == refused(b"", coding)


def test_endless_compressed_streams_are_refused() -> None:
    assert (400, "over 1000 compressed streams in one body") == refused(gzip.compress(b"") * 1001, "gzip")


def test_a_short_body_says_how_short_it_is() -> None:
    with pytest.raises(RefusalError, match="ended after 3 of 10 bytes"):
        bodies.read(io.BufferedReader(io.BytesIO(b"abc")), headers(Content_Length="10"))


@pytest.mark.parametrize(
    ("sent", "says"),
    [
        (b"x\r\n", "not the size of a chunk"),
        (b"-1\r\n", "not the size of a chunk"),
        (b"\r\n", "not the size of a chunk"),
        (b"f" * 17 + b"\r\n", "not the size of a chunk"),
        (b"3\r\nabcd\r\n0\r\n\r\n", "longer than it said"),
        (b"5\r\nab", "ended after 2 of 5"),
        (b"1" + b";" * 5000, "too long"),
        (b"0\r\n" + b"a: b\r\n" * 101, "too many trailers"),
    ],
)
def test_chunks_that_are_wrong_are_refused_with_the_reason(sent: bytes, says: str) -> None:
    with pytest.raises(RefusalError, match=says) as caught:
        bodies.read(io.BufferedReader(io.BytesIO(sent)), headers(Transfer_Encoding="chunked"))

    assert 400 == caught.value.status


def test_another_transfer_encoding_is_not_understood() -> None:
    with pytest.raises(RefusalError, match="but chunked") as caught:
        bodies.read(io.BufferedReader(io.BytesIO()), headers(Transfer_Encoding="gzip"))

    assert 501 == caught.value.status
