"""Options, and what the environment holds already, reach the program as environment variables."""

import json
import sys
from collections.abc import Sequence

import pytest

from .processes import Outcome, aiotel_run, run

# Without `site` there is no aiotel in it: these are the variables as the launcher left them.
VARIABLES = ("--", sys.executable, "-S", "variables.py")


def test_options_are_handed_on_in_the_environment() -> None:
    outcome = aiotel_run(
        *("--service-name", "shop", "--endpoint", "https://[::1]:4318/otlp"),
        *("--config", "stack_frames=7", "--config=detach=a.*,b"),
        *VARIABLES,
        environ={},
    )

    expected = [
        "AIOTEL_DETACH=a.*,b",
        "AIOTEL_STACK_FRAMES=7",
        "OTEL_EXPORTER_OTLP_ENDPOINT=https://[::1]:4318/otlp",
        "OTEL_SERVICE_NAME=shop",
    ]
    assert outcome == Outcome(status=0, stdout=f"{expected}\n", stderr="")


@pytest.mark.parametrize(
    ("command_line", "complaint"),
    [
        ([], "there is no program to run"),
        (["--"], "there is no program to run"),
        (["-m"], "-m needs the name of a module"),
        (["nope.py", "x"], "cannot open 'nope.py': no such file or directory"),
        (
            ["sh", "-c", "exit 1"],
            "cannot open 'sh': no such file or directory; for a command: aiotel run -- sh -c 'exit 1'",
        ),
        (["--servce-name", "x", "facts.py"], "unrecognized arguments: --servce-name"),
        (["--service-name", "", "facts.py"], "--service-name must not be empty"),
        (
            ["--endpoint", "localhost:4318", "facts.py"],
            "--endpoint: 'localhost:4318' is no endpoint: it must begin with http:// or https://, for example http://localhost:4318",
        ),
        (
            ["--endpoint", "http://:4318", "facts.py"],
            "--endpoint: 'http://:4318' is no endpoint: it names no host and port; use for example http://localhost:4318",
        ),
        (
            ["--endpoint", "http://a:99999", "facts.py"],
            "--endpoint: 'http://a:99999' is no endpoint (Port out of range 0-65535); use for example http://localhost:4318",
        ),
        (["--config", "disabled", "facts.py"], "--config takes FIELD=VALUE, not 'disabled'"),
        (
            ["--config", "stack_frame=3", "facts.py"],
            "--config: stack_frame is not a setting; did you mean stack_frames?",
        ),
        (
            ["--config", "stack_frames=x", "facts.py"],
            "--config: stack_frames must be a whole number, not 'x'",
        ),
    ],
)
def test_bad_use_is_one_line_and_status_2(command_line: Sequence[str], complaint: str) -> None:
    outcome = aiotel_run(*command_line)

    assert outcome == Outcome(
        status=2, stdout="", stderr=f"aiotel run: {complaint} (see aiotel run --help)\n"
    )


def test_what_cannot_be_used_in_the_environment_is_told_and_the_program_runs() -> None:
    environ = {
        "AIOTEL_STACK_FRAMES": "many",
        "AIOTEL_FLUSH_TIMEOT": "1",
        "AIOTEL_FLUSH_TIMEOUT": "1",
    }
    outcome = aiotel_run(*VARIABLES, environ=environ)

    assert outcome == Outcome(
        status=0,
        stdout="['AIOTEL_FLUSH_TIMEOUT=1']\n",
        stderr="aiotel: AIOTEL_STACK_FRAMES is ignored: stack_frames must be a whole number, not 'many'\n"
        "aiotel: AIOTEL_FLUSH_TIMEOT is ignored: "
        "flush_timeot is not a setting; did you mean flush_timeout?\n",
    )


def test_an_endpoint_for_grpc_needs_no_scheme() -> None:
    outcome = aiotel_run(
        "--endpoint", "a:4317", "--", "true", environ={"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}
    )

    assert outcome == Outcome(status=0, stdout="", stderr="")


def test_the_kill_switch_leaves_nothing_of_aiotel_in_the_program() -> None:
    look = (
        "import os, sys; print([name for name in sys.modules if 'aiotel' in name], os.environ['PYTHONPATH'])"
    )
    outcome = aiotel_run("--", sys.executable, "-c", look, environ={"AIOTEL_DISABLED": "true"})

    plain = run(sys.executable, "-c", look)
    assert plain == outcome


def test_without_a_usable_redact_no_message_leaves() -> None:
    outcome = aiotel_run("fails.py", environ={"AIOTEL_REDACT": "nonsense"})

    assert outcome.status == 0
    assert "AIOTEL_REDACT is ignored: redact must be module:name of a function" in outcome.stderr
    logs = [json.loads(line) for line in outcome.stderr.splitlines() if line.startswith("{")]
    assert [log["exception.message"] for log in logs] == ["[withheld: AIOTEL_REDACT cannot be used]"]


def test_a_function_may_be_in_a_module_beside_the_program() -> None:
    outcome = aiotel_run("fails.py", environ={"AIOTEL_REDACT": "fails:without_cards"})

    logs = [json.loads(line) for line in outcome.stderr.splitlines() if line.startswith("{")]
    assert [log["exception.message"] for log in logs] == ["card ****"]
