"""Show a trace as a tree: what ran under what, when, for how long, and how it ended."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from rich.text import Text

from ..._signals import names
from . import text as words
from .folding import Line, fold, is_error

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ..received import ReceivedSpan
    from ..trees import Trace, TraceNode
    from .text import Glyphs

SERVICE_NAME = "service.name"

_DURATION_WIDTH = 12
_NARROW = 60  # too few columns for a time line
_EVENTS_SHOWN = 5
_LINKS_SHOWN = 3
_OUTCOME_STYLES = {"returned": "green", "raised": "bold red", "cancelled": "yellow", "pending": "magenta"}
_DEFAULT_TASK_NAME = re.compile(r"Task-\d+")


def error_of(span: ReceivedSpan) -> str:
    """What went wrong in a span, in one line; empty where nothing did."""
    for event in span.events:
        if event.name == names.EXCEPTION:
            return exception(event.attributes)
    if span.status != "ERROR":
        return ""
    return _exception(str(span.attributes.get(names.ERROR_TYPE) or ""), span.status_message)


def exception(attributes: Mapping[str, object]) -> str:
    """An exception in one line, from the attributes that OpenTelemetry has for it; empty without them."""
    kind, message = attributes.get(names.EXCEPTION_TYPE), attributes.get(names.EXCEPTION_MESSAGE)
    return _exception(str(kind or ""), str(message or ""))


def _exception(kind: str, message: str) -> str:
    if not kind or message.startswith((f"{kind}:", f"{kind.rpartition('.')[2]}:")):
        return words.neutral(message)
    return words.neutral(f"{kind}: {message}" if message else kind)


class Drawing:
    """Draws one trace on lines of at most `width` columns.

    `known` are names of spans (by span id) that were shown before: their orphans say under whom they belong.
    """

    def __init__(
        self,
        trace: Trace,
        *,
        width: int,
        glyphs: Glyphs = words.UNICODE,
        known: Mapping[str, str] | None = None,
    ) -> None:
        self._trace = trace
        self._width = width
        self._glyphs = glyphs
        self._known = known or {}
        self._bar_width = 0 if width < _NARROW else max(16, min(60, width // 2 - 20))
        self._name_width = width - _DURATION_WIDTH - 1 - self._bar_width
        self._start_ns = trace.start_ns
        self._total_ns = max(1, trace.end_ns - trace.start_ns)
        self._service = _service(trace.roots[0].span)

    def lines(self, *, is_addition: bool = False) -> Iterator[Text]:
        """A headline, then the spans."""
        yield self._headline(is_addition)
        max_depth = max(3, min(40, self._name_width // 2 // len(self._glyphs.down)))
        for line in fold(self._trace, max_depth=max_depth):
            yield self._main(line)
            if len(line.nodes) == 1 and not line.is_rest:
                yield from self._details(line)

    def _headline(self, is_addition: bool) -> Text:  # noqa: FBT001  # private, one caller
        spans = self._trace.spans
        failed = sum(is_error(node) for _, node in self._trace.walk())
        text = Text.assemble("trace ", (self._trace.trace_id, "bold"))
        parts = [
            (" continued" if is_addition else "", "italic"),
            (f"  {words.neutral(self._service, limit=30)}" if self._service else "", "cyan"),
            (f"  {words.count(len(spans), 'more span' if is_addition else 'span')}", ""),
            (f", {words.count(failed, 'error')}" if failed else "", "bold red"),
            (f", {words.duration(self._total_ns)}", ""),
            (f" at {words.time_of_day(self._start_ns)}" if self._start_ns else "", "dim"),
        ]
        for part, style in parts:  # the later, the less it is missed
            if text.cell_len + len(part) <= self._width:
                text.append(part, style)
        self._cut(text, self._width)
        return text.append(f" {self._glyphs.rule * (self._width - text.cell_len - 1)}".rstrip(), "dim")

    def _main(self, line: Line) -> Text:
        text = self._name(line)
        self._cut(text, self._name_width)
        text.pad_right(self._name_width - text.cell_len)
        total = sum(node.span.duration_ns for node in line.nodes)
        shown = (self._glyphs.sum if len(line.nodes) > 1 else "") + words.duration(total)
        text.append(shown.rjust(_DURATION_WIDTH))
        if self._bar_width:
            text.append(" ").append(self._bar(line))
        text.rstrip()
        return text

    def _name(self, line: Line) -> Text:
        span = line.nodes[0].span
        text = Text().append(self._guides(line.lasts), "dim")
        if line.is_rest:
            text.append(f"{self._glyphs.more} {words.count(len(line.nodes), 'other')}", "italic")
            return text.append(self._hidden(line), "dim")
        outcome = _outcome(line.nodes[0])
        text.append(
            self._glyphs.outcomes.get(outcome, self._glyphs.outcomes[""]), _OUTCOME_STYLES.get(outcome, "dim")
        )
        times = f" {self._glyphs.times}{len(line.nodes):,}" if len(line.nodes) > 1 else ""
        name = Text(" " + (words.neutral(span.name, limit=200) or "(no name)"))
        self._cut(name, max(12, self._name_width - text.cell_len - len(times)))
        name.stylize("bold red" if outcome == "raised" else "" if line.lasts else "bold")
        text.append(name).append(times, "bold")
        text.append(self._remarks(line, outcome), "dim")
        return text.append(self._hidden(line), "dim")

    def _remarks(self, line: Line, outcome: str) -> str:
        node, span = line.nodes[0], line.nodes[0].span
        if len(line.nodes) > 1:
            durations = sorted(each.span.duration_ns for each in line.nodes)
            return f"  {words.duration(durations[0])} to {words.duration(durations[-1])}{self._lost(node)}"
        remarks = ["the slowest" if line.is_slowest else ""]
        remarks.append(outcome if outcome in {"cancelled", "pending"} else "")
        remarks.append(span.kind.lower() if span.kind not in {"INTERNAL", "UNSPECIFIED"} else "")
        remarks.append(_own_task_name(span))
        service = _service(span)
        remarks.append(f"in {words.neutral(service, limit=40)}" if service != self._service else "")
        return "".join(f"  {remark}" for remark in remarks if remark) + self._lost(node)

    def _lost(self, node: TraceNode) -> str:
        if not node.orphan:
            return ""
        above = self._known.get(node.span.parent_span_id or "")
        return f"  under {words.neutral(above, limit=80)}" if above else "  (parent not received)"

    def _hidden(self, line: Line) -> str:
        if not line.hidden:
            return ""
        failed = f", {line.hidden_errors:,} failed" if line.hidden_errors else ""
        return f"  (+{line.hidden:,} below{failed})"

    def _bar(self, line: Line) -> Text:
        start = min(node.span.start_ns for node in line.nodes) - self._start_ns
        end = max(node.span.end_ns for node in line.nodes) - self._start_ns
        scale = self._bar_width / self._total_ns
        left = max(0, min(self._bar_width - 1, int(start * scale)))
        length = max(1, min(self._bar_width - left, round((end - start) * scale)))
        style = "red" if any(is_error(node) for node in line.nodes) else "cyan"
        return Text(" " * left).append(self._glyphs.bar * length, style)

    def _details(self, line: Line) -> Iterator[Text]:
        node, span = line.nodes[0], line.nodes[0].span
        error = error_of(span)
        # An error that rises through several spans is told where it came from.
        if error and error not in {error_of(child.span) for child in node.children}:
            yield self._detail(line, error, "red")
        events = [event for event in span.events if event.name != names.EXCEPTION]
        for event in events[:_EVENTS_SHOWN]:
            after = words.duration(event.time_ns - span.start_ns)
            told = " ".join(
                f"{key.removeprefix(f'{event.name}.')}={words.value(value, limit=60)}"
                for key, value in event.attributes.items()
            )
            yield self._detail(line, f"{self._glyphs.event} after {after}: {event.name} {told}", "dim")
        if len(events) > _EVENTS_SHOWN:
            yield self._detail(line, f"{self._glyphs.more} {len(events) - _EVENTS_SHOWN} more events", "dim")
        for link in span.links[:_LINKS_SHOWN]:
            reason = span.attributes.get(names.TASK_DETACHED_REASON)
            why = f" (detached: {words.value(reason)})" if reason else ""
            yield self._detail(line, f"{self._glyphs.link} linked to trace {link.trace_id}{why}", "dim")

    def _detail(self, line: Line, told: str, style: str) -> Text:
        inward = (*line.lasts, not line.nodes[0].children)
        guides = "".join("   " if last else self._glyphs.down for last in inward)
        text = Text().append(guides, "dim").append(words.neutral(told), style)
        self._cut(text, self._width)
        return text

    def _guides(self, lasts: tuple[bool, ...]) -> str:
        if not lasts:
            return ""
        above = "".join("   " if last else self._glyphs.down for last in lasts[:-1])
        return above + (self._glyphs.last if lasts[-1] else self._glyphs.branch)

    def _cut(self, text: Text, width: int) -> None:
        text.truncate(width, overflow="ellipsis" if self._glyphs is words.UNICODE else "crop")


def _outcome(node: TraceNode) -> str:
    if is_error(node):
        return "raised"
    return str(node.span.attributes.get(names.TASK_OUTCOME, ""))


def _service(span: ReceivedSpan) -> str:
    service = span.resource.get(SERVICE_NAME)
    return str(service) if service else ""


def _own_task_name(span: ReceivedSpan) -> str:
    """The task's name where somebody chose one; asyncio's own says nothing."""
    name = str(span.attributes.get(names.TASK_NAME) or "")
    return f'"{words.neutral(name, limit=60)}"' if name and not _DEFAULT_TASK_NAME.fullmatch(name) else ""
