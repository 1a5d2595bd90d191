from __future__ import annotations

import threading

from aiotel._receiver.received import Delivery, ReceivedLog, ReceivedRequest, ReceivedSpan
from aiotel._receiver.store import Counts, Store

ACCEPTED = ReceivedRequest(method="POST", path="/v1/traces", signal="traces")
REFUSED = ReceivedRequest(method="POST", path="/v1/traces", signal="traces", status=400, problem="?")


def span(name: str) -> ReceivedSpan:
    return ReceivedSpan(trace_id="a" * 32, span_id=name.ljust(16, "0"), name=name)


def of(*names: str) -> Delivery:
    return Delivery(request=ACCEPTED, spans=tuple(span(name) for name in names))


def test_it_keeps_what_came_in_order() -> None:
    store = Store()

    store.add(of("a", "b"))
    store.add(of("c"))

    assert ["a", "b", "c"] == [span.name for span in store.contents().spans]


def test_it_keeps_the_newest_and_counts_what_it_let_go() -> None:
    store = Store(limit=3)

    store.add(of("a", "b"))
    store.add(of("c", "d"))
    store.add(of("e", "f", "g", "h", "i"))

    assert ["g", "h", "i"] == [span.name for span in store.contents().spans]
    assert Counts(spans=9, requests={"traces": 3}, evicted={"spans": 6}) == store.counts()


def test_refused_requests_are_kept_and_counted_apart() -> None:
    store = Store()

    store.add(Delivery(request=REFUSED))
    store.add(of("a"))

    assert (REFUSED, ACCEPTED) == store.contents().requests
    assert Counts(spans=1, requests={"traces": 1}, refused=1) == store.counts()


def test_draining_takes_everything_once_and_the_counts_go_on() -> None:
    store = Store()
    store.add(Delivery(request=ACCEPTED, logs=(ReceivedLog(body="hi"),)))

    first, second = store.drain(), store.drain()

    assert ((ReceivedLog(body="hi"),), ()) == (first.logs, second.logs)
    assert 1 == store.counts().logs


def test_clearing_forgets_the_counts_too() -> None:
    store = Store(limit=1)
    store.add(of("a", "b"))

    store.clear()

    assert ((), Counts()) == (store.contents().spans, store.counts())


def test_waiting_ends_when_what_one_waits_for_has_come() -> None:
    store = Store()
    waiting = threading.Event()

    def enough() -> bool:
        waiting.set()
        return store.counts().spans >= 3

    def send() -> None:
        waiting.wait(10)
        for name in "abc":
            store.add(of(name))

    sender = threading.Thread(target=send)
    sender.start()

    assert store.wait_for(enough, timeout=600)  # longer than a test may take
    sender.join()


def test_waiting_in_vain_ends_too() -> None:
    assert not Store().wait_for(lambda: False, timeout=0)


def test_many_senders_at_once_lose_nothing() -> None:
    store = Store()

    def send() -> None:
        for _ in range(200):
            store.add(of("a", "b"))

    senders = [threading.Thread(target=send) for _ in range(4)]
    for sender in senders:
        sender.start()
    for sender in senders:
        sender.join()

    assert (1600, 1600, {"traces": 800}) == (
        len(store.contents().spans),
        store.counts().spans,
        store.counts().requests,
    )
