"""Turn a snapshot into what JSON can carry, and back: its fields, without those that have their defaults.

A field that a newer aiotel knows is skipped, one that an older did not send has its default; so the two ends
of the socket may differ in age.
"""

from __future__ import annotations

import dataclasses
import types
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, Final, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

__all__ = ["from_plain", "to_plain"]

T = TypeVar("T")

_NO_DEFAULT: Final = object()
_HEXADECIMAL: Final = {"trace_id": 32, "span_id": 16}
"""Ids of traces are written as everybody writes them."""
_LEFT_OUT: Final = frozenset({"undecided"})
"""Fields that are no data."""


def to_plain(thing: Any) -> Any:
    """The same as dictionaries, lists, texts and numbers."""
    if isinstance(thing, tuple | list):
        return [to_plain(each) for each in thing]
    if not dataclasses.is_dataclass(thing):
        return thing
    plain: dict[str, Any] = {}
    kind: Any = type(thing)
    for name, default in _defaults(kind):
        value = getattr(thing, name)
        if value is default or (default is not _NO_DEFAULT and value == default):
            continue
        width = _HEXADECIMAL.get(name)
        plain[name] = to_plain(value) if width is None else f"{value:0{width}x}"
    return plain


def from_plain(kind: type[T], plain: object) -> T:
    """The dataclass of this kind that the plain data describes; ValueError where it describes none."""
    try:
        hint: Any = kind
        value: T = _reader(hint)(plain)
    except (TypeError, RecursionError) as error:
        raise ValueError(f"this is no {kind.__name__}: {error}") from None
    return value


@cache
def _defaults(kind: Any) -> tuple[tuple[str, Any], ...]:
    return tuple(
        (each.name, _NO_DEFAULT if each.default is dataclasses.MISSING else each.default)
        for each in dataclasses.fields(kind)
        if each.name not in _LEFT_OUT
    )


@cache
def _reader(hint: Any) -> Callable[[Any], Any]:
    """What reads a value that is annotated so."""
    if dataclasses.is_dataclass(hint):
        return _dataclass_reader(hint)  # type: ignore[arg-type]  # a class, not one of its objects
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is tuple:
        return _tuple_reader(*arguments)
    if origin in (Union, types.UnionType):
        (inner,) = (each for each in arguments if each is not type(None))
        return _optional(_reader(inner))
    if origin is Literal:  # a later version may know more of them
        return _scalar(str)
    return _scalar(hint)


def _dataclass_reader(kind: type) -> Callable[[Any], Any]:
    hints = get_type_hints(kind)
    readers = {name: _named_reader(name, hints[name]) for name, _ in _defaults(kind)}

    def read(plain: Any) -> Any:
        if not isinstance(plain, Mapping):
            raise ValueError(f"{kind.__name__} must be an object")  # noqa: TRY004  # as below
        return kind(**{name: read(plain[name]) for name, read in readers.items() if name in plain})

    return read


def _named_reader(name: str, hint: Any) -> Callable[[Any], Any]:
    if name not in _HEXADECIMAL:
        return _reader(hint)
    text = _scalar(str)
    return lambda plain: int(text(plain), 16)


def _tuple_reader(first: Any, *rest: Any) -> Callable[[Any], Any]:
    readers = [_reader(first)] if rest == (...,) else [_reader(each) for each in (first, *rest)]

    def read(plain: Any) -> Any:
        if not isinstance(plain, list):
            raise ValueError("must be a list")  # noqa: TRY004  # whoever reads catches one kind
        if rest == (...,):
            return tuple(map(readers[0], plain))
        if len(plain) != len(readers):
            raise ValueError(f"must be a list of {len(readers)}")
        return tuple(read(each) for read, each in zip(readers, plain, strict=True))

    return read


def _optional(read: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda plain: None if plain is None else read(plain)


def _scalar(kind: type) -> Callable[[Any], Any]:
    def read(plain: Any) -> Any:
        if type(plain) is not kind:
            raise ValueError(f"must be {kind.__name__}, not {type(plain).__name__}")
        return plain

    return read
