"""Hold a context of the program's for a while, and see that what is in it goes on the program's thread.

The values of context variables are the program's objects: a connection, a session of a database. The
last to hold them runs their finalizers, and those may well touch the loop that they belong to.
"""

from __future__ import annotations

import sys
import weakref
from collections import deque
from collections.abc import Callable, Iterable
from contextvars import Context
from typing import Any, Final, ParamSpec, TypeVar

__all__ = ["Borrowed", "Returns", "is_only_ours"]

P = ParamSpec("P")
T = TypeVar("T")


class Borrowed:
    """A context, until it is given back."""

    __slots__ = ("_context", "_loop")

    def __init__(self, context: Context, loop: Any) -> None:
        self._context: Context | None = context
        self._loop = weakref.ref(loop)

    def run(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call something in the context; in the current one where that was given back."""
        return call(*args, **kwargs) if self._context is None else self._context.run(call, *args, **kwargs)

    def home(self) -> Any:
        """The loop that the context belongs to; None where that is no more."""
        return self._loop()

    def take(self) -> Context | None:
        """The context, which is not here any more."""
        context, self._context = self._context, None
        return context


class Returns:
    """Gives things back: to the loop where it is, else to whichever thread of the program's comes by."""

    def __init__(self) -> None:
        self._left: deque[list[Any]] = deque()

    def give_back(self, borrowed: Iterable[Borrowed]) -> None:
        """Have the loops let go of these. On any thread, ours included."""
        homes: dict[int, tuple[Any, list[Context | None]]] = {}
        for each in borrowed:
            loop = each.home()
            homes.setdefault(id(loop), (loop, []))[1].append(each.take())
        for loop, contexts in homes.values():
            try:
                loop.call_soon_threadsafe(contexts.clear)
            except Exception:  # noqa: BLE001  # it is closed, or gone
                self._left.append(contexts)

    def leave(self, thing: Any) -> None:
        """Leave something to the program's threads, as it must not go on ours."""
        self._left.append([thing])

    def let_go(self) -> None:
        """Let go of what no loop took. On a thread of the program's."""
        while self._left:
            self._left.popleft().clear()


def is_only_ours(thing: Any) -> bool:
    """Whether nobody holds it but the caller, in one variable."""
    return _references(thing) <= _ALONE


def _references(thing: Any) -> int:
    return sys.getrefcount(thing)


def _alone() -> int:
    """How many references there seem to be to what one variable holds: that differs from Python to Python."""

    def asked(thing: Any) -> int:
        return _references(thing)

    thing = object()
    return asked(thing)


_ALONE: Final = _alone()
