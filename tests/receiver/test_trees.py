from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from aiotel._receiver import trees
from aiotel._receiver.received import ReceivedSpan


def span(name: str, parent: str | None = None, *, start: int = 0, trace: str = "t") -> ReceivedSpan:
    return ReceivedSpan(
        trace_id=trace, span_id=name, parent_span_id=parent, name=name, start_ns=start, end_ns=start + 10
    )


def outlines(*spans: ReceivedSpan) -> list[list[str]]:
    return [trace.outline() for trace in trees.build(spans)]


def test_children_stand_under_their_parent_by_start() -> None:
    assert [["root", "  first", "    leaf", "  second"]] == outlines(
        span("leaf", "first", start=2),
        span("second", "root", start=3),
        span("first", "root", start=1),
        span("root"),
    )


def test_traces_are_apart_and_by_start() -> None:
    assert [["early"], ["late"]] == outlines(span("late", start=9, trace="x"), span("early", trace="y"))


def test_spans_of_the_same_id_in_two_traces_do_not_meet() -> None:
    assert [["root", "  child"], ["? child"]] == outlines(
        span("root"), span("child", "root"), span("child", "root", trace="u", start=1)
    )


def test_an_orphan_is_marked_and_keeps_its_children() -> None:
    assert [["root", "? orphan", "  child"]] == outlines(
        span("child", "orphan", start=2), span("orphan", "missing", start=1), span("root")
    )


def test_of_a_span_that_came_twice_the_first_counts() -> None:
    (trace,) = trees.build([span("root"), span("child", "root"), span("child", "root", start=5)])

    assert ["root", "  child"] == trace.outline()
    assert 0 == trace.spans[1].start_ns


def test_a_circle_is_cut_where_it_starts_and_nothing_is_lost() -> None:
    assert [["? a", "  b", "    c"]] == outlines(
        span("a", "c"), span("b", "a", start=1), span("c", "b", start=2)
    )


def test_a_span_that_is_its_own_parent_is_a_top() -> None:
    assert [["? a", "  b"]] == outlines(span("a", "a"), span("b", "a", start=1))


def test_a_trace_knows_when_it_starts_and_ends() -> None:
    (trace,) = trees.build([span("late", "root", start=50), span("root", start=7)])

    assert (7, 60) == (trace.start_ns, trace.end_ns)


def test_a_very_deep_trace_is_no_trouble() -> None:
    spans = [span("0")] + [span(str(i), str(i - 1), start=i) for i in range(1, 20_000)]
    random.Random(1).shuffle(spans)

    (trace,) = trees.build(spans)

    assert 19_999 == max(depth for depth, _ in trace.walk())
    assert "<TraceNode '0', 1 children>" == repr(trace.roots[0])


ids = st.sampled_from("abcdef")


@given(st.lists(st.tuples(ids, st.none() | ids, st.integers(0, 5)), max_size=12))
def test_whatever_comes_each_span_stands_in_the_tree_once(drawn: list[tuple[str, str | None, int]]) -> None:
    spans = [span(name, parent, start=start) for name, parent, start in drawn]

    traces = trees.build(spans)

    placed = [node.span.span_id for trace in traces for _, node in trace.walk()]
    assert sorted({each.span_id for each in spans}) == sorted(placed)
    for trace in traces:
        for _, node in trace.walk():
            assert all(child.span.parent_span_id == node.span.span_id for child in node.children)
            starts = [child.span.start_ns for child in node.children]
            assert starts == sorted(starts)
