from __future__ import annotations

import doctest
import json
import threading
import types
import urllib.request
from urllib.error import HTTPError

import pytest

import aiotel.testing
from aiotel._receiver import receiver as receiver_module
from aiotel.testing import ListenError, Receiver


def send_log(endpoint: str, body: str) -> None:
    record = {"body": {"stringValue": body}, "eventName": "greeted"}
    request = urllib.request.Request(
        f"{endpoint}/v1/logs",
        json.dumps({"resourceLogs": [{"scopeLogs": [{"logRecords": [record]}]}]}).encode(),
        {"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=10) as answer:
        assert 200 == answer.status


def test_it_offers_exactly_what_it_names() -> None:
    offered = {
        name
        for name, value in vars(aiotel.testing).items()
        if not name.startswith("_") and not isinstance(value, types.ModuleType) and name != "annotations"
    }

    assert set(aiotel.testing.__all__) == offered
    assert sorted(aiotel.testing.__all__) == list(aiotel.testing.__all__)


def test_the_example_runs() -> None:
    results = doctest.testmod(receiver_module)

    assert (0, True) == (results.failed, results.attempted > 0)


def test_it_receives_while_the_block_lasts_and_can_be_read_afterwards() -> None:
    with Receiver() as receiver:
        send_log(receiver.endpoint, "hello")

    assert ["hello"] == [log.body for log in receiver.logs]
    with pytest.raises(OSError, match="refused"):
        send_log(receiver.endpoint, "too late")


def test_waiting_returns_what_was_waited_for_and_only_that() -> None:
    def send(endpoint: str) -> None:
        for body in "abc":
            send_log(endpoint, body)

    with Receiver() as receiver:
        sender = threading.Thread(target=send, args=(receiver.endpoint,))
        sender.start()

        logs = receiver.wait_for_logs(2, where=lambda log: log.body in {"a", "c"}, timeout=10)
        sender.join()

    assert ["a", "c"] == [log.body for log in logs]


def test_waiting_in_vain_says_what_came_instead() -> None:
    with Receiver() as receiver:
        send_log(receiver.endpoint, "one")
        send_log(receiver.endpoint, "two")
        with pytest.raises(HTTPError, match="404") as refused:
            send_log(f"{receiver.endpoint}/wrong", "three")
        refused.value.close()

        with pytest.raises(TimeoutError) as caught:
            receiver.wait_for_spans(3, timeout=0)

    assert (
        "waited 0 s for 3 spans, got 0; received in all: 0 spans, 2 logs (greeted \N{MULTIPLICATION SIGN}2),"
        " 0 metric points,"
        " refused /wrong/v1/logs: nothing is at /wrong/v1/logs"
    ) == str(caught.value).partition(": OTLP/HTTP")[0]


def test_waiting_for_anything_at_all() -> None:
    with Receiver() as receiver:
        send_log(receiver.endpoint, "one")

        assert receiver.wait_for(lambda: receiver.counts.requests == {"logs": 1}, timeout=10)
        assert not receiver.wait_for(lambda: bool(receiver.spans), timeout=0)


def test_clearing_forgets() -> None:
    with Receiver() as receiver:
        send_log(receiver.endpoint, "one")
        receiver.clear()
        send_log(receiver.endpoint, "two")

    assert ["two"] == [log.body for log in receiver.logs]
    assert 1 == len(receiver.requests)


def test_it_keeps_only_so_much_and_says_so() -> None:
    with Receiver(limit=2) as receiver:
        for body in "abc":
            send_log(receiver.endpoint, body)

    assert ["b", "c"] == [log.body for log in receiver.logs]
    assert {"logs": 1, "requests": 1} == receiver.counts.evicted


def test_a_taken_port_is_an_error_that_helps() -> None:
    with (
        Receiver() as first,
        pytest.raises(ListenError, match="choose another port"),
        Receiver(port=first.port),
    ):
        pass
