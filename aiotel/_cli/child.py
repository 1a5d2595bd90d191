"""Instrument a Python process that `aiotel run` has started, once its program imports asyncio.

Nothing that takes time is imported before: a command may start many Pythons. What the program registers
with `atexit` after that is called before our flush.
"""

from __future__ import annotations

import os
import sys

from . import program
from .arrival import Arrival

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

# Tells a name of ours from one that the user gave: a program that another one starts has its own.
OUR_NAME = "_AIOTEL_SERVICE_NAME"


def start() -> None:
    """Prepare this process while its Python starts; never fail."""
    _name_service()
    path = list(sys.path)
    place = program.place()
    if "asyncio" in sys.modules:  # somebody else's sitecustomize was here
        _wake(path, place)
    else:
        sys.meta_path.insert(0, Arrival(lambda: _wake(path, place)))


def _name_service() -> None:
    """Give the service the program's name, in the environment, so that its nameless workers have it too."""
    given = os.environ.get("OTEL_SERVICE_NAME")
    if given and given != os.environ.get(OUR_NAME):
        return
    if not given and "service.name=" in os.environ.get("OTEL_RESOURCE_ATTRIBUTES", ""):
        return
    name = program.name()
    if name:
        os.environ["OTEL_SERVICE_NAME"] = os.environ[OUR_NAME] = name


def _wake(path: list[str], place: str | None) -> None:
    from .separation import forget, hidden_files, importing_from, no_warnings
    from .speech import say

    before = frozenset(sys.modules)
    try:
        # A program's `-W error` is about its own code, not about the libraries that we bring.
        with importing_from(path), no_warnings():
            problem = _instrument(lambda: hidden_files(place, sys.modules.keys() - before).values())
    except (Exception, SystemExit) as error:  # noqa: BLE001 - the program runs, whatever becomes of telemetry
        problem = _first_line(error)
    if problem:
        forget(hidden_files(place, sys.modules.keys() - before))
        say(f"running without telemetry: {problem}")


def _instrument(hidden: Callable[[], Iterable[str]]) -> str | None:
    """Instrument this process, or tell why not; `hidden` are files that our imports hide from it."""
    from dataclasses import replace
    from importlib import import_module

    from .._config import Config
    from .environment import usable

    config = Config.from_env(usable(os.environ))
    if config.disabled:
        return None
    # All that is needed, by our threads too: they would import what lies beside the program.
    import_module("opentelemetry.exporter.otlp.proto.http.trace_exporter")
    from .._process import instrument

    for file in hidden():
        return f"{file} has the name of a module that telemetry needs; rename it"
    instrument(config if config.export is not None else replace(config, export=True))
    return None


def _first_line(error: BaseException) -> str:
    message = str(error).strip().partition("\n")[0]
    return f"{type(error).__name__}: {message}" if message else type(error).__name__
