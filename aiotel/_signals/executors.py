"""Show how it stands with the pools of threads, as OpenTelemetry's instruments ask for it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial

from opentelemetry.metrics import Observation

from . import names
from .instruments import Observe

__all__ = ["levels_of"]

Levels = Mapping[str, Mapping[str, float]]
"""By the type of executor, then by the name of the metric."""


def levels_of(instruments: Iterable[str], levels: Callable[[], Levels]) -> dict[str, Observe]:
    """What each of these instruments shows, out of what is read at that moment."""
    return {name: partial(_observations, levels, name) for name in instruments}


def _observations(levels: Callable[[], Levels], name: str) -> Iterable[Observation]:
    for kind, figures in levels().items():
        yield Observation(figures.get(name, 0), {names.EXECUTOR_TYPE: kind})
