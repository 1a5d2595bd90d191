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
    replaced: dict[tuple[type, str], tuple[object, Method]] = {}

    def cover(cls: type) -> None:
        for name, in_front_of in methods.items():
            for target in _targets(cls, name, replaced):
                found = vars(target).get(name, _MISSING)
                ours = in_front_of(getattr(target, name))
                ours.__name__, ours.__qualname__ = name, f"{target.__qualname__}.{name}"
                try:
                    setattr(target, name, ours)
                    if LEDGER not in vars(target):
                        setattr(target, LEDGER, None)
                except TypeError:  # a class that cannot be changed: its subclasses are asked instead
                    continue
                replaced[target, name] = (found, ours)

    def cover_late(cls: type, **kwargs: Any) -> None:
        inherited(cls, **kwargs)
        cover(cls)

    inherited = _bare(AbstractEventLoop.__init_subclass__)
    for cls in [BaseEventLoop, *_subclasses(AbstractEventLoop)]:
        cover(cls)
    late = classmethod(cover_late)
    found_late = vars(AbstractEventLoop).get("__init_subclass__", _MISSING)
    AbstractEventLoop.__init_subclass__ = late  # type: ignore[assignment,method-assign]  # a classmethod, as found

    def detach() -> None:
        if vars(AbstractEventLoop).get("__init_subclass__") is late:
            _put_back(AbstractEventLoop, "__init_subclass__", found_late)
        for (cls, name), (found, ours) in reversed(replaced.items()):
            if vars(cls).get(name) is ours:
                _put_back(cls, name, found)
        for cls in {cls for cls, _ in replaced}:
            # Where somebody has wrapped a method of ours it stays, and finds no ledger here.
            if all(vars(cls).get(name) is not ours for (_, name), (_, ours) in replaced.items()):
                setattr(cls, LEDGER, None)
        replaced.clear()

    return detach


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


def _targets(cls: type, name: str, replaced: Mapping[tuple[type, str], object]) -> Iterator[type]:
    """The class on which this method is to be replaced so that loops of `cls` are covered."""
    owner = next((base for base in cls.__mro__ if name in vars(base)), None)
    if owner is None or owner is AbstractEventLoop or (owner, name) in replaced:
        return
    if (
        owner is not BaseEventLoop
        and issubclass(owner, BaseEventLoop)
        and _delegates(vars(owner)[name], name)
    ):
        return
    # An owner that cannot be changed (uvloop's compiled one) is covered by the class below it.
    yield owner if _changeable(owner) else cls


def _delegates(method: object, name: str) -> bool:
    """An override that calls the one it overrides is covered by that."""
    code = getattr(method, "__code__", None)
    return code is not None and name in code.co_names


def _changeable(cls: type) -> bool:
    return issubclass(cls, AbstractEventLoop) and bool(cls.__flags__ & (1 << 9))  # a heap type


def _subclasses(cls: type) -> Iterator[type]:
    for subclass in cls.__subclasses__():
        yield subclass
        yield from _subclasses(subclass)


def _bare(bound: Any) -> Callable[..., None]:
    function = getattr(bound, "__func__", None)
    if function is not None:
        return function  # type: ignore[no-any-return]  # a classmethod's function

    def inherited(cls: type, **kwargs: Any) -> None:
        super(AbstractEventLoop, cls).__init_subclass__(**kwargs)

    return inherited


def _put_back(cls: type, name: str, found: object) -> None:
    if found is _MISSING:
        delattr(cls, name)
    else:
        setattr(cls, name, found)
