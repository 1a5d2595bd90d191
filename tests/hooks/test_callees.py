"""Which function a callback calls is told through whatever is around it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from aiotel._hooks.callees import callee_of, reads


def plain() -> None:
    """A function."""


class Thing:
    """With a method, and callable."""

    def method(self) -> None:
        """One."""

    def __call__(self) -> None:
        """The other."""

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"asked the program for {name}")


class Lines(asyncio.Protocol):
    """Gets data."""

    def data_received(self, data: bytes) -> None:
        """Some of it."""


class Inherits(Lines):
    """Gets it as the one above does."""


class Buffers(asyncio.BufferedProtocol):
    """Gets data in a buffer of its own."""

    def buffer_updated(self, nbytes: int) -> None:
        """It is there."""


class Packets(asyncio.DatagramProtocol):
    """Gets packets."""

    def datagram_received(self, data: bytes, addr: Any) -> None:
        """One of them."""


class FromSocket(asyncio.Transport):
    """A transport as asyncio's are: those have the method that reads, and `_protocol`."""

    def __init__(self, protocol: Any) -> None:
        super().__init__()
        self._protocol = protocol

    def _read_ready(self) -> None:
        pass

    def _write_ready(self) -> None:
        pass


class OfPackets(FromSocket, asyncio.DatagramTransport):
    """The same for packets."""


def _itself() -> partial[None]:
    endless = partial(plain)
    endless.__setstate__((endless, (), {}, {}))  # type: ignore[attr-defined]  # not in typeshed
    return endless


@pytest.mark.parametrize(
    ("callback", "name"),
    [
        (plain, f"{__name__}.plain"),
        (partial(partial(plain)), f"{__name__}.plain"),
        (Thing().method, f"{__name__}.Thing.method"),
        (partial(Thing().method), f"{__name__}.Thing.method"),
        (Thing(), f"{__name__}.Thing.__call__"),
        (Thing, f"{__name__}.Thing"),
        (time.sleep, "time.sleep"),
        ([].append, "builtins.list.append"),
        (FromSocket(Lines())._read_ready, f"{__name__}.Lines.data_received"),
        (FromSocket(Inherits())._read_ready, f"{__name__}.Lines.data_received"),
        (FromSocket(Buffers())._read_ready, f"{__name__}.Buffers.buffer_updated"),
        (OfPackets(Packets())._read_ready, f"{__name__}.Packets.datagram_received"),
        (FromSocket(Lines())._write_ready, f"{__name__}.FromSocket._write_ready"),
        (FromSocket(None)._read_ready, "builtins.NoneType.data_received"),
        (_itself(), "functools.partial.__call__"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_callback_is_named_by_the_function_that_is_called(callback: Callable[[], None], name: str) -> None:
    assert name == callee_of(callback)


def test_only_a_transport_reads() -> None:
    assert reads(FromSocket(Lines())._read_ready)
    assert not reads(FromSocket(Lines())._write_ready)
    assert not reads(Thing().method)
    assert not reads(plain)
