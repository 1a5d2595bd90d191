"""Instrument a Python process that `aiotel run` has started, before its program begins.

It happens while Python starts, so what the program registers with `atexit` runs before our flush.
"""

import os
import sys
import warnings
from collections.abc import Set as AbstractSet
from dataclasses import replace
from importlib.machinery import PathFinder

from . import program
from .speech import say

# Tells a name of ours from one that the user gave: a program that another one starts has its own.
OUR_NAME = "_AIOTEL_SERVICE_NAME"


def start(*, loaded: AbstractSet[str]) -> None:
    """Instrument this process; `loaded` names the modules that were there before aiotel's own."""
    if program.is_resource_tracker():
        return
    try:
        _instrument()
    except (Exception, SystemExit) as error:  # noqa: BLE001 - the program runs, whatever becomes of telemetry
        say(f"running without telemetry: {_first_line(error)}")
    finally:
        _give_back_names(loaded)


def _instrument() -> None:
    # A program's `-W error` is about its own code, not about the libraries that we bring.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from .. import Config, instrument

        config = Config.from_env()
        if config.disabled:
            return
        _name_service()
        instrument(config if config.export is not None else replace(config, export=True))


def _first_line(error: BaseException) -> str:
    message = str(error).strip().partition("\n")[0]
    return f"{type(error).__name__}: {message}" if message else type(error).__name__


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


def _give_back_names(loaded: AbstractSet[str]) -> None:
    """Forget the modules that the program has modules of its own for.

    Its place goes on the path after us. With our imports in `sys.modules`, a program that has a
    `random.py` beside it would be given the standard library's.
    """
    place = program.place()
    if place is None:
        return
    for name in {name.partition(".")[0] for name in sys.modules.keys() - loaded}:
        if _is_in(place, name):
            for module in [module for module in sys.modules if module.partition(".")[0] == name]:
                del sys.modules[module]
    # Or a module that the program writes and imports at once might be missed.
    sys.path_importer_cache.pop(place, None)


def _is_in(place: str, name: str) -> bool:
    spec = PathFinder.find_spec(name, [place])
    if spec is None or spec.origin is None:  # a mere directory: a package of that name wins over it
        return False
    ours = getattr(sys.modules.get(name), "__spec__", None)
    return spec.origin != getattr(ours, "origin", None)
