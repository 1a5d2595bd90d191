"""The shop is an ordinary program: it serves HTTP, it ends in time, and knows nothing of telemetry."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from pathlib import Path

import pytest

from aiotel._demo.shop.http import Request, Response
from aiotel._demo.shop.orders import Orders
from aiotel._demo.shop.server import Server
from aiotel._demo.shop.stock import Stock

ROOT = Path(__file__).parents[2]


async def conversation(sent: bytes) -> bytes:
    """What a shop answers to these bytes, until it hangs up."""
    orders = Orders(Stock())
    server = await Server(
        {("GET", "/orders"): orders.list, ("POST", r"/orders/(\d+)/pay"): orders.pay}
    ).listen()
    async with server:
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        writer.write(sent)
        writer.write_eof()
        answer = await reader.read()
        writer.close()
        await writer.wait_closed()
    return answer


def answers(sent: bytes) -> list[tuple[str, object]]:
    """The status line of each answer, and the JSON of its body."""
    found: list[tuple[str, object]] = []
    rest = asyncio.run(conversation(sent))
    while rest:
        head, _, rest = rest.partition(b"\r\n\r\n")
        status, *headers = head.decode().split("\r\n")
        length = next(int(line.split(":")[1]) for line in headers if line.startswith("Content-Length"))
        found.append((status, json.loads(rest[:length])))
        rest = rest[length:]
    return found


def test_a_customer_lists_and_pays_over_one_connection() -> None:
    (list_status, listed), (pay_status, paid) = answers(
        b"GET /orders?customer=bob HTTP/1.1\r\nHost: shop\r\n\r\n"
        b"POST /orders/2/pay HTTP/1.1\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}"
    )

    assert ("HTTP/1.1 200 OK", "HTTP/1.1 200 OK") == (list_status, pay_status)
    assert isinstance(listed, list)
    assert {"number": 2, "customer": "bob"} == listed[0]
    assert {"paid": 2970} == paid


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"GET /nowhere HTTP/1.1\r\n\r\n", "HTTP/1.1 404 Not Found"),
        (b"DELETE /orders HTTP/1.1\r\n\r\n", "HTTP/1.1 404 Not Found"),
        (b"POST /orders/99/pay HTTP/1.1\r\n\r\n", "HTTP/1.1 404 Not Found"),
        (b"nonsense\r\n\r\n", "HTTP/1.1 400 Bad Request"),
        (b"GET /orders HTTP/2\r\n\r\n", "HTTP/1.1 400 Bad Request"),
        (b"GET /orders HTTP/1.1\r\nno header\r\n\r\n", "HTTP/1.1 400 Bad Request"),
        (b"GET /orders HTTP/1.1\r\nContent-Length: many\r\n\r\n", "HTTP/1.1 400 Bad Request"),
        (b"GET /orders HTTP/1.1\r\nContent-Length: -1\r\n\r\n", "HTTP/1.1 400 Bad Request"),
        (b"GET /orders HTTP/1.1\r\nContent-Length: 5\r\n\r\nabc", "HTTP/1.1 400 Bad Request"),
        (b"GET /orders HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", "HTTP/1.1 400 Bad Request"),
        (b"GET /" + b"x" * 70_000, "HTTP/1.1 400 Bad Request"),
    ],
)
def test_what_it_cannot_serve_is_refused(sent: bytes, status: str) -> None:
    assert [status] == [found for found, _ in answers(sent)]


def test_two_moves_in_opposite_directions_wait_for_each_other_for_ever() -> None:
    async def main() -> set[asyncio.Task[Response]]:
        stock = Stock()
        ways = (("harbour", "airport"), ("airport", "harbour"))
        requests = [
            Request(method="POST", target=f"/stock/move?from={here}&to={there}") for here, there in ways
        ]
        moves = [asyncio.create_task(stock.move(request)) for request in requests]
        _, stuck = await asyncio.wait(moves, timeout=0.2)
        return stuck

    assert 2 == len(asyncio.run(main()))


@pytest.mark.slow
def test_alone_it_runs_to_its_end_and_loads_no_telemetry() -> None:
    program = (
        "import runpy, sys; sys.argv = ['shop', '0.6'];"
        "runpy.run_module('aiotel._demo.shop', run_name='__main__');"
        "print(*(name for name in sys.modules if name.startswith(('aiotel', 'opentelemetry'))))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=30, check=True
    )

    *told, modules = done.stdout.splitlines()
    assert 7 == len(told)
    assert set() == {name for name in modules.split() if not name.startswith("aiotel._demo")} - {"aiotel"}
    assert "coroutine 'Orders.redeem_voucher' was never awaited" in done.stderr
    assert "ValueError: eve has no e-mail address" in done.stderr
