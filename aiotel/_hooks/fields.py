"""Stand in front of fields of one object: its class is changed for a subclass that is the same but for them.

Other objects of the class are left alone, and cost nothing.
"""

from __future__ import annotations

import abc
import sys
import weakref
from typing import Any, Final

from ..errors import UnsupportedError
from .cells import MISSING, Cell, Races

__all__ = ["Fields", "class_of", "require_watchable", "set_class"]

_set_class: Final[Any] = vars(object)["__class__"].__set__
_frame: Final = sys._getframe


class Fields:
    """The cells of watched objects, by the object's id: each ends with its object, or with the session."""

    def __init__(self, races: Races) -> None:
        self.races: Races | None = races
        self._objects: dict[int, tuple[weakref.ref[Any], dict[str, Cell]]] = {}

    def cells_of(self, thing: object) -> dict[str, Cell] | None:
        """Its cells by the names of its fields; None where it is not watched."""
        found = self._objects.get(id(thing))
        return None if found is None else found[1]

    def add(self, thing: Any, owner: str, fields: tuple[Any, ...]) -> None:
        """Watch these as well."""
        key, objects = id(thing), self._objects

        def forget(_: object) -> None:
            objects.pop(key, None)

        if key not in objects:
            objects[key] = weakref.ref(thing, forget), {}
        cells = objects[key][1]
        for field in fields:
            cells.setdefault(field, Cell(owner, str(field)))

    def end(self) -> list[Any]:
        """Watch no more; gives the objects, which are the caller's to put back."""
        self.races = None
        things = [reference() for reference, _ in list(self._objects.values())]
        self._objects.clear()
        return [thing for thing in things if thing is not None]


class _Field:
    """A data descriptor in front of whatever the class has for a field, which may be nothing."""

    def __init__(self, fields: Fields, cls: type, name: str) -> None:
        self._fields = fields
        self._name = name
        self._found = next((vars(base)[name] for base in cls.__mro__ if name in vars(base)), MISSING)
        kind = type(self._found)
        self._get = getattr(kind, "__get__", None)
        self._set = getattr(kind, "__set__", None)
        self._delete = getattr(kind, "__delete__", None)
        self._owner = cls
        self.__doc__ = getattr(self._found, "__doc__", None)

    def __get__(self, thing: Any, owner: type | None = None) -> Any:
        if thing is None:
            return getattr(self._owner, self._name)
        value = self._value(thing)
        found = self._fields._objects.get(id(thing))
        races = self._fields.races
        if found is not None and races is not None:
            cell = found[1].get(self._name)
            if cell is not None:
                races.read(cell, _frame(1), value)
        return value

    def __set__(self, thing: Any, value: Any) -> None:
        cell = self._cell(thing)
        old = self._old(thing) if cell is not None else MISSING
        if self._set is not None:
            self._set(self._found, thing, value)
        else:
            thing.__dict__[self._name] = value
        races = self._fields.races
        if cell is not None and races is not None:
            races.wrote(cell, _frame(1), old, value)

    def __delete__(self, thing: Any) -> None:
        if self._delete is not None:
            self._delete(self._found, thing)
        elif self._set is not None or self._name not in thing.__dict__:
            raise AttributeError(self._words())
        else:
            del thing.__dict__[self._name]
        cell, races = self._cell(thing), self._fields.races
        if cell is not None and races is not None:
            races.wrote(cell, _frame(1), MISSING, MISSING)

    def _cell(self, thing: Any) -> Cell | None:
        cells = self._fields.cells_of(thing)
        return None if cells is None else cells.get(self._name)

    def _old(self, thing: Any) -> Any:
        """What stands there; a property is not asked, as that is the program's code."""
        if self._set is not None and not _is_slot(self._found):
            return MISSING
        if self._get is not None and not _is_slot(self._found):  # a cached property computes what it gives
            return thing.__dict__.get(self._name, MISSING) if self._set is None else MISSING
        try:
            return self._value(thing)
        except AttributeError:
            return MISSING

    def _value(self, thing: Any) -> Any:
        if self._set is None and self._name in thing.__dict__:
            return thing.__dict__[self._name]
        if self._get is not None:
            return self._get(self._found, thing, self._owner)
        if self._found is MISSING:
            raise AttributeError(self._words(), name=self._name, obj=thing)
        return self._found

    def _words(self) -> str:
        return f"{self._owner.__name__!r} object has no attribute {self._name!r}"


def _is_slot(found: object) -> bool:
    return type(found).__name__ == "member_descriptor"


def class_of(fields: Fields, cls: type, watched: tuple[str, ...]) -> type:
    """The class that its objects get."""
    way: Any = cls.__reduce_ex__

    def reduce_ex(thing: Any, protocol: Any) -> Any:
        return _with_class(way(thing, protocol), made, cls)

    # It says that it is what it was to all who ask the object: dataclasses compare by that.
    spare: Any = property(lambda _: cls, _set_class)
    body: dict[str, Any] = {name: _Field(fields, cls, name) for name in watched}
    body |= {"__slots__": (), "__doc__": cls.__doc__, "__class__": spare, "__reduce_ex__": reduce_ex}
    body |= {"__module__": cls.__module__, "__qualname__": cls.__qualname__}
    made: type = type(cls)(cls.__name__, (cls,), body)
    return made


def _with_class(reduced: Any, made: type, cls: type) -> Any:
    """What an object is pickled and copied by, with its own class."""
    if not isinstance(reduced, tuple) or len(reduced) < 2 or not isinstance(reduced[1], tuple):
        return reduced
    call, arguments = reduced[0], tuple(cls if each is made else each for each in reduced[1])
    return (cls if call is made else call, arguments, *reduced[2:])


def set_class(thing: object, cls: type) -> None:
    """Change the class of an object."""
    _set_class(thing, cls)


def require_watchable(thing: object, fields: tuple[Any, ...]) -> None:
    """Raise `UnsupportedError` where the object's class cannot be changed without being noticed."""
    cls = type(thing)
    name = cls.__qualname__
    if issubclass(cls, dict):
        raise UnsupportedError(f"{name} cannot be watched: of dicts, only plain ones can")
    if type(cls) not in (type, abc.ABCMeta):
        raise UnsupportedError(f"{name} cannot be watched: its metaclass may act on a subclass; {_ADVICE}")
    if not _is_plain(cls, "__init_subclass__"):
        raise UnsupportedError(f"{name} cannot be watched: it acts on its subclasses; {_ADVICE}")
    if not _is_plain(cls, "__setattr__") or not _is_plain(cls, "__getattribute__"):
        raise UnsupportedError(f"{name} cannot be watched: it has an attribute access of its own; {_ADVICE}")
    if not cls.__flags__ & _MADE_BY_CLASS or isinstance(thing, type):
        raise UnsupportedError(f"{name} cannot be watched: it is not made by a class statement; {_ADVICE}")
    if not cls.__weakrefoffset__:
        raise UnsupportedError(f"{name} cannot be watched: add '__weakref__' to its __slots__")
    if not all(isinstance(field, str) for field in fields):
        raise UnsupportedError("the fields of an object are named by strings")


_MADE_BY_CLASS: Final = 1 << 9
"""`Py_TPFLAGS_HEAPTYPE`."""
_ADVICE: Final = "keep what is to be watched in an object of a plain class"


def _is_plain(cls: type, name: str) -> bool:
    owner = next(base for base in cls.__mro__ if name in vars(base))
    return owner.__module__ in ("builtins", "typing")
