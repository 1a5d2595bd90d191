"""Show telemetry as it comes: `aiotel view`, an OTLP/HTTP receiver for whatever program sends to it."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from contextlib import contextmanager
from importlib.util import find_spec
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Protocol

from .speech import say

# The receiver itself is imported where it is used: `aiotel --help` imports this module, too.
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from .._receiver.received import Delivery
    from .._receiver.store import Contents, Counts, Store

HELP = "receive telemetry by OTLP/HTTP and show it as it comes"

# Of spans, logs and metric points each that are not shown yet: a sender may be faster than a terminal.
_LIMIT = 20_000
_MAX_COMPLAINTS = 100


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("--host", default="127.0.0.1", help="the address to listen on (127.0.0.1)")
    parser.add_argument("--port", type=_port, default=4318, help="the port, 0 for any free one (4318)")
    parser.add_argument("--json", action="store_true", help="write a JSON object a line, for other programs")


def run(arguments: argparse.Namespace) -> int:
    """Receive and show until Ctrl-C or SIGTERM; 0 then, 1 if it cannot listen, 2 where rich is missing."""
    if not arguments.json and find_spec("rich") is None:
        say("view draws with rich, which is not installed: pip install 'aiotel[cli]', or use --json")
        return 2
    from .._receiver.server import ListenError, Server
    from .._receiver.store import Store

    store, bell = Store(limit=_LIMIT), Bell()

    def receive(delivery: Delivery) -> None:
        store.add(delivery)
        bell.ring()

    server = Server(receive, host=arguments.host, port=arguments.port)
    try:
        server.start()
    except ListenError as error:
        say(str(error))
        return 1
    try:
        with bell.rung_by_signals():
            _introduce(server.endpoint)
            _watch(store, _viewer(as_json=arguments.json), bell, server.stop)
    except BrokenPipeError:  # whoever read our output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    finally:
        server.stop()
    _sum_up(store.counts())
    return 0


class Bell:
    """Wakes the showing thread: rung for news, or for good. A queue that signal handlers may use."""

    def __init__(self) -> None:
        self._rings: SimpleQueue[bool] = SimpleQueue()

    def ring(self, *, for_good: bool = False) -> None:
        """Wake whoever waits."""
        if for_good or self._rings.empty():
            self._rings.put(for_good)

    def wait(self, timeout: float | None) -> bool:
        """Wait for a ring, at most `timeout` seconds; whether it was the last."""
        try:
            return self._rings.get(timeout=timeout)
        except Empty:
            return False

    @contextmanager
    def rung_by_signals(self) -> Iterator[None]:
        """While this lasts, Ctrl-C and SIGTERM ring for good; a second one kills, as it would by default."""

        def ring(number: int, _: object) -> None:
            signal.signal(number, signal.SIG_DFL)
            self.ring(for_good=True)

        before = {number: signal.signal(number, ring) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


class _Viewer(Protocol):
    def show(self, contents: Contents) -> None: ...

    def next_due(self) -> float | None: ...

    def finish(self) -> None: ...


def _viewer(*, as_json: bool) -> _Viewer:
    if as_json:
        from .._receiver.lines import LineWriter

        return LineWriter(sys.stdout)
    from .._receiver.terminal.live import Live

    return Live()


def _watch(store: Store, viewer: _Viewer, bell: Bell, stop: Callable[[], None]) -> None:
    """Show what comes until the bell rings for good, then what was still under way."""
    complained: set[str] = set()
    is_last = False
    while not is_last:
        is_last = bell.wait(viewer.next_due())
        if is_last:
            stop()
        contents = store.drain()
        viewer.show(contents)
        _complain(contents, complained)
        if _lost(store.counts()) and "lost" not in complained:
            complained.add("lost")
            say("telemetry comes faster than it can be shown here: some is left out")
    viewer.finish()


def _introduce(endpoint: str) -> None:
    say(f"listening on {endpoint} for OTLP/HTTP; Ctrl-C ends it")
    say(f"set OTEL_EXPORTER_OTLP_ENDPOINT={endpoint} in a program")
    say("(and OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf, should it speak grpc)")


def _complain(contents: Contents, complained: set[str]) -> None:
    """Say what was refused, once for each reason."""
    from .._receiver.terminal.text import neutral

    for request in contents.requests:
        if request.problem is None or request.problem in complained or len(complained) >= _MAX_COMPLAINTS:
            continue
        complained.add(request.problem)
        what = neutral(f"{request.method} {request.path}".strip(), limit=100)
        say(f"{request.status} to {what or 'a client'}: {neutral(request.problem, limit=300)}")


def _sum_up(counts: Counts) -> None:
    from .._receiver.terminal.text import count

    if sys.stderr is not None and sys.stderr.isatty():
        sys.stderr.write("\n")  # a terminal has just written ^C
    spans, logs, points = (
        count(counts.spans, "span"),
        count(counts.logs, "log"),
        count(counts.metrics, "metric point"),
    )
    line = f"received {spans}, {logs} and {points} by {count(sum(counts.requests.values()), 'request')}"
    line += f"; refused {counts.refused:,}" if counts.refused else ""
    lost = _lost(counts)
    say(line + (f"; {lost:,} of all came faster than they could be shown, and were not" if lost else ""))


def _lost(counts: Counts) -> int:
    return sum(counts.evicted.values()) - counts.evicted.get("requests", 0)


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text[:6]) <= 65_535):
        raise argparse.ArgumentTypeError(f"{text!r} is not a port: 0 to 65535")
    return int(text)
