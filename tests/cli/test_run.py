"""What a program does under `aiotel run` is what it does without."""

import json
import sys
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from .processes import AIOTEL, DEADLINE, PROGRAMS, ROOT, SENDING_NOTHING, Outcome, aiotel_run, run, start


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    program: Sequence[str]
    flags: Sequence[str] = ("-m",)  # what stands between `python` and `aiotel`
    environ: Mapping[str, str] = field(default_factory=dict)
    stdin: str = ""
    logs: Sequence[str] = ()  # the severities of what aiotel logs on stderr: a line of JSON each


CASES = {
    "a script": Case(
        program=["facts.py", "-m", "-h", "--", "--config", "a=b", ""],
        environ={"LANG": "C.UTF-8", "LC_CTYPE": "C.UTF-8"},
    ),
    "flags of Python": Case(program=["facts.py"], flags=["-u", "-Xdev", "-W", "ignore", "-BO", "-m"]),
    "flags joined to -m": Case(program=["facts.py"], flags=["-X", "utf8=0", "-Pm"]),
    "the C locale": Case(program=["facts.py"], environ={"LANG": "C"}),
    "a module": Case(program=["-m", "facts", "-m", "--", "x"]),
    "a module joined to -m": Case(program=["-mpackage", "x"]),
    "a directory": Case(program=["package", "x"]),
    "a zip": Case(program=["zipped.pyz", "x"]),
    "no such module": Case(program=["-m", "nothing_like_it"]),
    "a directory without a program": Case(program=["shadowing"]),
    "a syntax error": Case(program=["syntax.py"]),
    "worker processes": Case(program=["workers.py", "x"]),
    "warnings as errors": Case(program=["warns.py"], flags=["-W", "error", "-m"]),
    "warnings": Case(program=["warns.py"], environ={"PYTHONWARNINGS": "always"}),
    "a warning at the very end": Case(program=["lost.py"]),
    "exit number": Case(program=["ends.py", "number"]),
    "exit text": Case(program=["ends.py", "text"]),
    "an exception": Case(program=["ends.py", "exception"]),
    "an exception of a coroutine": Case(program=["ends.py", "coroutine"], logs=["critical"]),
    "an exception group": Case(program=["ends.py", "group"]),
    "Ctrl-C": Case(program=["ends.py", "keyboard"]),
    "Ctrl-C in a loop": Case(program=["ends.py", "interrupt"]),
    "SIGTERM": Case(program=["ends.py", "terminate"]),
    "an end at once": Case(program=["ends.py", "at once"]),
    "stdin": Case(program=["ends.py", "stdin"], stdin="grüße\n"),
}


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The programs, and those that no repository would hold as files."""
    directory = tmp_path_factory.mktemp("programs")
    for program in PROGRAMS.iterdir():
        (directory / program.name).symlink_to(program)
    with zipfile.ZipFile(directory / "zipped.pyz", "w") as archive:
        archive.write(PROGRAMS / "package" / "__main__.py", "__main__.py")
    (directory / "syntax.py").write_text("x = = 1\n")
    return directory


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_a_program_behaves_as_without_aiotel(case: Case, directory: Path) -> None:
    environ = {**SENDING_NOTHING, **case.environ}
    *flags, last = case.flags
    if last != "-m":
        flags.append(last.removesuffix("m"))
    plain = [sys.executable, *flags, *case.program]
    under_aiotel = [sys.executable, *case.flags, "aiotel", "run", *case.program]

    outcomes = [
        run(*command, environ=environ, directory=directory, stdin=case.stdin)
        for command in (plain, under_aiotel)
    ]

    logs, stderr = _without_logs(outcomes[1].stderr)
    assert outcomes[0] == replace(outcomes[1], stderr=stderr)
    assert list(case.logs) == [log["level"] for log in logs]


def _without_logs(stderr: str) -> tuple[list[dict[str, object]], str]:
    """The lines of JSON, and the rest."""
    lines = stderr.splitlines(keepends=True)
    logs = [json.loads(line) for line in lines if line.startswith("{")]
    return logs, "".join(line for line in lines if not line.startswith("{"))


def test_a_program_has_its_own_modules_whatever_their_names() -> None:
    plain = run(sys.executable, "shadowing/program.py")
    under_aiotel = aiotel_run("shadowing/program.py")

    assert plain.stdout == under_aiotel.stdout
    assert under_aiotel.stderr == (
        f"aiotel: running without telemetry: {PROGRAMS / 'shadowing' / 'random.py'} "
        "has the name of a module that telemetry needs; rename it\n"
    )


def test_a_command_keeps_its_arguments_its_status_and_its_process() -> None:
    with start(*AIOTEL, "run", "--", "sh", "-c", 'echo $$ "$@"; exit 5', "-", "--", "-h") as process:
        stdout, _ = process.communicate(timeout=DEADLINE)

    assert (process.returncode, stdout.decode()) == (5, f"{process.pid} -- -h\n")


def test_a_command_ends_by_sigpipe_as_without_aiotel() -> None:
    outcome = aiotel_run("--", "sh", "-c", "yes | head -n 1")

    assert outcome == Outcome(status=0, stdout="y\n", stderr="")


def test_a_command_that_is_not_there_is_status_127() -> None:
    outcome = aiotel_run("--", "no-such-command", "x")

    assert outcome == Outcome(status=127, stdout="", stderr="aiotel: command not found: no-such-command\n")


def test_a_command_that_cannot_be_executed_is_status_126() -> None:
    outcome = aiotel_run("--", "./facts.py")

    assert outcome == Outcome(
        status=126, stdout="", stderr="aiotel: cannot run ./facts.py: permission denied\n"
    )


def test_a_python_that_ignores_the_environment_runs_without_telemetry_and_says_so() -> None:
    outcome = run(
        *(sys.executable, "-E", "-m", "aiotel", "run", PROGRAMS / "ends.py", "number"), directory=ROOT
    )

    complaint = "aiotel: running without telemetry: with -E or -I, Python does not look at PYTHONPATH\n"
    assert outcome == Outcome(status=7, stdout="unflushed from a thread\nfrom atexit\n", stderr=complaint)
