"""Be told when an attribute of a class's instances is set, without a frame in anybody's traceback.

A descriptor that can set and not get: whoever reads the attribute finds the instance's own, as ever, at the
speed of C. What an instance holds is where it was, so nothing is to be put back in instances.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from .._faults import faults

__all__ = ["LookedUp", "Setter", "place"]

Changed = Callable[[Any, Any, Any], None]
_MISSING: Final = object()


class Setter:
    """Sets the attribute, and then tells of it: the instance, what was there (None at first), what is now."""

    def __init__(self, name: str, changed: Changed) -> None:
        self._name = name
        self._changed = changed
        self.closed = False

    def __set__(self, instance: Any, value: Any) -> None:
        values = instance.__dict__
        before = values.get(self._name)
        values[self._name] = value
        if self.closed:
            return
        try:
            self._changed(instance, before, value)
        except Exception as error:  # noqa: BLE001  # ours, not the program's
            faults.add(error)

    def __delete__(self, instance: Any) -> None:
        try:
            del instance.__dict__[self._name]
        except KeyError:
            raise AttributeError(self._name) from None


class LookedUp:
    """Tells when a method is looked up, and gives the method found: its call has no frame of ours."""

    def __init__(self, found: Any, seen: Callable[[Any], None]) -> None:
        self._found = found
        self._seen = seen
        self.closed = False

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        if instance is not None and not self.closed:
            try:
                self._seen(instance)
            except Exception as error:  # noqa: BLE001  # ours, not the program's
                faults.add(error)
        return self._found.__get__(instance, owner)


def place(owner: type, name: str, ours: Setter | LookedUp) -> Callable[[], None]:
    """Put it on the class; gives back what restores what was found, unless ours was wrapped meanwhile."""
    found = vars(owner).get(name, _MISSING)
    setattr(owner, name, ours)

    def undo() -> None:
        ours.closed = True
        if vars(owner).get(name) is not ours:
            return
        if found is _MISSING:
            delattr(owner, name)
        else:
            setattr(owner, name, found)

    return undo
