"""Make figures of samples: medians of what each round says, against plain asyncio and the empty factory.

A difference is taken within a round, where both were measured within a second of each other, and the median
over the rounds is told: a machine that is busy for a while moves both, or moves one round.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal

from .candidates import CANDIDATES, FACTORY, PLAIN, Candidate
from .samples import Measure, Sample

__all__ = ["LIVE_BUDGET", "NOISE", "Figures", "Row", "Step", "figures_of"]

NOISE: Final = 0.1
"""What a ratio may be over its budget, as part of it, before `--check` calls it too much."""
LIVE_BUDGET: Final = 1024
STEP_NOISE: Final = 0.05
"""A step is to cost nothing: so much of a plain step is what two measurements of the same differ by."""
EXACT_BUDGET_US: Final = 1.1
"""What a step may cost with exact timing, scheduled time included."""

Verdict = Literal["met", "over", ""]


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One candidate on one loop, times in µs for one task. Where there are faults there are no figures."""

    name: str
    title: str
    budget: float | None
    thread_us: float | None = None
    """The loop's thread."""
    over_us: float | None = None
    """What that is more than plain asyncio's."""
    spread_us: float | None = None
    """Half the distance between the quartiles of that."""
    units: float | None = None
    """How many times what the empty factory is over plain asyncio."""
    full_us: float | None = None
    """Full garbage collections on the loop's thread besides, the mean of all rounds: few rounds have many."""
    process_us: float | None = None
    """The whole process: aiotel's pump, the batch processor, encoding and sending, where they run."""
    process_over_us: float | None = None
    live_bytes: float | None = None
    """What one live task weighs over plain asyncio's."""
    verdict: Verdict = ""
    """Whether `units` is within the budget."""
    tasks: int = 0
    """In how many tasks; each was accounted for."""
    faults: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What one step of a task costs, in µs, with plain asyncio and with aiotel."""

    plain_us: float
    aiotel_us: float
    over_us: float
    verdict: Verdict
    """Whether that is within the budget; where that is nothing, whether the two are alike but for noise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """All of one loop."""

    loop: str
    rounds: int
    rows: Sequence[Row]
    step: Step | None
    exact: Step | None = None
    """The same with exact timing."""
    live_plain_bytes: float | None = None
    """What one live task weighs without any instrument."""

    @property
    def faults(self) -> list[str]:
        """Of all candidates."""
        return [f"{row.title}: {fault}" for row in self.rows for fault in row.faults]

    @property
    def over_budget(self) -> list[str]:
        """What is over its budget by more than noise."""
        return [
            f"{row.title}: {row.units:.2f} times the empty factory, budget {row.budget:g}"
            for row in self.rows
            if row.units is not None and row.budget is not None and row.units > row.budget * (1 + NOISE)
        ]


def figures_of(samples: Iterable[Sample], loop: str) -> Figures:
    """What the samples of this loop say."""
    measured = _Measured([sample for sample in samples if sample.loop == loop])
    rows = [_row(measured, candidate) for candidate in CANDIDATES if measured.tasks(candidate.name)]
    return Figures(
        loop=loop,
        rounds=max((len(measured.of("task", row.name)) for row in rows), default=0),
        rows=rows,
        step=_step(measured, "aiotel-recorded"),
        exact=_step(measured, "aiotel-exact", budget_us=EXACT_BUDGET_US),
        live_plain_bytes=measured.median("live", PLAIN, "bytes"),
    )


class _Measured:
    """The samples of one loop, by what they are of."""

    def __init__(self, samples: Sequence[Sample]) -> None:
        self._samples = samples

    def of(self, measure: Measure, candidate: str) -> dict[int, Sample]:
        """By round."""
        return {
            sample.round: sample
            for sample in self._samples
            if sample.measure == measure and sample.candidate == candidate
        }

    def values(self, measure: Measure, candidate: str, field: str) -> dict[int, float]:
        """By round, where there is one."""
        found = {number: getattr(sample, field) for number, sample in self.of(measure, candidate).items()}
        return {number: value for number, value in found.items() if value is not None}

    def median(self, measure: Measure, candidate: str, field: str) -> float | None:
        """Over all rounds."""
        return _median(self.values(measure, candidate, field).values())

    def over_plain(self, measure: Measure, candidate: str, field: str) -> list[float]:
        """What it is more than plain asyncio's, of each round that has both."""
        plain = self.values(measure, PLAIN, field)
        values = self.values(measure, candidate, field)
        return [value - plain[number] for number, value in values.items() if number in plain]

    def tasks(self, candidate: str) -> int:
        """How many tasks were timed."""
        return sum(sample.tasks for sample in self.of("task", candidate).values())

    def faults(self, candidate: str) -> tuple[str, ...]:
        """All that was wrong, each thing once."""
        mine = [sample for sample in self._samples if sample.candidate == candidate]
        return tuple(dict.fromkeys(fault for sample in mine for fault in sample.faults))


def _row(measured: _Measured, candidate: Candidate) -> Row:
    name = candidate.name
    row = Row(name=name, title=candidate.title, budget=candidate.budget)
    faults = measured.faults(name)
    if faults:
        return replace(row, faults=faults)
    row = replace(
        row,
        thread_us=measured.median("task", name, "thread_us"),
        full_us=_mean(measured.values("task", name, "full_us").values()),
        process_us=measured.median("task", name, "process_us"),
        tasks=measured.tasks(name),
    )
    if name == PLAIN:
        return row
    over_us = measured.over_plain("task", name, "thread_us")
    units = _quotient(_median(over_us), _median(measured.over_plain("task", FACTORY, "thread_us")))
    return replace(
        row,
        over_us=_median(over_us),
        spread_us=_spread(over_us),
        units=units,
        process_over_us=_median(measured.over_plain("task", name, "process_us")),
        live_bytes=_median(measured.over_plain("live", name, "bytes")),
        verdict=_verdict(units, candidate.budget),
    )


def _step(measured: _Measured, name: str, *, budget_us: float | None = None) -> Step | None:
    plain_us = measured.median("step", PLAIN, "thread_us")
    aiotel_us = measured.median("step", name, "thread_us")
    over_us = _median(measured.over_plain("step", name, "thread_us"))
    if plain_us is None or aiotel_us is None or over_us is None:
        return None
    verdict = _verdict(over_us, plain_us * STEP_NOISE if budget_us is None else budget_us)
    return Step(plain_us=plain_us, aiotel_us=aiotel_us, over_us=over_us, verdict=verdict)


def _verdict(value: float | None, budget: float | None) -> Verdict:
    if value is None or budget is None:
        return ""
    return "met" if value <= budget else "over"


def _median(values: Iterable[float]) -> float | None:
    values = list(values)
    return statistics.median(values) if values else None


def _mean(values: Iterable[float]) -> float | None:
    values = list(values)
    return statistics.fmean(values) if values else None


def _spread(values: Sequence[float]) -> float | None:
    if len(values) < 4:
        return None
    first, _, third = statistics.quantiles(values, n=4)
    return (third - first) / 2


def _quotient(value: float | None, unit: float | None) -> float | None:
    return None if value is None or unit is None or unit <= 0 else value / unit
