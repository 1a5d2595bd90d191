"""Stand in front of methods of event loop classes, those that exist and those to come.

On the class, because there it reaches loops that run already, in any thread, and leaves
`get_task_factory()` and `get_exception_handler()` what the program made them.
"""

from __future__ import annotations

import inspect
from asyncio import AbstractEventLoop, BaseEventLoop
from collections.abc import Callable, Iterator, Mapping
from types import MethodType
from typing import Any, Final

from .._faults import faults
from ..errors import UnsupportedError
from .owners import beneath

__all__ = ["LEDGER", "Detach", "attach", "attach_to_loop", "require_attributes"]

Detach = Callable[[], None]
Method = Callable[..., Any]
InFrontOf = Callable[[Method], Method]
"""Makes our method from the one that stands there."""

_MISSING: Final = object()
LEDGER: Final = "_aiotel_ledger"
"""The attribute of a loop, and of its class, that holds its ledger: the fastest table there is."""


def attach(methods: Mapping[str, InFrontOf], *, first: frozenset[str] = frozenset()) -> Detach:
    """Put ours in front of these methods on every loop class; gives back what undoes it.

    Those that are to be `first` stay in front of whatever is put on `BaseEventLoop` later.
    """
    attachment = _Attachment(methods, first)
    for cls in [BaseEventLoop, *_subclasses(AbstractEventLoop)]:
        attachment.cover(cls)
    attachment.cover_those_to_come()
    return attachment.detach


class _Attachment:
    """What was replaced on which class, and by what.

    An override that calls the method it overrides is replaced like that one: the inner of two of
    ours sees that the outer one is at work, and steps aside.
    """

    def __init__(self, methods: Mapping[str, InFrontOf], first: frozenset[str]) -> None:
        self._methods = methods
        self._first = first
        self._replaced: dict[tuple[type, str], tuple[object, Method]] = {}
        self._late: Any = None
        self._found_late: object = _MISSING

    def cover(self, cls: type) -> None:
        """Put ours in front of what this class, or one above it, has for each method."""
        for name, in_front_of in self._methods.items():
            owner = next((base for base in cls.__mro__ if name in vars(base)), AbstractEventLoop)
            # What inherits from it is asked before it, whatever else comes to stand there.
            ahead = owner is BaseEventLoop and name in self._first and BaseEventLoop in cls.__bases__
            if owner is AbstractEventLoop or ((owner, name) in self._replaced and not ahead):
                continue
            # uvloop's own class is compiled and cannot be changed; the one below it can.
            target = cls if ahead or not issubclass(owner, AbstractEventLoop) else owner
            found = vars(target).get(name, _MISSING)
            if not _is_method(vars(owner)[name]):
                continue
            ours = in_front_of(_inherited(cls, name) if ahead else getattr(target, name))
            ours.__name__, ours.__qualname__ = name, f"{target.__qualname__}.{name}"
            try:
                setattr(target, name, ours)
                setattr(target, LEDGER, None)
            except TypeError:  # a class that cannot be changed; `instrument(loop=...)` is for its loops
                continue
            self._replaced[target, name] = (found, ours)

    def cover_those_to_come(self) -> None:
        """Cover each class of loops as it is made: uvloop may be imported later."""
        inherited = AbstractEventLoop.__init_subclass__
        cover = self.cover

        def __init_subclass__(cls: Any, /, **kwargs: Any) -> None:  # noqa: N807  # it stands for that method
            bound = getattr(inherited, "__func__", None)
            if bound is None:
                super(AbstractEventLoop, cls).__init_subclass__(**kwargs)  # type: ignore[misc]  # a subclass
            else:
                bound(cls, **kwargs)
            try:
                cover(cls)
            except Exception as error:  # noqa: BLE001  # ours, not the program's
                faults.add(error)

        self._late = classmethod(__init_subclass__)
        self._found_late = vars(AbstractEventLoop).get("__init_subclass__", _MISSING)
        AbstractEventLoop.__init_subclass__ = self._late  # type: ignore[method-assign]  # as it was found

    def detach(self) -> None:
        """Put back what was found; what somebody has wrapped meanwhile stays, and does nothing."""
        if vars(AbstractEventLoop).get("__init_subclass__") is self._late:
            _put_back(AbstractEventLoop, "__init_subclass__", self._found_late)
        kept = set()
        for (cls, name), (found, ours) in reversed(self._replaced.items()):
            if vars(cls).get(name) is ours:
                _put_back(cls, name, found)
            else:
                kept.add(cls)
        for cls in {cls for cls, _ in self._replaced} - kept:
            delattr(cls, LEDGER)
        self._replaced.clear()
        self._methods = {}  # somebody may have wrapped what covers the classes to come


def attach_to_loop(loop: Any, methods: Mapping[str, InFrontOf]) -> Detach:
    """Put ours in front of these methods on one loop; gives back what undoes it.

    As attributes of the loop, which hide the methods of its class. Its task factory and exception handler
    would do too, but to put ours there shows: in `get_task_factory()`, which anyio looks at, in the names of
    tasks (3.13.0 calls those of a custom factory 'None'), and once the program sets its own.
    """
    replaced: dict[str, tuple[object, Method]] = {}
    for name, in_front_of in methods.items():
        found = vars(loop).get(name, _MISSING)
        original = getattr(type(loop), name, None) if found is _MISSING else _as_method(found)
        if original is None:  # not every loop has each
            continue
        ours = MethodType(in_front_of(original), loop)
        replaced[name] = (found, ours)
        setattr(loop, name, ours)

    def detach() -> None:
        kept = False
        for name, (found, ours) in replaced.items():
            if vars(loop).get(name) is ours:
                _put_back(loop, name, found)
            else:
                kept = True
        _put_back(loop, LEDGER, None if kept else _MISSING)

    return detach


def require_attributes(loop: Any) -> None:
    """Raise `UnsupportedError` where a loop takes no attributes: it could not be told from others."""
    try:
        setattr(loop, LEDGER, None)
    except AttributeError:
        raise UnsupportedError(
            f"{type(loop).__qualname__} takes no attributes, so its loops cannot be instrumented one by one; "
            "instrument() without loop= may reach them by their class"
        ) from None


def _inherited(cls: type, name: str) -> Method:
    """What the class has from the one above it, at the time of each call, less OpenTelemetry's wrap."""

    def method(loop: Any, *args: Any, **kwargs: Any) -> Any:
        return beneath(getattr(super(cls, loop), name))(*args, **kwargs)

    return method


def _as_method(bound: Any) -> Method:
    def method(_: Any, *args: Any, **kwargs: Any) -> Any:
        return bound(*args, **kwargs)

    return method


def _subclasses(cls: type) -> Iterator[type]:
    children: list[type] = cls.__subclasses__()
    for subclass in children:
        yield subclass
        yield from _subclasses(subclass)


def _is_method(found: object) -> bool:
    """Whether this, on a class, gets the loop as its first argument. A mock, a property, a partial do not."""
    return inspect.isroutine(found) and not isinstance(found, staticmethod | classmethod)


def _put_back(owner: Any, name: str, found: object) -> None:
    if found is _MISSING:
        delattr(owner, name)
    else:
        setattr(owner, name, found)
