"""Keep our imports and the program's apart, where both have modules of the same name.

A `random.py` beside the program is the program's alone: we must not run it, and the standard library's,
which we import, must not hide it.
"""

import sys
import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from importlib.machinery import ModuleSpec, PathFinder
from threading import get_ident
from types import ModuleType
from typing import Any


@contextmanager
def importing_from(path: Sequence[str]) -> Iterator[None]:
    """Inside, what this thread imports is looked for on `path` first."""
    finder = _OnPath(path)
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)


def hidden_files(place: str | None, imported: Iterable[str]) -> dict[str, str]:
    """What `place` has of its own by the names of modules that are `imported` from elsewhere, by name."""
    if place is None:
        return {}
    names = {name.partition(".")[0] for name in imported}
    hidden = {name: origin for name in sorted(names) if (origin := _hidden_file(place, name))}
    # Or a module that the program writes and imports at once might be missed.
    sys.path_importer_cache.pop(place, None)
    return hidden


def forget(names: Iterable[str]) -> None:
    """Have the modules of these names imported anew by whoever asks for them next."""
    forgotten = frozenset(names)
    for module in [module for module in sys.modules if module.partition(".")[0] in forgotten]:
        del sys.modules[module]


class _OnPath:
    """Finds modules on a path of its own, for the thread that made it."""

    def __init__(self, path: Sequence[str]) -> None:
        self._path = path
        self._thread = get_ident()

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Find a module that is in no package."""
        if path is not None or get_ident() != self._thread:
            return None
        return PathFinder.find_spec(name, self._path)


def _hidden_file(place: str, name: str) -> str | None:
    spec = PathFinder.find_spec(name, [place])
    if spec is None:
        return None
    ours = getattr(sys.modules.get(name), "__spec__", None)
    # Without an origin it is a mere directory, and a package of that name wins over it.
    return None if spec.origin == getattr(ours, "origin", None) else spec.origin


@contextmanager
def no_warnings() -> Iterator[None]:
    """Ignore all warnings, by the list of filters that is there.

    Not by `catch_warnings`, which puts a copy there for a while: the interpreter may remember that one, and
    go by it at its end, when the module that knows better is gone.
    """
    before = list(warnings.filters)
    warnings.simplefilter("ignore")
    try:
        yield
    finally:
        warnings.filters[:] = before  # type: ignore[index]  # a list, whatever its type says
        _filters_changed()


def _filters_changed() -> None:
    """What the module does with each change: forget which warnings a place has had."""
    module: Any = warnings
    changed = getattr(module, "_filters_mutated", None) or module._filters_mutated_lock_held  # 3.15
    with getattr(warnings, "_lock", nullcontext()):
        changed()
