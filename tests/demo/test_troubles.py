import pytest

from aiotel._demo.troubles import TROUBLES, Trouble, judge
from aiotel._receiver.store import Contents

from .received import log, span

NEVER_AWAITED, FAILS, BLOCKS, DEADLOCK = TROUBLES


def by_event(trouble: Trouble) -> str:
    return trouble.event


@pytest.mark.parametrize("trouble", [NEVER_AWAITED, BLOCKS, DEADLOCK], ids=by_event)
def test_a_mistake_is_seen_once_a_log_of_its_name_came(trouble: Trouble) -> None:
    met = span("handler", task=f"GET /{trouble.request}")
    without = Contents(spans=[met], logs=[log("something.else")])
    with_log = Contents(spans=[met], logs=[log("something.else"), log(trouble.event)])

    assert (False, True) == (judge(trouble, without).is_seen, judge(trouble, without).is_missing)
    assert (True, False) == (judge(trouble, with_log).is_seen, judge(trouble, with_log).is_missing)


def test_the_failure_that_counts_is_that_of_the_task_built_to_fail() -> None:
    other = log("exception", code_function_name="shop.orders.Orders.pay")
    ours = log("exception", code_function_name="shop.orders.Orders.send_receipt")

    assert not judge(FAILS, Contents(logs=[other])).is_seen
    assert [ours] == judge(FAILS, Contents(logs=[other, ours])).logs


def test_a_mistake_that_no_request_has_met_is_not_missing() -> None:
    verdict = judge(DEADLOCK, Contents(spans=[span("Orders.pay", task="POST /orders/1/pay")]))

    assert (False, False) == (verdict.is_seen, verdict.is_missing)


def test_the_requests_of_a_mistake_are_found_by_what_was_asked() -> None:
    moves = [span("Stock.move", task=f"POST /stock/move?from={place}", trace=place) for place in ("a", "b")]
    other = span("Orders.export", task="GET /orders/export")

    assert moves == judge(DEADLOCK, Contents(spans=[other, *moves])).requests
