"""How many findings of each kind are not over, for the instrument that shows it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from opentelemetry.metrics import Observation

from . import names
from .instruments import Observe

__all__ = ["findings_observed"]


def findings_observed(active: Callable[[], Mapping[str, int]]) -> dict[str, Observe]:
    """What is observed, by the name of the instrument."""

    def observe() -> Iterable[Observation]:
        for kind, count in active().items():
            yield Observation(count, {names.FINDING_KIND: kind})

    return {names.FINDING_ACTIVE: observe}
