"""Stand in front of methods of event loop classes, those that exist and those to come.

On the class, because there it reaches loops that run already, in any thread, and leaves
`get_task_factory()` and `get_exception_handler()` what the program made them.
"""

from __future__ import annotations

import asyncio
from asyncio import AbstractEventLoop, BaseEventLoop
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

__all__ = ["Detach", "attach", "attach_to_loop"]

Detach = Callable[[], None]
Method = Callable[..., Any]
InFrontOf = Callable[[Method], Method]
"""Makes our method from the one that stands there."""

_MISSING: Final = object()
LEDGER: Final = "_aiotel_ledger"
"""The attribute of a loop, and of its class, that holds its ledger: the fastest table there is."""


def attach(methods: Mapping[str, InFrontOf]) -> Detach:
    """Put ours in front of these methods on every loop class; gives back what undoes it."""
    attachment = _Attachment(methods)
    for cls in [BaseEventLoop, *_subclasses(AbstractEventLoop)]:
        attachment.cover(cls)
    attachment.cover_those_to_come()
    return attachment.detach


class _Attachment:
    """What was replaced on which class, and by what.

    An override that calls the method it overrides is replaced like that one: the inner of two of
    ours sees that the outer one is at work, and steps aside.
    """

    def __init__(self, methods: Mapping[str, InFrontOf]) -> None:
        self._methods = methods
        self._replaced: dict[tuple[type, str], tuple[object, Method]] = {}
        self._late: Any = None
        self._found_late: object = _MISSING

    def cover(self, cls: type) -> None:
        """Put ours in front of what this class, or one above it, has for each method."""
        for name, in_front_of in self._methods.items():
            owner = next((base for base in cls.__mro__ if name in vars(base)), AbstractEventLoop)
            if owner is AbstractEventLoop or (owner, name) in self._replaced:
                continue
            # uvloop's own class is compiled and cannot be changed; the one below it can.
            target = owner if issubclass(owner, AbstractEventLoop) else cls
            found = vars(target).get(name, _MISSING)
            ours = in_front_of(getattr(target, name))
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
            cover(cls)

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


def attach_to_loop(loop: Any, in_front_of_factory: InFrontOf, in_front_of_handler: InFrontOf) -> Detach:
    """Put ours in front of one loop's task factory and exception handler."""
    factory, handler = loop.get_task_factory(), loop.get_exception_handler()
    our_factory = in_front_of_factory(_factory_as_method(factory))
    our_handler = in_front_of_handler(_handler_as_method(handler))
    loop.set_task_factory(our_factory)
    loop.set_exception_handler(our_handler)

    def detach() -> None:
        if loop.get_task_factory() is our_factory:
            loop.set_task_factory(factory)
        if loop.get_exception_handler() is our_handler:
            loop.set_exception_handler(handler)

    return detach


def _factory_as_method(factory: Method | None) -> Method:
    def create(loop: Any, coro: Any, **kwargs: Any) -> Any:
        # uvloop hands over `context=None, eager_start=None`, which the chain below may not know.
        given = {name: value for name, value in kwargs.items() if value is not None}
        if factory is None:
            return asyncio.Task(coro, loop=loop, **given)
        return factory(loop, coro, **given)

    return create


def _handler_as_method(handler: Method | None) -> Method:
    def handle(loop: Any, context: dict[str, Any]) -> None:
        if handler is None:
            loop.default_exception_handler(context)
        else:
            handler(loop, context)

    return handle


def _subclasses(cls: type) -> Iterator[type]:
    children: list[type] = cls.__subclasses__()
    for subclass in children:
        yield subclass
        yield from _subclasses(subclass)


def _put_back(cls: type, name: str, found: object) -> None:
    if found is _MISSING:
        delattr(cls, name)
    else:
        setattr(cls, name, found)
