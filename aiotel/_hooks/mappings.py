"""Stand in front of the keys of one dict: by a dict of a class that tells of what is read and written."""

from __future__ import annotations

import sys
from typing import Any, Final

from .cells import MISSING, Cell
from .fields import Fields

__all__ = ["WatchedDict"]

_frame: Final = sys._getframe
_get: Final = dict.get


class WatchedDict(dict[Any, Any]):
    """A dict that is one in all it does; it is pickled and copied as a plain one."""

    __slots__ = ("__weakref__", "_fields")
    _fields: Fields

    def __getitem__(self, key: Any) -> Any:
        value = dict.__getitem__(self, key)
        self._read(key, value)
        return value

    def get(self, key: Any, default: Any = None) -> Any:
        value = _get(self, key, default)
        self._read(key, value)
        return value

    def __contains__(self, key: Any) -> bool:
        found = dict.__contains__(self, key)
        self._read(key, MISSING)
        return found

    def __setitem__(self, key: Any, value: Any) -> None:
        cell = self._cell(key)
        old = MISSING if cell is None else _get(self, key, MISSING)
        dict.__setitem__(self, key, value)
        self._wrote(cell, old, value)

    def __delitem__(self, key: Any) -> None:
        dict.__delitem__(self, key)
        self._wrote(self._cell(key), MISSING, MISSING)

    def pop(self, key: Any, *default: Any) -> Any:
        found = dict.__contains__(self, key)
        value = dict.pop(self, key, *default)
        if found:
            self._wrote(self._cell(key), MISSING, MISSING)
        return value

    def popitem(self) -> tuple[Any, Any]:
        item = dict.popitem(self)
        self._wrote(self._cell(item[0]), MISSING, MISSING)
        return item

    def setdefault(self, key: Any, default: Any = None) -> Any:
        value = dict.setdefault(self, key, default)
        self._blur()
        return value

    def clear(self) -> None:
        dict.clear(self)
        self._blur()

    def update(self, *others: Any, **more: Any) -> None:
        dict.update(self, *others, **more)
        self._blur()

    def __ior__(self, other: Any) -> Any:  # type: ignore[misc]  # as a dict's
        dict.__ior__(self, other)
        self._blur()
        return self

    def __iter__(self) -> Any:
        self._blur()
        return dict.__iter__(self)

    def items(self) -> Any:
        self._blur()
        return dict.items(self)

    def values(self) -> Any:
        self._blur()
        return dict.values(self)

    def copy(self) -> dict[Any, Any]:
        self._blur()
        return dict.copy(self)

    def __copy__(self) -> dict[Any, Any]:
        return dict.copy(self)

    def __reduce_ex__(self, protocol: Any) -> Any:
        return dict, (dict.copy(self),)

    def _cell(self, key: Any) -> Cell | None:
        cells = self._fields.cells_of(self)
        return None if cells is None or self._fields.races is None else cells.get(key)

    def _read(self, key: Any, value: Any) -> None:
        cell, races = self._cell(key), self._fields.races
        if cell is not None and races is not None:
            races.read(cell, _frame(2), value)

    def _wrote(self, cell: Cell | None, old: Any, new: Any) -> None:
        races = self._fields.races
        if cell is not None and races is not None:
            races.wrote(cell, _frame(2), old, new)

    def _blur(self) -> None:
        """All of it was seen, or written, by somebody: nothing is told of what it was before."""
        for cell in (self._fields.cells_of(self) or {}).values():
            cell.seen, cell.write = None, None
