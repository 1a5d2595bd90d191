"""Measure what aiotel costs, and say it: `python -m tests.bench`, or `make bench`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from . import machine, runs, tables
from .candidates import CANDIDATES, FACTORY, PLAIN
from .progress import Progress
from .results import NOISE, Figures, figures_of
from .samples import Sample

__all__ = ["main", "report"]

ROUNDS: Final = 9
QUICK_ROUNDS: Final = 3
VISIT_MS: Final = 200
QUICK_VISIT_MS: Final = 15


def main(arguments: Sequence[str] | None = None) -> int:
    """Run, print and give the exit status."""
    parser = _parser()
    options = parser.parse_args(arguments)
    loops = _loops(options.loop)
    if not loops:
        parser.error("uvloop is not installed: pip install 'aiotel[bench]'")
    plans = runs.plans(
        loops=loops,
        candidates=_candidates(options.only),
        rounds=options.rounds or (QUICK_ROUNDS if options.quick else ROUNDS),
        visit_ms=QUICK_VISIT_MS if options.quick else VISIT_MS,
    )
    progress = Progress(plans, sys.stderr)
    samples: list[Sample] = []
    for plan in plans:
        samples += runs.carry_out(plan, progress.tell)
    progress.end()
    return report(samples, loops, markdown=options.markdown, json_file=options.json, check=options.check)


def report(
    samples: Sequence[Sample],
    loops: Sequence[str],
    *,
    markdown: bool = False,
    json_file: Path | None = None,
    check: bool = False,
) -> int:
    """Print what the samples say, write it into the file, and give the exit status."""
    described = machine.describe()
    figures = [figures_of(samples, loop) for loop in loops]
    write = tables.as_markdown if markdown else tables.as_text
    print(write(described, figures))
    if json_file is not None:
        json_file.write_text(tables.as_json(described, figures, samples) + "\n")
    return _status(figures, check=check)


def _status(figures: Sequence[Figures], *, check: bool) -> int:
    wrong = [f"{each.loop}: {fault}" for each in figures for fault in each.faults]
    if check:
        wrong += [f"{each.loop}: {over}" for each in figures for over in each.over_budget]
    for each in wrong:
        print(each, file=sys.stderr)
    return 1 if wrong else 0


def _loops(asked: str) -> tuple[str, ...]:
    loops = ("asyncio", "uvloop") if asked == "all" else (asked,)
    return tuple(loop for loop in loops if loop != "uvloop" or find_spec("uvloop") is not None)


def _candidates(only: Sequence[str] | None) -> tuple[str, ...]:
    """Those asked for that can be had; the two that all others are compared with always are among them."""
    asked = {PLAIN, FACTORY, *(only or (each.name for each in CANDIDATES))}
    missing = [each.title for each in CANDIDATES if each.name in asked and not each.installed]
    for title in missing:
        print(f"left out: {title} (pip install 'aiotel[bench]')", file=sys.stderr)
    return tuple(each.name for each in CANDIDATES if each.name in asked and each.installed)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a few short rounds: a look, not a result")
    parser.add_argument("--rounds", type=_positive, metavar="N", help=f"how many (default {ROUNDS})")
    parser.add_argument("--loop", choices=["asyncio", "uvloop", "all"], default="all")
    parser.add_argument(
        "--only",
        action="append",
        metavar="NAME",
        choices=[each.name for each in CANDIDATES],
        help="this candidate and the two that it is compared with; may be given again. One of: %(choices)s",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything, each sample too")
    parser.add_argument("--markdown", action="store_true", help="print the README's table")
    parser.add_argument(
        "--check",
        action="store_true",
        help=f"fail where a ratio is over its budget by more than {NOISE:.0%}%, which may be noise",
    )
    return parser


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be 1 or more")
    return number


if __name__ == "__main__":
    sys.exit(main())
