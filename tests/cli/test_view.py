from __future__ import annotations

import argparse
import io
import json
import os
import re
import signal
import subprocess
import sys
import urllib.request
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING
from urllib.error import HTTPError

import pytest
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from aiotel._cli import view
from aiotel._receiver.lines import LineWriter
from aiotel._receiver.received import Delivery
from aiotel._receiver.store import Store
from aiotel.testing import ReceivedLog, ReceivedRequest, Receiver

if TYPE_CHECKING:
    from collections.abc import Iterator

PROJECT = Path(__file__).parent.parent.parent


class Viewing:
    """An `aiotel view` that runs in a process of its own."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.stdout, self.stderr = _stream(process.stdout), _stream(process.stderr)
        first = self.stderr.readline()
        found = re.search(r"listening on (http://127\.0\.0\.1:\d+) ", first)
        assert found, first + self.stderr.read()
        self.endpoint = found[1]

    def post(self, path: str, fields: object) -> None:
        request = urllib.request.Request(
            self.endpoint + path, json.dumps(fields).encode(), {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=10):
            pass

    def log(self, body: str) -> None:
        record = {"body": {"stringValue": body}}
        self.post("/v1/logs", {"resourceLogs": [{"scopeLogs": [{"logRecords": [record]}]}]})

    def end(self, number: int = signal.SIGINT) -> tuple[int, str, str]:
        self.process.send_signal(number)
        stdout, stderr = self.stdout.read(), self.stderr.read()
        return self.process.wait(10), stdout, stderr


def _stream(pipe: IO[str] | None) -> IO[str]:
    assert pipe is not None
    return pipe


@contextmanager
def viewing(*options: str, **environment: str) -> Iterator[Viewing]:
    with subprocess.Popen(
        [sys.executable, "-m", "aiotel", "view", "--port", "0", *options],
        cwd=PROJECT,
        env=os.environ | {"COLUMNS": "80", "PYTHONIOENCODING": "utf-8"} | environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
    ) as process:
        try:
            yield Viewing(process)
        finally:
            process.kill()


def send_two_spans(endpoint: str) -> None:
    provider = TracerProvider(resource=Resource({"service.name": "shop"}), shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(f"{endpoint}/v1/traces")))
    tracer = provider.get_tracer("shop")
    with tracer.start_as_current_span("serve"), tracer.start_as_current_span("pay"):
        pass
    provider.shutdown()


@pytest.mark.slow
def test_it_says_where_it_listens_and_what_to_set() -> None:
    with viewing() as view:
        _, _, stderr = view.end()

    assert f"set OTEL_EXPORTER_OTLP_ENDPOINT={view.endpoint} in a program" in stderr


@pytest.mark.slow
def test_what_the_official_sdk_sends_is_shown_as_a_tree_and_summed_up() -> None:
    with viewing() as view:
        send_two_spans(view.endpoint)
        view.log("hello")
        status, stdout, stderr = view.end()

    assert 0 == status
    assert re.search(r"^trace [0-9a-f]{32}  shop  2 spans, .*\n· serve .*\n└─ · pay ", stdout, re.MULTILINE)
    assert "hello" in stdout
    assert "\x1b" not in stdout
    assert "received 2 spans, 1 log and 0 metric points by 2 requests" in stderr


@pytest.mark.slow
def test_a_trace_is_shown_without_waiting_for_the_end() -> None:
    with viewing() as view:
        send_two_spans(view.endpoint)

        assert view.stdout.readline().startswith("trace ")
        assert "serve" in view.stdout.readline()


@pytest.mark.slow
def test_sigterm_ends_it_as_cleanly() -> None:
    with viewing() as view:
        view.log("last words")
        status, stdout, _ = view.end(signal.SIGTERM)

    assert 0 == status
    assert "last words" in stdout


@pytest.mark.slow
def test_json_is_a_line_for_each_item_as_it_comes() -> None:
    with viewing("--json") as view:
        view.log("one")
        first = json.loads(view.stdout.readline())
        send_two_spans(view.endpoint)
        _, stdout, _ = view.end()

    assert ("log", "one") == (first["signal"], first["body"])
    spans = [json.loads(line) for line in stdout.splitlines()]
    assert {("span", "serve"), ("span", "pay")} == {(span["signal"], span["name"]) for span in spans}


def test_what_arrives_while_it_ends_is_shown() -> None:
    store, bell, stream = Store(), view.Bell(), io.StringIO()
    request = ReceivedRequest(method="POST", path="/v1/logs", signal="logs")

    def stop() -> None:
        store.add(Delivery(request=request, logs=(ReceivedLog(body="last words"),)))

    bell.ring(for_good=True)
    view._watch(store, LineWriter(stream), bell, stop)

    assert "last words" == json.loads(stream.getvalue())["body"]


@pytest.mark.slow
def test_what_was_refused_is_said_once() -> None:
    with viewing() as view:
        for _ in range(3):
            with pytest.raises(HTTPError, match="404") as refused:
                view.post("/v1/trace", {})
            refused.value.close()
        _, _, stderr = view.end()

    assert 1 == stderr.count("404 to POST /v1/trace: nothing is at /v1/trace")
    assert "refused 3" in stderr


@pytest.mark.slow
@pytest.mark.parametrize("options", [["--json"], []], ids=["json", "terminal"])
def test_a_reader_that_leaves_ends_it(options: list[str]) -> None:
    with viewing(*options) as view:
        view.stdout.close()
        view.log("nobody reads this")
        stderr = view.stderr.read()

        assert 0 == view.process.wait(10)
    assert "received 0 spans, 1 log and" in stderr
    assert "Traceback" not in stderr


@pytest.mark.slow
def test_a_terminal_without_unicode_is_no_trouble() -> None:
    with viewing(PYTHONIOENCODING="ascii") as view:
        send_two_spans(view.endpoint)
        view.log("é 漢")
        status, stdout, _ = view.end()

    assert 0 == status
    assert r"\xe9 \u6f22" in stdout
    assert "`- . pay" in stdout


def options(*argv: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    view.add_arguments(parser)
    return parser.parse_args(argv)


def test_by_default_it_listens_where_senders_send() -> None:
    assert {"host": "127.0.0.1", "port": 4318, "json": False} == vars(options())


@pytest.mark.parametrize("port", ["-1", "65536", "http", "", "1_0", "9" * 5000])
def test_a_port_that_is_none_is_bad_use(port: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        options(f"--port={port}")

    assert 2 == stop.value.code
    assert "is not a port: 0 to 65535" in capsys.readouterr().err


def test_a_taken_port_ends_it_with_advice(capsys: pytest.CaptureFixture[str]) -> None:
    with Receiver() as receiver:
        status = view.run(options("--port", str(receiver.port)))

    assert 1 == status
    assert f"aiotel: port {receiver.port} on 127.0.0.1 is taken" in capsys.readouterr().err


def test_without_rich_it_says_what_to_install(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "rich", None)

    status = view.run(options("--port", "0"))

    assert 2 == status
    assert [
        "aiotel: view draws with rich, which is not installed: pip install 'aiotel[cli]', or use --json"
    ] == (capsys.readouterr().err.splitlines())


@pytest.mark.slow
def test_its_imports_wait_until_it_runs() -> None:
    code = "import sys, aiotel._cli.view; print(*sorted({'rich', 'google.protobuf'} & set(sys.modules)))"

    before = subprocess.run(
        [sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True, check=True
    )

    assert "\n" == before.stdout
