"""Make a running asyncio program explain itself, in OpenTelemetry's terms."""

from __future__ import annotations

from importlib import import_module

# Not from typing, which takes longer to import than Python takes to start.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from ._config import Config
    from ._hooks.permits import blocking_allowed
    from ._hooks.watched import watch
    from ._process import detached, instrument, run, uninstrument
    from ._session import Session
    from ._snapshot import Snapshot
    from .errors import AiotelError, AttachError, ConfigError, UnsupportedError

__version__ = "0.1.0"

__all__ = [
    "AiotelError",
    "AttachError",
    "Config",
    "ConfigError",
    "Session",
    "Snapshot",
    "UnsupportedError",
    "blocking_allowed",
    "detached",
    "instrument",
    "run",
    "uninstrument",
    "watch",
]

# Imported when first asked for: `import aiotel` alone must not load OpenTelemetry's SDK.
_HOMES = {
    **dict.fromkeys(("AiotelError", "AttachError", "ConfigError", "UnsupportedError"), "errors"),
    **dict.fromkeys(("detached", "instrument", "run", "uninstrument"), "_process"),
    "Config": "_config",
    "Session": "_session",
    "Snapshot": "_snapshot",
    "blocking_allowed": "_hooks.permits",
    "watch": "_hooks.watched",
}


def __getattr__(name: str) -> object:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(import_module(f".{home}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
