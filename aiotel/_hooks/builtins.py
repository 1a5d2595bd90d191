"""Name the builtin that a pool of threads was given: it has no frame by which a look could tell."""

from __future__ import annotations

from contextvars import Context
from functools import partial
from types import BuiltinFunctionType, FunctionType, MethodType
from typing import Any

from .callees import DEPTH, callee_of

__all__ = ["builtin_of"]


def builtin_of(call: Any) -> str:
    """Which builtin this calls: module.qualname; empty where that is a function of Python's.

    From Python 3.14 on an executor has function and arguments in one. `asyncio.to_thread` calls a function
    by the `run` of a context. On the thread that submits; calls nothing of the program's.
    """
    if type(call) is tuple:
        call = call[0]
    for _ in range(DEPTH):
        if not issubclass(type(call), partial):
            break
        function, args = call.func, call.args
        call = args[0] if args and _runs(function) else function
    if type(call) is MethodType:
        call = call.__func__
    return "" if type(call) is FunctionType else callee_of(call)


def _runs(function: Any) -> bool:
    return (
        type(function) is BuiltinFunctionType
        and type(function.__self__) is Context
        and function.__name__ == "run"
    )
