"""Write the figures: a table for a terminal, one for a README, and JSON for machines."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Final

from .results import EXACT_BUDGET_US, LIVE_BUDGET, NOISE, Figures, Row
from .samples import Sample
from .workload import GATHERS, WIDTH

__all__ = ["as_json", "as_markdown", "as_text"]

_COLUMNS: Final = (
    "",
    "µs a task",
    "over plain",
    "± quartiles",
    "by the factory's",
    "budget",
    "full collections",
    "process over plain",
    "bytes a live task",
)

_NOTES: Final = f"""\
A task is `create_task` and await of a coroutine that does nothing, in gathers of {WIDTH}, {GATHERS} of them
in a main task. Times are CPU time of the loop's thread, in µs; medians over the rounds. Full garbage
collections, which take as long as a program's heap is large, are kept apart (here the heap is that of
OpenTelemetry's SDK). "Process" is CPU time of the whole process, those included, and aiotel's own thread,
batches, encoding and sending. Where spans are exported, they go through the SDK's batch processor and
OTLP/HTTP exporter to a receiver in another process. Every task, duration and span was accounted for before
its time was taken.\
"""


def as_text(machine: Mapping[str, str], figures: Sequence[Figures]) -> str:
    """For a terminal."""
    parts = [_header(machine, figures)]
    for each in figures:
        widths = [max(map(len, column)) for column in zip(*_table(each), strict=True)]
        lines = [_aligned(cells, widths) for cells in _table(each)]
        parts.append("\n".join([each.loop, *lines, *_remarks(each)]))
    return "\n\n".join([*parts, _NOTES.replace("`", "")])


def as_markdown(machine: Mapping[str, str], figures: Sequence[Figures]) -> str:
    """For the README."""
    parts = [_header(machine, figures)]
    for each in figures:
        head, *rows = _table(each)
        rule = "|".join(["---", *["---:"] * (len(head) - 1)])
        head = (each.loop, *head[1:])
        lines = [f"| {' | '.join(head)} |", f"|{rule}|", *[f"| {' | '.join(row)} |" for row in rows]]
        parts.append("\n".join([*lines, "", *_remarks(each)]))
    return "\n\n".join([*parts, _NOTES])


def as_json(machine: Mapping[str, str], figures: Sequence[Figures], samples: Iterable[Sample]) -> str:
    """Everything, down to each sample."""
    return json.dumps(
        {
            "machine": machine,
            "noise": NOISE,
            "figures": [asdict(each) for each in figures],
            "samples": [asdict(sample) for sample in samples],
        },
        indent=1,
    )


def _header(machine: Mapping[str, str], figures: Sequence[Figures]) -> str:
    where = f"{machine['cpu']}, {machine['cores']} cores, {machine['system']}, {machine['python']}"
    names = ("aiotel", "OpenTelemetry", "opentelemetry-instrumentation-asyncio", "uvloop")
    versions = ", ".join(f"{name} {machine[name]}" for name in names)
    rounds = max((each.rounds for each in figures), default=0)
    return f"{machine['date']}: {where}; {versions}; {rounds} rounds, all interleaved."


def _table(figures: Figures) -> list[tuple[str, ...]]:
    return [_COLUMNS, *[_cells(row) for row in figures.rows]]


def _cells(row: Row) -> tuple[str, ...]:
    if row.faults:
        return (row.title, "failed", *[""] * (len(_COLUMNS) - 2))
    return (
        row.title,
        _number(row.thread_us),
        _number(row.over_us),
        _number(row.spread_us),
        _number(row.units, digits=1),
        f"{row.budget:g}: {row.verdict}" if row.budget is not None else "",
        _number(row.full_us),
        _number(row.process_over_us),
        _number(row.live_bytes, digits=0),
    )


def _remarks(figures: Figures) -> list[str]:
    remarks = [f"Failed: {fault}." for fault in figures.faults]
    if figures.step is not None:
        remarks.append(
            f"A step (`await asyncio.sleep(0)`) takes {figures.step.plain_us:.2f} µs, with aiotel"
            f" {figures.step.aiotel_us:.2f} ({figures.step.over_us:+.3f}; budget 0, but for noise:"
            f" {figures.step.verdict})."
        )
    if figures.exact is not None:
        remarks.append(
            f"With exact timing a step takes {figures.exact.aiotel_us:.2f} µs"
            f" ({figures.exact.over_us:+.3f}; budget {EXACT_BUDGET_US}: {figures.exact.verdict})."
        )
    if figures.live_plain_bytes is not None:
        remarks.append(
            f"A live task weighs {figures.live_plain_bytes:.0f} bytes in plain asyncio;"
            f" aiotel's budget is {LIVE_BUDGET} more."
        )
    return remarks


def _number(value: float | None, *, digits: int = 2) -> str:
    return "" if value is None else f"{value:.{digits}f}"


def _aligned(cells: Sequence[str], widths: Sequence[int]) -> str:
    first, *rest = cells
    return "  ".join(
        [first.ljust(widths[0]), *[cell.rjust(width) for cell, width in zip(rest, widths[1:], strict=True)]]
    ).rstrip()
