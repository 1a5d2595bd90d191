"""Find the line of the program's that makes a call, through the standard library and through packages."""

from __future__ import annotations

from collections.abc import Callable
from fnmatch import fnmatchcase
from types import CodeType, FrameType
from typing import Any, Final

from .._inspect.owners import is_package, is_standard
from ..observations import Frame

__all__ = ["Callers", "function_of_frame", "place_of"]

KNOWN: Final = 4096
"""So many functions are remembered; then all are forgotten."""

# Whose a function is.
_PROGRAM: Final = 0
_PACKAGE: Final = 1
"""Installed, and not of the standard library."""
_LIBRARY: Final = 2
_SPEAKS: Final = 3
"""Of the standard library; it has an event of its own, which speaks for those of what it calls."""
_OWN_WAY: Final = 4
"""What it does by itself is not the program's to change."""
_BOTTOM: Final = 5
"""Below it is nothing of what runs now."""
_QUIET: Final = 6
"""Whatever it calls, however far away, is not told."""

# `id` raises an audit event, and would have us called again.
_identity: Final[Callable[[object], int]] = object.__hash__
_IMPORTS: Final = ("<frozen importlib._bootstrap", "<frozen zipimport")
"""An import is a cause of stalls by itself, and happens once."""
# Loops open and connect in their own way; who logs or formats a traceback cannot do so otherwise.
_OWN_WAYS: Final = frozenset({"aiotel", "asyncio", "linecache", "logging", "traceback", "uvloop"})
_BOTTOMS: Final = frozenset({"Handle._run", "Runner.run", "BaseEventLoop.run_forever"})


class Callers:
    """Knows of each function whose it is; `quiet` are patterns of those that may do what they like."""

    def __init__(self, quiet: tuple[str, ...] = ()) -> None:
        self._patterns = quiet
        # By identity: codes of two files may be equal. The code is kept, so that none other gets its place.
        self._known: dict[int, tuple[CodeType, int]] = {}

    def of(
        self, frame: FrameType, *, speaks: bool, bottom: FrameType | None = None
    ) -> tuple[FrameType, FrameType | None] | None:
        """The frame that is to be told, and where that is a package's the nearest one of the program's own.

        `frame` makes the call; with `speaks`, it tells by that what it is about to do. Below `bottom` nobody
        looks. None where nothing is to be told.
        """
        if speaks and not self._speaks(frame):
            return None  # urllib3 says what http.client would have said, afterwards
        known = self._known
        site = caller = above = None
        here: FrameType | None = frame
        while here is not None:
            key = _identity(here.f_code)
            kind = known[key][1] if key in known else self._learn(here)
            if kind >= _BOTTOM:
                if kind == _QUIET:
                    return None
                break
            if site is None:
                if kind == _OWN_WAY or (kind == _SPEAKS and not (speaks and here is frame)):
                    return None
                if kind <= _PACKAGE:
                    site = here
            if kind == _PROGRAM and caller is None:
                caller = here
            above, here = here, None if here is bottom else here.f_back
        if site is None:  # a function of the standard library is the callback
            site = above
        return None if site is None else (site, None if caller is site else caller)

    def _speaks(self, frame: FrameType) -> bool:
        """Whether it is the standard library that tells what it is about to do; remembers that it does."""
        key = _identity(frame.f_code)
        kind = self._known[key][1] if key in self._known else self._learn(frame)
        if kind == _LIBRARY:
            self._known[key] = frame.f_code, _SPEAKS
        return kind in (_LIBRARY, _SPEAKS)

    def _learn(self, frame: FrameType) -> int:
        if len(self._known) >= KNOWN:
            self._known.clear()
        kind = self._kind_of(frame.f_code, _module(frame))
        self._known[_identity(frame.f_code)] = frame.f_code, kind
        return kind

    def _kind_of(self, code: CodeType, module: str) -> int:
        name = f"{module}.{code.co_qualname}"
        if code.co_filename.startswith(_IMPORTS) or any(
            fnmatchcase(name, pattern) for pattern in self._patterns
        ):
            return _QUIET
        package = module.partition(".")[0]
        if package == "asyncio" and code.co_qualname in _BOTTOMS:
            return _BOTTOM
        if package in _OWN_WAYS and not module.startswith("aiotel._demo."):
            return _OWN_WAY
        if is_package(code.co_filename):
            return _PACKAGE
        return _LIBRARY if is_standard(code.co_filename) else _PROGRAM


def place_of(frame: FrameType) -> Frame:
    """The line that runs."""
    code = frame.f_code
    return Frame(file=code.co_filename, line=frame.f_lineno, function=code.co_qualname)


def function_of_frame(frame: FrameType) -> str:
    """Its function: module.qualname."""
    return f"{_module(frame)}.{frame.f_code.co_qualname}"


def _module(frame: FrameType) -> str:
    names: Any = frame.f_globals
    module = dict.get(names, "__name__")
    return module if isinstance(module, str) else ""
