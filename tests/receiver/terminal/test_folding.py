from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from aiotel._receiver import trees
from aiotel._receiver.terminal.folding import Line, fold

from .conftest import span

if TYPE_CHECKING:
    from aiotel._receiver.received import ReceivedSpan


def lines(spans: list[ReceivedSpan], **limits: int) -> list[Line]:
    (trace,) = trees.build(spans)
    return fold(trace, **limits)


def told(spans: list[ReceivedSpan], **limits: int) -> list[str]:
    """Each line in short: indentation, name, number of equal ones, what is hidden below."""
    return [_told(line) for line in lines(spans, **limits)]


def _told(line: Line) -> str:
    name = "rest" if line.is_rest else line.nodes[0].span.name
    shown = "  " * len(line.lasts) + name
    shown += f" x{len(line.nodes)}" if len(line.nodes) > 1 else ""
    shown += " slowest" if line.is_slowest else ""
    shown += f" +{line.hidden}" if line.hidden else ""
    return shown + (f" !{line.hidden_errors}" if line.hidden_errors else "")


def many(name: str, parent: str, count: int, *, task_outcome: str = "") -> list[ReceivedSpan]:
    return [
        span(name, parent, id=f"{name}{i}", at=i, ms=i + 1, task_outcome=task_outcome) for i in range(count)
    ]


def test_a_small_trace_has_a_line_for_each_span() -> None:
    spans = [span("root", ms=9), span("a", "root", at=1), span("b", "a", at=2), span("c", "root", at=3)]

    assert ["root", "  a", "    b", "  c"] == told(spans)
    assert [(), (False,), (False, True), (True,)] == [line.lasts for line in lines(spans)]


def test_equal_siblings_share_a_line() -> None:
    spans = [span("root"), *many("child", "root", 997), span("other", "root", at=2000)]

    assert ["root", "  child x997", "  other"] == told(spans)


def test_a_few_equal_siblings_have_a_line_each() -> None:
    assert ["root", "  child", "  child", "  child"] == told([span("root"), *many("child", "root", 3)])


def test_siblings_that_ended_differently_are_not_equal() -> None:
    spans = [
        span("root"),
        *many("child", "root", 5, task_outcome="returned"),
        span("child", "root", id="bad", at=2, task_outcome="raised"),
    ]

    assert ["root", "  child x5", "  child"] == told(spans)


def test_of_equal_siblings_with_children_the_slowest_shows_them() -> None:
    spans = [span("root"), *many("child", "root", 4)]
    spans += [span("leaf", f"child{i}", id=f"leaf{i}", at=i) for i in range(4)]

    assert ["root", "  child x4", "    child slowest", "      leaf"] == told(spans)
    assert "child3" == lines(spans)[2].nodes[0].span.span_id


def test_siblings_beyond_the_limit_become_a_rest_and_the_failed_and_slow_stay() -> None:
    spans = [span("root")] + [span(f"s{i}", "root", at=i, ms=i) for i in range(1, 9)]
    spans.append(span("bad", "root", at=0.5, ms=0.1, status="ERROR"))

    assert ["root", "  bad", "  s7", "  s8", "  rest x6"] == told(spans, max_siblings=4)


def test_what_is_too_deep_is_counted_with_its_errors() -> None:
    spans = [span("0")] + [
        span(str(i), str(i - 1), status="ERROR" if i > 7 else "UNSET") for i in range(1, 10)
    ]

    assert ["0", "  1", "    2", "      3 +6 !2"] == told(spans, max_depth=3)


def test_what_would_be_too_long_is_counted_too_and_errors_are_unfolded_first() -> None:
    spans = [span("root", ms=100), span("slow", "root", at=1, ms=90), span("bad", "root", at=2, ms=5)]
    spans += [span(f"a{i}", "slow", at=3) for i in range(3)]
    spans += [span(f"b{i}", "bad", at=3, status="ERROR") for i in range(3)]

    assert ["root", "  slow +3", "  bad", "    b0", "    b1", "    b2"] == told(spans, max_lines=6)


def test_a_very_deep_trace_is_no_trouble() -> None:
    spans = [span("0")] + [span(str(i), str(i - 1)) for i in range(1, 5000)]

    assert 41 == len(told(spans, max_depth=40))


names = st.sampled_from(["a", "b", "c"])


@given(
    drawn=st.lists(st.tuples(names, st.integers(0, 30), st.booleans(), st.integers(0, 9)), max_size=40),
    max_lines=st.integers(1, 30),
    max_siblings=st.integers(2, 6),
)
def test_every_span_is_shown_or_counted_once(
    drawn: list[tuple[str, int, bool, int]], max_lines: int, max_siblings: int
) -> None:
    spans = [span("root", id="-1", ms=100)]
    for number, (name, parent, failed, ms) in enumerate(drawn):
        above = str(min(parent, number) - 1)
        spans.append(
            span(name, above, id=str(number), at=number, ms=ms, status="ERROR" if failed else "UNSET")
        )

    found = lines(spans, max_lines=max_lines, max_siblings=max_siblings)

    assert len(found) <= max_lines
    assert _covered(found) == len(spans)


def _covered(found: list[Line]) -> int:
    """Spans shown plus spans counted; what is shown of the slowest of equal ones is counted with these."""
    total, ignored_below = 0, None
    for line in found:
        depth = len(line.lasts)
        if ignored_below is not None and depth > ignored_below:
            continue
        ignored_below = None
        total += len(line.nodes) + line.hidden
        if len(line.nodes) > 1 and not line.is_rest:
            ignored_below = depth
            if not line.hidden:  # unfolded: the shape of one stands for all
                total += sum(_size(node) - 1 for node in line.nodes)
    return total


def _size(node: trees.TraceNode) -> int:
    return 1 + sum(_size(child) for child in node.children)
