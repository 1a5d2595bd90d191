"""Tell which function a callback calls: through partials and methods, to the protocol behind a transport."""

from __future__ import annotations

import asyncio
from asyncio.sslproto import SSLProtocol
from functools import partial
from types import BuiltinFunctionType, FunctionType, MethodType
from typing import Any, Final

__all__ = ["callee_of", "reads"]

DEPTH: Final = 8
"""How many partials or layers of TLS are seen through."""
_READS: Final = frozenset({"_read_ready", "_loop_reading"})
"""The methods of asyncio's transports that read, and hand what they read to their protocol."""


def callee_of(callback: Any) -> str:
    """The function: module.qualname. On the loop's thread; calls nothing of the program's."""
    callback = _inside(callback)
    if type(callback) is not MethodType:
        return _name_of(callback)
    if reads(callback):
        return _receiver_of(callback.__self__)
    return _name_of(callback.__func__)


def reads(callback: Any) -> bool:
    """Whether this is how a transport reads."""
    callback = _inside(callback)
    if type(callback) is not MethodType or not issubclass(type(callback.__self__), asyncio.BaseTransport):
        return False
    function = callback.__func__
    return type(function) is FunctionType and function.__name__ in _READS


def _inside(callback: Any) -> Any:
    for _ in range(DEPTH):
        if not issubclass(type(callback), partial):
            break
        callback = callback.func
    return callback


def _receiver_of(transport: Any) -> str:
    """The method that gets what the transport has read."""
    protocol = vars(transport).get("_protocol")
    for _ in range(DEPTH):
        if type(protocol) is not SSLProtocol:
            break
        protocol = vars(protocol).get("_app_protocol")
    kind = type(protocol)
    if issubclass(type(transport), asyncio.DatagramTransport):
        return _method_of(kind, "datagram_received")
    return _method_of(
        kind, "buffer_updated" if issubclass(kind, asyncio.BufferedProtocol) else "data_received"
    )


def _method_of(kind: type, name: str) -> str:
    """The method by the class that defines it."""
    for base in kind.__mro__:
        function = vars(base).get(name)
        if type(function) is FunctionType:
            return _name_of(function)
    return f"{_type_name(kind)}.{name}"


def _name_of(function: Any) -> str:
    kind = type(function)
    if kind is FunctionType:
        return _joined(function.__module__, function.__qualname__)
    if issubclass(kind, BuiltinFunctionType):
        owner = function.__self__
        module = type(owner).__module__ if function.__module__ is None else function.__module__
        return _joined(module, function.__qualname__)
    if issubclass(kind, type):
        return _type_name(function)
    return _method_of(kind, "__call__")


def _joined(module: object, qualname: str) -> str:
    return f"{module}.{qualname}" if isinstance(module, str) else qualname


def _type_name(kind: type) -> str:
    return _joined(kind.__module__, kind.__qualname__)
