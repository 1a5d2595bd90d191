"""Show what aiotel does, on a small real service with four mistakes built in: `aiotel demo`."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING

from .speech import say

if TYPE_CHECKING:
    from .._demo.destination import Destination
    from .._demo.process import ShopProcess
    from .._receiver.received import Delivery

HELP = "run a small real service with four mistakes in it, and show what was received of it"

_LEAST, _MOST = 1.0, 600.0
_RELAY_SECONDS = 5.0
_STDERR_SHOWN = 20


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("--seconds", type=_seconds, default=8.0, help="how long the service runs (8)")


def run(arguments: argparse.Namespace) -> int:
    """Run the service to its end, or to Ctrl-C, and report.

    0 if all went well; 1 if nothing was received, or the service failed; 2 where rich is missing or the
    collector that the environment names cannot be one.
    """
    if find_spec("rich") is None:
        say("the demo draws with rich, which is not there: pip install 'aiotel[cli]'")
        return 2
    # Here, because `aiotel --help` imports this module too.
    from .._demo.destination import destination_of
    from .._receiver.server import ListenError

    destination = destination_of(os.environ)
    if destination.fault:
        say(f"the environment names no usable collector: {destination.fault}")
        return 2
    try:
        return _run(destination, seconds=arguments.seconds)
    except ListenError as error:
        say(str(error))
        return 1
    except BrokenPipeError:  # whoever read the report has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:  # while it starts, or while it reports
        return 130


def _run(destination: Destination, *, seconds: float) -> int:
    from .._demo.destination import environ_for
    from .._demo.process import ShopProcess
    from .._demo.progress import progress
    from .._demo.relay import Relay
    from .._demo.report import Report, Surroundings
    from .._receiver.server import Server
    from .._receiver.store import Store
    from .._receiver.terminal.screen import new_console

    store, relay = Store(), Relay(destination.urls, os.environ)

    def receive(delivery: Delivery) -> None:
        store.add(delivery)
        relay.put(delivery)

    server = Server(receive)
    server.start()
    _introduce(destination, server.endpoint, seconds)
    with progress(seconds=seconds, say=say, spans=lambda: store.counts().spans) as tell:
        environ = environ_for(os.environ)
        with (
            ShopProcess(seconds=seconds, endpoint=server.endpoint, environ=environ, tell=tell) as shop,
            _stopped_by_signals(shop),
        ):
            status = shop.wait()
    answers = relay.close(timeout=_RELAY_SECONDS)
    server.stop()
    contents, counts = store.contents(), store.counts()
    if not (contents.spans or contents.logs or contents.metrics):
        _explain_nothing(status, shop.stderr)
        return 1
    surroundings = Surroundings(
        endpoint=server.endpoint, destination=destination, answers=answers, stderr=shop.stderr
    )
    Report(contents, counts, surroundings, console=new_console()).show()
    if status:
        say(f"the service ended with status {status}, which it should not{_tail(shop.stderr)}")
    return 1 if status else 0


@contextmanager
def _stopped_by_signals(shop: ShopProcess) -> Iterator[None]:
    """While this lasts, Ctrl-C and SIGTERM end the shop and not the demo: there is still a report to come."""

    def stop(_: int, __: object) -> None:
        shop.stop()

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _introduce(destination: Destination, endpoint: str, seconds: float) -> None:
    say(f"a small shop runs for {seconds:g} s under `aiotel run`; Ctrl-C ends it early")
    if destination.urls:
        say(f"telemetry goes through {endpoint} to the collector at {destination.name}")
    else:
        say(f"no collector listens on localhost:4318, so aiotel receives by itself, at {endpoint}")


def _explain_nothing(status: int, stderr: Sequence[str]) -> None:
    settings = sorted(name for name in os.environ if name.startswith(("AIOTEL_", "OTEL_")))
    hint = f"; is it because of {', '.join(settings)}?" if settings else ""
    say(
        f"nothing was received; the service ended with status {status}{hint}{_tail(stderr) if status else ''}"
    )


def _tail(lines: Sequence[str]) -> str:
    return "".join(f"\n  | {line}" for line in ["its stderr ends:", *lines[-_STDERR_SHOWN:]])


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not _LEAST <= seconds <= _MOST:  # nor NaN
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds from {_LEAST:g} to {_MOST:g}")
    return seconds
