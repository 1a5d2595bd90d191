"""Tell which function a task runs, through the wrappers that libraries put around it."""

from __future__ import annotations

import gc
import inspect
from collections.abc import Mapping
from fnmatch import fnmatchcase
from types import CodeType
from typing import Any, Final

from .._ledger import Ledger
from .._record import Function

__all__ = ["code_of", "function_of", "name_of"]

UNNAMED: Final = "asyncio.task"

# Qualified names of wrappers, and the variable, or its attribute, in which each keeps the coroutine it wraps.
_WRAPPERS: Final[Mapping[str, str]] = {
    "TaskHandle._run_coro": "self._coro",
    "AsyncioInstrumentor.trace_coroutine": "coro",
    "run.<locals>.wrapper": "main",
}
# `Runner.close` and `run_until_complete`'s kin make tasks of their own.
_INTERNAL: Final = frozenset(
    {
        "BaseEventLoop.shutdown_asyncgens",
        "BaseEventLoop.shutdown_default_executor",
        "Loop.shutdown_asyncgens",
        "Loop.shutdown_default_executor",
    }
)
_INTERNAL_MODULES: Final = frozenset({"asyncio.base_events", "uvloop", "uvloop.loop", ""})


def function_of(ledger: Ledger, coro: Any, patterns: tuple[str, ...]) -> Function:
    """The function of this coroutine, or of the one that it wraps; anything may come as a coroutine."""
    qualname = _text(coro, "__qualname__")
    if qualname is None:
        return _known(ledger, *_generator_of(coro), patterns)
    inner = _wrapped(coro, qualname)
    if inner is not None:
        outer = _known(ledger, coro, qualname, patterns)
        outer.see_through = outer.special = True
        return function_of(ledger, inner, patterns)
    return _known(ledger, coro, qualname, patterns)


def name_of(coro: Any) -> str:
    """The function that made this coroutine or generator: module.qualname."""
    return _qualified(_module(coro), _text(coro, "__qualname__") or UNNAMED)


def _qualified(module: str, qualname: str) -> str:
    return f"{module}.{qualname}" if module and qualname != UNNAMED else qualname


def _known(ledger: Ledger, coro: Any, qualname: str, patterns: tuple[str, ...]) -> Function:
    code = code_of(coro)
    function = ledger.functions.get(qualname)
    if function is not None and function.code is code:
        return function
    module = _module(coro)
    function = Function(_qualified(module, qualname), qualname, code)
    function.skip = _is_internal(module, qualname)
    function.detach = any(fnmatchcase(function.name, pattern) for pattern in patterns)
    function.special = function.skip or function.detach
    return ledger.add_function(function)


def _is_internal(module: str, qualname: str) -> bool:
    """A task that the loop makes for itself: to accept connections, or to close its generators."""
    private = module.startswith("asyncio.") and qualname.rpartition(".")[2].startswith("_")
    return private or (qualname in _INTERNAL and module in _INTERNAL_MODULES)


def _generator_of(coro: Any) -> tuple[Any, str]:
    """The async generator that this closes, and what to call that: such a coroutine has no name."""
    for thing in gc.get_referents(coro):
        name = _text(thing, "__qualname__")
        if inspect.isasyncgen(thing) and name is not None:
            return thing, f"{name}.aclose"
    return coro, UNNAMED


def _wrapped(coro: Any, qualname: str) -> Any:
    variable = _WRAPPERS.get(qualname)
    if variable is None:
        return None
    frame = getattr(coro, "cr_frame", None)
    variable, _, attribute = variable.partition(".")
    inner = frame.f_locals.get(variable) if frame is not None else None
    inner = getattr(inner, attribute, None) if attribute else inner
    return inner if inner is not coro and hasattr(inner, "__qualname__") else None


def code_of(coro: Any) -> CodeType | None:
    """The code that runs, for coroutines and for the generators that stood for them."""
    for attribute in ("cr_code", "gi_code", "ag_code"):
        code = _look(coro, attribute)
        if isinstance(code, CodeType):
            return code
    return None


def _module(coro: Any) -> str:
    for attribute in ("cr_frame", "gi_frame", "ag_frame"):
        frame = _look(coro, attribute)
        names = getattr(frame, "f_globals", None)
        if isinstance(names, dict):
            module = names.get("__name__")
            return module if isinstance(module, str) else ""
    return _text(coro, "__module__") or _text(type(coro), "__module__") or ""


def _text(thing: Any, attribute: str) -> str | None:
    value = _look(thing, attribute)
    return value if type(value) is str else None


def _look(thing: Any, attribute: str) -> Any:
    """The attribute, or None: a stranger's `__getattr__` may raise anything."""
    try:
        return getattr(thing, attribute, None)
    except Exception:  # noqa: BLE001  # said in the docstring
        return None
