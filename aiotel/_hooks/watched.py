"""Watch fields of the program's own objects, where it asks for that, for updates that are lost."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from .._mailbox import Mailbox
from .._repeats import Repeats
from .cells import Races
from .fields import Fields, class_of, require_watchable, set_class
from .loops import Detach
from .mappings import WatchedDict

__all__ = ["Watches", "watch"]

T = TypeVar("T")
CLASSES = 1024
"""So many classes are made; then a class that is met is refused no more, but its objects are not watched."""


def watch(thing: T, *fields: Any) -> T:
    """Have lost updates of these fields told: written by one task, and undone by another that read before.

    Gives back the object; call it after `instrument()`. A plain dict cannot be watched itself: for one, whose
    `fields` are keys, a new dict with the same contents is given back, without a session as well. Otherwise
    nothing happens without one. Raises `UnsupportedError` for an object that cannot be watched.

    Example:
        >>> import aiotel
        >>> class Account:
        ...     balance = 100
        >>> account = aiotel.watch(Account(), "balance")
    """
    if isinstance(thing, dict) and type(thing) in (dict, WatchedDict):
        return _copy(thing) if _current is None else _current.watch_dict(thing, fields)  # type: ignore[return-value]  # a dict
    if _current is not None:
        _current.watch(thing, fields)
    return thing


class Watches:
    """The objects that one session watches."""

    def __init__(
        self,
        mailbox: Mailbox[Any],
        repeats: Repeats[Any],
        wall_ns: Callable[[int], int],
        *,
        only: Any = None,
    ) -> None:
        self._fields = Fields(Races(mailbox, repeats, wall_ns, only=only))
        self._classes: dict[tuple[type, tuple[str, ...]], type] = {}
        self._originals: dict[type, tuple[type, tuple[str, ...]]] = {}

    def attach(self) -> Detach:
        """Watch what is asked for from now on; gives back what puts all objects back as they were."""
        global _current  # noqa: PLW0603  # of the one session
        _current = self
        return self._detach

    def watch(self, thing: Any, fields: tuple[Any, ...]) -> None:
        """Change the class of the object, which is looked at from now on."""
        cls, before = self._originals.get(type(thing), (type(thing), ()))
        if cls is type(thing):
            require_watchable(thing, fields)
        names = tuple(sorted({*before, *fields}))
        made = self._classes.get((cls, names))
        if made is None:
            if len(self._classes) >= CLASSES:
                return
            made = self._classes[cls, names] = class_of(self._fields, cls, names)
            self._originals[made] = cls, names
        set_class(thing, made)
        self._fields.add(thing, f"{cls.__module__}.{cls.__qualname__}", fields)

    def watch_dict(self, mapping: Any, keys: tuple[Any, ...]) -> WatchedDict:
        """A dict with the same contents whose keys are looked at from now on."""
        watched = mapping
        if type(mapping) is not WatchedDict or mapping._fields is not self._fields:
            watched = WatchedDict(mapping)
            watched._fields = self._fields
        self._fields.add(watched, "builtins.dict", keys)
        return watched  # type: ignore[no-any-return]  # it is one

    def _detach(self) -> None:
        global _current  # noqa: PLW0603  # of the one session
        if _current is self:
            _current = None
        for thing in self._fields.end():
            original = self._originals.get(type(thing))
            if original is not None:
                set_class(thing, original[0])


def _copy(mapping: dict[Any, Any]) -> dict[Any, Any]:
    """As with a session: a program is not to see by what it gets whether it is watched."""
    return dict(mapping) if type(mapping) is dict else mapping


_current: Watches | None = None
