"""Show what a receiver got of the shop: a trace or two, failures, metrics, and which mistakes they show."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console
from rich.text import Text

from .. import __version__
from .._receiver import trees
from .._receiver.received import ReceivedSpan
from .._receiver.store import Contents, Counts
from .._receiver.terminal import text as words
from .._receiver.terminal.screen import Screen
from . import sentences
from .choice import bad_news, headlines, is_ours, metrics_that_matter, telling_traces
from .destination import Destination, jaeger_of
from .relay import Answers
from .troubles import TROUBLES, Verdict, judge

__all__ = ["Report", "Surroundings"]

_LOGS_SHOWN = 4
_STDERR_SHOWN = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What is no telemetry: where it went, what the collector answered, what the program wrote to stderr."""

    endpoint: str
    destination: Destination = field(default_factory=Destination)
    answers: Mapping[str, Answers] = field(default_factory=dict)
    stderr: Sequence[str] = ()


class Report:
    """Prints what was received; of the shop itself it knows nothing."""

    def __init__(
        self, contents: Contents, counts: Counts, surroundings: Surroundings, *, console: Console
    ) -> None:
        self._contents = contents
        self._counts = counts
        self._surroundings = surroundings
        self._console = console
        self._screen = Screen(console)
        self._glyphs = words.glyphs(console.encoding)
        self._traces = trees.build(contents.spans)
        self._shown = telling_traces(self._traces, contents.logs)

    def show(self) -> None:
        """Print all of it."""
        self._show_what_came()
        self._show_traces()
        self._show_failures()
        self._show_metrics()
        self._show_mistakes()
        self._show_stderr()
        self._show_where_to_look()

    def _show_what_came(self) -> None:
        self._head("Received over the wire")
        counts, services = self._counts, _services(self._contents.spans)
        parts = [
            f"{words.count(counts.spans, 'span')} in {words.count(len(self._traces), 'trace')}",
            words.count(counts.logs, "log"),
            words.count(counts.metrics, "metric point"),
        ]
        size = sum(request.size for request in self._contents.requests)
        requests = words.count(sum(counts.requests.values()), "request")
        refused = f", {counts.refused:,} refused" if counts.refused else ""
        self._say(f"{', '.join(parts)}; {requests}, {words.quantity(size, 'By')}{refused}")
        self._say(f"from {', '.join(services) or 'nobody'}, by OTLP/HTTP to {self._surroundings.endpoint}")
        for told, style in sentences.answered(self._surroundings.answers, times_sign=self._glyphs.times):
            self._say(told, style)
        self._console.print()

    def _show_traces(self) -> None:
        self._head("Each task a span")
        if not self._shown:
            self._say("no span was received", "yellow")
            self._console.print()
        for trace in self._shown:
            self._screen.show_trace(trace)

    def _show_failures(self) -> None:
        logs = bad_news(self._contents.logs)
        self._head("Each failure a log, with the trace it happened in")
        for log in logs[:_LOGS_SHOWN]:
            self._screen.show_log(log)
        if len(logs) > _LOGS_SHOWN:
            self._say(f"{self._glyphs.more} and {len(logs) - _LOGS_SHOWN} more", "dim")
        if not logs:
            self._say("no log of a failure was received", "yellow")
            self._console.print()

    def _show_metrics(self) -> None:
        self._head("Metrics that matter")
        points = metrics_that_matter(self._contents.metrics)
        self._screen.show_metrics(points)
        if not points:
            self._say("no metric was received", "yellow")
            self._console.print()

    def _show_mistakes(self) -> None:
        self._head("The four mistakes in the shop, and whether telemetry shows them")
        verdicts = [judge(trouble, self._contents) for trouble in TROUBLES]
        for verdict in verdicts:
            self._show_mistake(verdict)
        if any(verdict.is_missing for verdict in verdicts):
            self._say(f"What is not seen, aiotel {__version__} has no detector for.", "dim")
        self._console.print()

    def _show_mistake(self, verdict: Verdict) -> None:
        sign, style, told = "", "dim", "no span came of a request that meets it"
        if verdict.is_seen:
            sign, style, told = "returned", "green", sentences.seen(verdict, self._contents.spans)
        elif verdict.is_missing:
            sign, style, told = "cancelled", "yellow", sentences.not_seen(verdict)
        title = Text.assemble((f"{self._glyphs.outcomes[sign]} ", style), (verdict.trouble.title, "bold"))
        self._print(title.append(f": {verdict.trouble.built_in}"), hang=4)
        self._say(told, style, indent=4)
        for cycle in sentences.cycles(verdict):
            self._say(cycle, indent=4)

    def _show_stderr(self) -> None:
        lines = self._surroundings.stderr
        if not lines:
            return
        self._head("What the shop itself wrote to stderr")
        shown = list(headlines(lines))[:_STDERR_SHOWN]
        for line in shown:
            self._say(words.neutral(line.removeprefix(f"{Path.cwd()}{os.sep}"), limit=300), "dim")
        rest, ours = len(lines) - len(shown), sum(map(is_ours, lines))
        if rest:
            told = f", {ours} of them aiotel's own log" if ours else ""
            self._say(f"{self._glyphs.more} {words.count(rest, 'more line')}{told}", "dim")
        self._console.print()

    def _show_where_to_look(self) -> None:
        self._head("Where to look")
        destination, answers = self._surroundings.destination, self._surroundings.answers
        if not destination.urls:
            self._say("No collector listens on localhost:4318, so aiotel received it all itself.")
            self._say("Start a Jaeger, run the demo again, and find its traces at http://localhost:16686:")
            self._say("docker run --rm -p 16686:16686 -p 4318:4318 jaegertracing/jaeger:latest", indent=4)
        elif not answers.get("traces", Answers()).taken:
            self._say(f"The collector at {destination.name} took no traces.", "yellow")
        else:
            self._say(f"The traces are at {destination.name}, too. In Jaeger:")
            self._show_links(jaeger_of(destination))

    def _show_links(self, jaeger: str) -> None:
        for service in _services(self._contents.spans):
            self._say(f"{jaeger}/search?service={service}", indent=4)
        for trace in self._shown:
            self._say(f"{jaeger}/trace/{trace.trace_id}", indent=4)

    def _head(self, title: str) -> None:
        rule = self._glyphs.rule
        text = Text.assemble((f"{rule}{rule} ", "dim"), (title, "bold cyan"), " ")
        text.append(rule * (self._screen.width - text.cell_len), "dim")
        self._console.print(text, no_wrap=True, crop=False, overflow="ignore")

    def _say(self, words: str, style: str = "", *, indent: int = 0) -> None:
        self._print(Text(words, style), indent=indent)

    def _print(self, text: Text, *, indent: int = 0, hang: int = 0) -> None:
        for number, line in enumerate(text.wrap(self._console, self._screen.width - max(indent, hang))):
            line.rstrip()
            margin = " " * (hang if number and hang else indent)
            self._console.print(Text(margin).append(line), no_wrap=True, crop=False, overflow="ignore")


def _services(spans: Iterable[ReceivedSpan]) -> list[str]:
    services = dict.fromkeys(str(span.resource.get("service.name", "")) for span in spans)
    return [words.neutral(service, limit=40) for service in services]
