"""Between the bytes of a request and OTLP's messages, in its two encodings, protobuf and JSON."""

from __future__ import annotations

import base64
import binascii
import json

from google.protobuf import json_format
from google.protobuf.message import DecodeError, Message
from google.rpc.status_pb2 import Status  # type: ignore[import-untyped]  # it ships stubs, but no py.typed

PROTOBUF = "application/x-protobuf"
JSON = "application/json"

# What a sender may call them; the answer goes by the first name.
ENCODINGS = {PROTOBUF: PROTOBUF, "application/protobuf": PROTOBUF, JSON: JSON}

# OTLP/JSON writes these in hex, where protobuf's JSON writes bytes in base64.
_IDS = ("traceId", "spanId", "parentSpanId", "trace_id", "span_id", "parent_span_id")
_BYTES = ("bytesValue", "bytes_value")
_TO_URL_SAFE = str.maketrans("+/", "-_")


class MalformedError(ValueError):
    """The body is not what its content type says; the message says why."""


def parse(body: bytes, message: Message, encoding: str) -> None:
    """Fill the message from the body; raises `MalformedError`."""
    if encoding == JSON:
        _parse_json(body, message)
    else:
        _parse_protobuf(body, message)


def serialise(message: Message, encoding: str) -> bytes:
    """The message as bytes."""
    if encoding == JSON:
        return json_format.MessageToJson(message, indent=None).encode()
    return message.SerializeToString()


def problem(text: str, encoding: str) -> bytes:
    """The body of an answer that says what went wrong: OTLP's `Status`."""
    status: Message = Status(message=text)
    return serialise(status, encoding)


def _parse_protobuf(body: bytes, message: Message) -> None:
    try:
        message.ParseFromString(body)
    except DecodeError as error:
        raise MalformedError(f"the body is not a protobuf {message.DESCRIPTOR.name}: {error}") from None


def _parse_json(body: bytes, message: Message) -> None:
    try:
        fields = json.loads(body, object_hook=_to_base64)
    except (ValueError, RecursionError) as error:
        raise MalformedError(f"the body is not JSON: {error}") from None
    if not isinstance(fields, dict):
        raise MalformedError(f"the body is not a JSON object but {type(fields).__name__}")
    try:
        json_format.ParseDict(fields, message, ignore_unknown_fields=True)
    # Beside its ParseError it lets out whatever an odd value makes Python's own conversions raise.
    except (
        json_format.ParseError,
        ArithmeticError,
        AttributeError,
        LookupError,
        TypeError,
        ValueError,
    ) as error:
        raise MalformedError(f"the body is not an OTLP/JSON {message.DESCRIPTOR.name}: {error}") from None


def _to_base64(fields: dict[str, object]) -> dict[str, object]:
    """Ids and bytes in the base64 that the reader takes: URL-safe, for newer Pythons warn of the other."""
    for name in _IDS:
        text = fields.get(name)
        if isinstance(text, str):
            fields[name] = base64.urlsafe_b64encode(_unhex(name, text)).decode()
    for name in _BYTES:
        text = fields.get(name)
        if isinstance(text, str):
            fields[name] = text.translate(_TO_URL_SAFE)
    return fields


def _unhex(name: str, text: str) -> bytes:
    try:
        return binascii.unhexlify(text)
    except ValueError:
        raise ValueError(
            f"{name} is {text[:64]!r}, and not hex digits (OTLP/JSON has no base64 ids)"
        ) from None
