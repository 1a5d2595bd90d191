from aiotel._demo.choice import bad_news, headlines, metrics_that_matter, telling_traces
from aiotel._receiver import trees

from .received import counter, duration, log, span

VARIED = [span("main", trace="m"), *(span(f"part-{n}", "main", trace="m") for n in range(5))]
FAILED = [span("serve", trace="f"), span("send", "serve", trace="f", outcome="raised")]
FINE = [span("serve", trace="g"), *(span(name, "serve", trace="g") for name in ("list", "pay", "export"))]


def test_the_trace_of_the_worst_news_comes_first_then_the_most_varied_of_another_kind() -> None:
    traces = trees.build([*VARIED, *FAILED, *FINE])
    logs = [
        log("asyncio.stall", severity=13, trace="g"),
        log("exception", trace="lost", at=1),
        log("exception", trace="f", at=2),
        log("asyncio.deadlock", trace="m", at=3),
    ]

    assert ["f", "m"] == [trace.trace_id for trace in telling_traces(traces, logs)]


def test_where_nothing_failed_the_most_varied_trace_comes_first() -> None:
    traces = trees.build([*FAILED, *FINE, *VARIED])

    assert ["m", "g"] == [trace.trace_id for trace in telling_traces(traces, [])]


def test_no_traces_are_no_choice() -> None:
    assert [] == telling_traces([], [log("exception")])


def test_the_worst_news_comes_first_and_good_news_not_at_all() -> None:
    warning, info = log("asyncio.stall", severity=13, at=1), log("asyncio.stall.ended", severity=9)
    late, early = log("exception", at=9), log("exception", at=2)

    assert [early, late, warning] == bad_news([info, warning, late, early])


def test_of_many_functions_the_failed_and_the_longest_of_several_matter() -> None:
    points = [
        *(duration(f"shop.Orders.step{n}", longest=0.001 * n, count=5) for n in range(1, 9)),
        duration("shop.Orders.send", longest=0.0001, outcome="raised"),
        duration("shop.main", longest=60.0),
        duration("shop.work", longest=60.0, count=3, outcome="cancelled"),
    ]

    chosen = [point.attributes["code.function.name"] for point in metrics_that_matter(points)]

    assert ["Orders.send", *(f"Orders.step{n}" for n in (8, 7, 6, 5, 4))] == chosen


def test_metrics_are_shown_as_their_last_point_leaves_them_and_foreign_ones_not() -> None:
    points = [
        counter("asyncio.task.started", 2),
        counter("process.cpu.time", 9),
        counter("asyncio.task.started", 7),
        counter("aiotel.dropped", 1, temporality="DELTA"),
        counter("aiotel.dropped", 2, temporality="DELTA"),
    ]

    matter = [(point.name, point.value) for point in metrics_that_matter(points)]

    assert [("aiotel.dropped", 3), ("asyncio.task.started", 7)] == matter


def test_the_headlines_of_stderr_are_what_it_says_without_the_evidence() -> None:
    stderr = [
        "/srv/shop.py:61: RuntimeWarning: coroutine 'redeem' was never awaited",
        "  redeem()",
        "RuntimeWarning: Enable tracemalloc to get the object allocation traceback",
        "Task exception was never retrieved",
        "future: <Task finished>",
        "Traceback (most recent call last):",
        '  File "/srv/shop.py", line 92, in send',
        "ValueError: no address",
        "",
        '{"event": "Task exception was never retrieved"}',
    ]

    assert [stderr[0], stderr[3], stderr[7]] == list(headlines(stderr))
