"""Say in a sentence what a collector answered, and how a mistake shows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from .._receiver.received import ReceivedSpan
from .._receiver.terminal import text as words
from .._receiver.tracebacks import short_path
from .._signals import names
from .relay import Answers
from .troubles import Verdict

__all__ = ["answered", "cycles", "not_seen", "seen"]


def answered(answers: Mapping[str, Answers], *, times_sign: str) -> Iterator[tuple[str, str]]:
    """What a collector made of each signal, and the style to say it in."""
    taken = [f"{answers[signal].taken} of {signal}" for signal in answers if answers[signal].taken]
    if taken:
        yield f"the collector took these requests, too: {', '.join(taken)}", ""
    for signal, of_signal in answers.items():
        problems = [
            f"{times} {times_sign} {words.neutral(problem, limit=100)}"
            for problem, times in of_signal.problems.most_common(2)
        ]
        if problems:
            yield f"the collector did not take all {signal}: {', '.join(problems)}", "yellow"


def seen(verdict: Verdict, spans: Iterable[ReceivedSpan]) -> str:
    """How telemetry tells of a mistake."""
    log = verdict.logs[0]
    told = f"seen: log {log.event_name} at {words.time_of_day(log.time_ns or log.observed_time_ns)}"
    place, line = log.attributes.get(names.CODE_FILE_PATH), log.attributes.get(names.CODE_LINE_NUMBER)
    if place and line:
        told += f", {words.neutral(short_path(str(place), here=str(Path.cwd())))}:{words.value(line)}"
    failed = [span for span in spans if span.span_id == log.span_id and span.status == "ERROR"]
    told += f", and the red span {words.neutral(failed[0].name)}" if failed else ""
    return told + (f", and {len(verdict.logs) - 1} more" if len(verdict.logs) > 1 else "")


def not_seen(verdict: Verdict) -> str:
    """What there is instead: the spans of the requests that met the mistake."""
    span, more = verdict.requests[0], len(verdict.requests) - 1
    name, outcome = span.attributes.get(names.TASK_NAME), span.attributes.get(names.TASK_OUTCOME)
    told = f"not seen: no log {verdict.trouble.event} came; "
    told += f"{words.value(name)} {words.value(outcome)} after {words.duration(span.duration_ns)}"
    return told + (f", and so did {words.count(more, 'other')}" if more else "")


def cycles(verdict: Verdict) -> Iterator[str]:
    """Who waits for whom, where that is what was seen: what it is about to do is the name of its task."""
    for log in verdict.logs[:1]:
        tasks = log.attributes.get(names.DEADLOCK_TASKS)
        if isinstance(tasks, list | tuple) and tasks:
            who = [str(task).partition(" (")[2].removesuffix(")") or str(task) for task in tasks]
            yield words.neutral(" waits for ".join([*who, who[0]]), limit=500)
