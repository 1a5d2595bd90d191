"""Who is measured, in the order of the table."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Final

from .instruments import Aiotel, Contrib, Factory, Instrument
from .sink import Sink
from .spans import Counted, Exported, Unsampled

__all__ = ["CANDIDATES", "FACTORY", "PLAIN", "Candidate", "named"]

CONTRIB: Final = "opentelemetry-instrumentation-asyncio"


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """One way to run the program."""

    name: str
    title: str
    make: Callable[[Callable[[], Sink]], Instrument]
    """Makes the instrument; the argument gives the receiver, started when first asked for."""
    budget: float | None = None
    """How many times the cost of the empty factory it may cost on the loop's thread."""
    exports: bool = False
    """Spans leave the process: what counts is the CPU time of the whole process, exporting included."""
    steps: bool = False
    """Steps are measured, too."""
    needs: str | None = None
    """A module that has to be there."""

    @property
    def installed(self) -> bool:
        """Whether what it needs is there."""
        return self.needs is None or _found(self.needs)


def _found(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # a parent package is missing
        return False


PLAIN: Final = "plain"
FACTORY: Final = "factory"

CANDIDATES: Final = (
    Candidate(name=PLAIN, title="plain asyncio", make=lambda sink: Instrument(), steps=True),
    Candidate(
        name=FACTORY, title="empty task factory with done callback (the unit)", make=lambda sink: Factory()
    ),
    Candidate(
        name="aiotel-metrics", title="aiotel, metrics only", make=lambda sink: Aiotel(None), budget=2.5
    ),
    Candidate(
        name="aiotel-unsampled", title="aiotel, unsampled", make=lambda sink: Aiotel(Unsampled), budget=2.5
    ),
    Candidate(
        name="aiotel-unsampled-under-span",
        title="aiotel, unsampled, under a user's span",
        make=lambda sink: Aiotel(Unsampled, under_user_span=True),
        budget=2.5,
    ),
    Candidate(
        name="aiotel-recorded",
        title="aiotel, recorded, in a tree of tasks",
        make=lambda sink: Aiotel(Counted),
        budget=4.0,
        steps=True,
    ),
    Candidate(
        name="aiotel-exact",
        title="aiotel, recorded, with exact timing",
        make=lambda sink: Aiotel(Counted, exact_timing=True),
        steps=True,
    ),
    Candidate(
        name="aiotel-under-span",
        title="aiotel, recorded, under a user's span",
        make=lambda sink: Aiotel(Counted, under_user_span=True),
        budget=4.0,
    ),
    Candidate(
        name="aiotel-apart",
        title="aiotel, recorded, each in a linked trace of its own",
        make=lambda sink: Aiotel(Counted, trace_max_tasks=1),
    ),
    Candidate(
        name="aiotel-exported",
        title="aiotel, recorded and exported",
        make=lambda sink: Aiotel(lambda: Exported(sink())),
        exports=True,
    ),
    Candidate(
        name="contrib-metrics",
        title=f"{CONTRIB}, metrics only",
        make=lambda sink: Contrib(None),
        needs="opentelemetry.instrumentation.asyncio",
    ),
    Candidate(
        name="contrib-spans",
        title=f"{CONTRIB}, with spans",
        make=lambda sink: Contrib(Counted),
        needs="opentelemetry.instrumentation.asyncio",
    ),
    Candidate(
        name="contrib-exported",
        title=f"{CONTRIB}, with spans, exported",
        make=lambda sink: Contrib(lambda: Exported(sink())),
        exports=True,
        needs="opentelemetry.instrumentation.asyncio",
    ),
)


def named(name: str) -> Candidate:
    """The candidate of this name."""
    return next(each for each in CANDIDATES if each.name == name)
