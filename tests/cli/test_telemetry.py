"""What goes over the wire from a program under `aiotel run`."""

import re
import socket
import sys
from collections.abc import Iterator

import pytest

from aiotel.testing import Receiver

from .processes import aiotel_run

pytestmark = pytest.mark.slow


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as receiver:
        yield receiver


def sending_to(receiver: Receiver) -> dict[str, str]:
    return {"OTEL_EXPORTER_OTLP_ENDPOINT": receiver.endpoint}


def outlines(receiver: Receiver) -> list[list[str]]:
    return sorted(trace.outline() for trace in receiver.traces())


@pytest.mark.parametrize(
    "way",
    [
        ["tasks.py"],
        ["-m", "tasks"],
        ["--", "sh", "-c", f"{sys.executable} tasks.py"],
        ["starts.py", "tasks.py"],
    ],
)
def test_every_task_of_an_unchanged_script_is_a_span_under_its_parent(
    way: list[str], receiver: Receiver
) -> None:
    outcome = aiotel_run(*way, environ=sending_to(receiver))

    assert (outcome.status, outcome.stdout) == (0, "[0, 1, ValueError('no such order')] []\n")
    assert outlines(receiver) == [["main", "  fetch", "  fetch", "  fetch"]]
    assert {span.resource["service.name"] for span in receiver.spans} == {"tasks"}


@pytest.mark.parametrize(
    ("way", "status", "span"),
    [
        ("coroutine", 1, "fail_in_a_coroutine"),
        ("interrupt", -2, "wait_for_a_signal"),
        ("stdin", 0, "read_stdin"),
    ],
)
def test_however_a_program_ends_its_telemetry_arrives_and_its_status_stays(
    way: str, status: int, span: str, receiver: Receiver
) -> None:
    outcome = aiotel_run("ends.py", way, environ=sending_to(receiver))

    assert outcome.status == status
    assert outlines(receiver) == [[span]]


@pytest.mark.parametrize("first", ["structlog", "opentelemetry.sdk.trace", "aiotel.testing", "uvloop"])
def test_whatever_a_program_imports_first_its_tasks_are_seen(first: str, receiver: Receiver) -> None:
    outcome = aiotel_run("imports.py", first, environ=sending_to(receiver))

    assert (outcome.status, outcome.stderr) == (0, "")
    assert outlines(receiver) == [["main"]]


def test_tasks_of_exit_handlers_are_not_too_late(receiver: Receiver) -> None:
    outcome = aiotel_run("late.py", environ=sending_to(receiver))

    assert outcome.status == 0
    assert outlines(receiver) == [["goodbye"]]


def test_processes_that_multiprocessing_spawns_send_theirs(receiver: Receiver) -> None:
    outcome = aiotel_run("spawns.py", environ=sending_to(receiver))

    assert outcome.status == 0
    assert outlines(receiver) == [["main"], ["work"]]
    assert {span.resource["service.name"] for span in receiver.spans} == {"spawns"}
    assert len({span.resource["process.pid"] for span in receiver.spans}) == 2


def test_the_name_of_the_service_is_an_option(receiver: Receiver) -> None:
    aiotel_run("--service-name", "shop", "--endpoint", receiver.endpoint, "tasks.py", environ={})

    assert {span.resource["service.name"] for span in receiver.spans} == {"shop"}


def test_no_collector_is_one_line_and_nothing_else() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        endpoint = f"http://127.0.0.1:{taken.getsockname()[1]}"
    outcome = aiotel_run("tasks.py", environ={"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint})

    assert (outcome.status, outcome.stdout) == (0, "[0, 1, ValueError('no such order')] []\n")
    # How many still wait when the time is over is up to the exporters.
    assert re.sub(r"\d+ finished", "N finished", outcome.stderr) == (
        f"aiotel: not all telemetry could be sent to {endpoint} within 2 s (N finished tasks still waited); "
        "is a collector listening there, and fast enough? (aiotel view is one; see also flush_timeout)\n"
    )


def test_a_collector_that_never_answers_does_not_keep_the_program() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        endpoint = f"http://127.0.0.1:{silent.getsockname()[1]}"
        outcome = aiotel_run("--config", "flush_timeout=0.2", "--endpoint", endpoint, "tasks.py", environ={})

    assert (outcome.status, outcome.stdout) == (0, "[0, 1, ValueError('no such order')] []\n")
