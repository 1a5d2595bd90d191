"""Tell when the program has imported asyncio: a Python that never does is left as it is.

A command may start many Pythons that have nothing to do with asyncio, and OpenTelemetry's SDK costs each
a third of a second, 30 MB, and the wait for a collector at its end.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from collections.abc import Set as AbstractSet
    from importlib.abc import Loader
    from importlib.machinery import ModuleSpec
    from types import ModuleType

# What we import ourselves and what imports asyncio meanwhile: while one of these is half imported,
# it is too early. OpenTelemetry counts without asyncio too: its user expects to see spans.
PACKAGES = frozenset({"aiotel", "asyncio", "grpc", "opentelemetry", "structlog"})


class Arrival:
    """An import finder that watches how the others' modules are executed, and leaves after the first."""

    def __init__(self, then: Callable[[], None], *, packages: AbstractSet[str] = PACKAGES) -> None:
        self._then = then
        self._packages = packages
        self._executing: list[str] = []  # in any thread; a list, as it is changed without a lock

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Find what the other finders find."""
        if name.partition(".")[0] not in self._packages:
            return None
        for finder in sys.meta_path:
            spec = None if finder is self else finder.find_spec(name, path, target)
            if spec is not None:
                if spec.loader is not None:
                    spec.loader = _Watched(spec.loader, self)  # type: ignore[assignment]  # as good as one
                return spec
        return None

    def begin(self, name: str) -> None:
        """Know that a module is about to be executed."""
        self._executing.append(name)

    def end(self, name: str, *, executed: bool) -> None:
        """Leave and tell, if that was the last of them and all went well."""
        self._executing.remove(name)
        if self._executing or not executed:
            return
        try:
            sys.meta_path.remove(self)
        except ValueError:  # another thread was faster
            return
        self._then()


class _Watched:
    """A loader that is replaced by the real one before anything in the module can see it."""

    def __init__(self, loader: Loader, arrival: Arrival) -> None:
        self._loader = loader
        self._arrival = arrival

    def __getattr__(self, name: str) -> object:
        return getattr(self._loader, name)

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        module.__loader__ = self._loader
        if module.__spec__ is not None:
            module.__spec__.loader = self._loader
        self._arrival.begin(module.__name__)
        executed = False
        try:
            self._loader.exec_module(module)
            executed = True
        finally:
            self._arrival.end(module.__name__, executed=executed)
