"""The frame of the command line."""

import re
import sys

import pytest

from aiotel import __version__
from aiotel._cli import main

from .processes import AIOTEL, Outcome, run


def test_the_version_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    status = main(["--version"])

    assert (status, capsys.readouterr().out) == (0, f"aiotel {__version__}\n")


def test_help_lists_the_commands_and_shows_examples(capsys: pytest.CaptureFixture[str]) -> None:
    status = main(["--help"])

    output = capsys.readouterr().out
    assert status == 0
    assert "run a program with telemetry" in output
    assert "aiotel run -- gunicorn shop:app" in output


def test_no_command_is_answered_with_help_on_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    status = main([])

    output = capsys.readouterr()
    assert (status, output.out) == (2, "")
    assert output.err.startswith("usage: aiotel ")


def test_an_unknown_command_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    status = main(["rum", "script.py"])

    output = capsys.readouterr()
    assert (status, output.out, output.err.count("\n")) == (2, "", 1)
    assert output.err.startswith("aiotel: argument COMMAND: invalid choice: 'rum'")


def test_help_of_run_shows_its_three_ways(capsys: pytest.CaptureFixture[str]) -> None:
    status = main(["run", "--help"])

    output = capsys.readouterr().out
    assert status == 0
    for way in ("script.py [ARGUMENT ...]", "-m MODULE [ARGUMENT ...]", "-- COMMAND [ARGUMENT ...]"):
        assert f"aiotel run [OPTIONS] {way}" in output


def test_python_dash_m_runs_the_command_line() -> None:
    outcome = run(*AIOTEL, "--version")

    assert outcome == Outcome(status=0, stdout=f"aiotel {__version__}\n", stderr="")


def test_reading_the_command_line_of_run_imports_neither_the_receiver_nor_rich() -> None:
    outcome = run(sys.executable, "-X", "importtime", *AIOTEL[1:], "run", "no-such-script")

    imported = {line.rpartition("|")[2].strip() for line in outcome.stderr.splitlines()}
    assert "aiotel._cli.environment" in imported
    assert {name for name in imported if re.match(r"rich|aiotel\._receiver|http\.server", name)} == set()
