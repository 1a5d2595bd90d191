from __future__ import annotations

import gzip
import socket
import threading
from contextvars import ContextVar
from typing import TYPE_CHECKING

import pytest

from aiotel._receiver.server import ListenError, Server

from .conftest import Client

if TYPE_CHECKING:
    from aiotel._receiver.received import Delivery

EMPTY = {"Content_Type": "application/x-protobuf"}


def ignore(_: Delivery) -> None:
    pass


def status(server: Server, path: str) -> int:
    with Client(server.port) as client:
        return client.post(path, b"", **EMPTY).status


def receiver_threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("aiotel-receiver")]


def test_it_listens_on_the_loopback_address_and_a_port_of_its_own() -> None:
    server = Server(ignore)

    server.start()

    try:
        assert f"http://127.0.0.1:{server.port}" == server.endpoint
        assert 200 == status(server, "/v1/traces")
    finally:
        server.stop()


def test_a_server_on_all_addresses_names_one_that_can_be_reached() -> None:
    server = Server(ignore, host="0.0.0.0")
    server.start()

    server.stop()

    assert f"http://127.0.0.1:{server.port}" == server.endpoint


def test_an_ipv6_address_is_bracketed_in_the_endpoint() -> None:
    assert "http://[::1]:4318" == Server(ignore, host="::1", port=4318).endpoint


def test_stopping_leaves_no_thread_and_gives_the_port_back() -> None:
    server = Server(ignore)
    server.start()
    with Client(server.port) as client:
        client.post("/v1/traces", b"", **EMPTY)

        server.stop()

        assert [] == receiver_threads()
        with socket.socket() as again:
            again.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            again.bind(("127.0.0.1", server.port))


@pytest.mark.parametrize(
    "said", [b"", b"POST /v1/tra", b"POST /v1/logs HTTP/1.1\r\nContent-Length: 9\r\n\r\n"]
)
def test_stopping_ends_connections_that_say_nothing_more(said: bytes) -> None:
    server = Server(ignore)
    server.start()
    with Client(server.port) as client:
        client.post("/v1/traces", b"", **EMPTY)
        client.connection.sock.sendall(said)

        server.stop()

        assert [] == receiver_threads()


def test_stopping_answers_the_request_under_way() -> None:
    started, may_go_on = threading.Event(), threading.Event()

    def sink(_: Delivery) -> None:
        started.set()
        may_go_on.wait(10)

    server = Server(sink)
    server.start()
    answers: list[int] = []
    sender = threading.Thread(target=lambda: answers.append(status(server, "/v1/logs")))
    sender.start()
    started.wait(10)
    stopper = threading.Thread(target=server.stop)
    stopper.start()

    may_go_on.set()
    sender.join(10)
    stopper.join(10)

    assert [200] == answers
    assert [] == receiver_threads()


def test_the_sink_gets_the_body_as_it_was_sent() -> None:
    deliveries: list[Delivery] = []
    server = Server(deliveries.append)
    server.start()
    body = gzip.compress(b"{}")
    try:
        with Client(server.port) as client:
            client.post("/v1/logs", body, Content_Type="application/json", Content_Encoding="gzip")
    finally:
        server.stop()

    assert [body] == [delivery.body for delivery in deliveries]


def test_its_threads_are_in_nobodys_context() -> None:
    whose = ContextVar("whose", default="nobody's")
    seen: list[str] = []
    whose.set("the test's")
    server = Server(lambda _: seen.append(whose.get()))
    server.start()
    status(server, "/v1/traces")
    server.stop()

    assert ["nobody's"] == seen


def test_starting_and_stopping_twice_changes_nothing() -> None:
    server = Server(ignore)

    server.start()
    port = server.port
    server.start()

    assert port == server.port
    server.stop()
    server.stop()


def test_it_can_be_started_again_after_stopping() -> None:
    server = Server(ignore)
    server.start()
    server.stop()

    server.start()

    try:
        assert 200 == status(server, "/v1/metrics")
    finally:
        server.stop()


def test_a_port_that_is_taken_says_so_and_what_to_do() -> None:
    first = Server(ignore)
    first.start()
    try:
        with pytest.raises(ListenError, match=rf"port {first.port} on 127\.0\.0\.1 is taken.*choose another"):
            Server(ignore, port=first.port).start()
    finally:
        first.stop()


@pytest.mark.parametrize("host", ["no.such.host.invalid", "203.0.113.7", "\0", "a" * 70 + ".invalid"])
def test_a_host_that_is_not_ours_says_so(host: str) -> None:
    with pytest.raises(ListenError, match=r"127\.0\.0\.1"):
        Server(ignore, host=host).start()


def test_connections_over_the_limit_are_turned_away_and_room_is_made_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("aiotel._receiver.server._MAX_CONNECTIONS", 1)
    server = Server(ignore)
    server.start()
    try:
        with Client(server.port) as first:
            first.post("/v1/traces", b"", **EMPTY)
            assert Client(server.port).raw(b"").startswith(b"HTTP/1.1 503 ")

        while receiver_threads() != ["aiotel-receiver"]:
            threading.Event().wait(0.01)
        assert 200 == status(server, "/v1/traces")
    finally:
        server.stop()
