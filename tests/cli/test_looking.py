"""Look into real processes, deadlocked ones and ones whose loop is blocked, as a user would."""

from __future__ import annotations

import json
import os
import random
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from aiotel._cli import main
from aiotel._status import client
from aiotel._status.protocol import Request
from aiotel.errors import AttachError

from .processes import AIOTEL, SENDING_NOTHING, Outcome, run, start

pytestmark = pytest.mark.slow

LOOPS = ("", "uvloop") if find_spec("uvloop") else ("",)
Bank = Callable[..., subprocess.Popen[bytes]]


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """Where no other process's sockets are."""
    return {**SENDING_NOTHING, "XDG_RUNTIME_DIR": str(tmp_path), "PYTHONUTF8": "1"}


@pytest.fixture
def names() -> list[str]:
    """Names that nobody can know, in the order in which they deadlock."""
    source = random.Random(random.randrange(1 << 32))
    return ["".join(source.choices("abcdefghijklm", k=8)) + str(number) for number in range(2)]


@pytest.fixture
def bank(environ: dict[str, str]) -> Iterator[Bank]:
    """Starts banks, and kills them after the test."""
    started: list[subprocess.Popen[bytes]] = []

    def begin(*arguments: str) -> subprocess.Popen[bytes]:
        process = start(sys.executable, "bank.py", *arguments, environ=environ)
        started.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        return process

    yield begin
    for process in started:
        process.kill()
        process.communicate()


def _aiotel(environ: dict[str, str], *arguments: object) -> Outcome:
    return run(*AIOTEL, *map(str, arguments), environ=environ)


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("mode", ["dead", "busy"])
def test_ps_tree_and_where_see_it(
    mode: str, loop: str, bank: Bank, names: list[str], environ: dict[str, str]
) -> None:
    pid = bank(mode, *names, *filter(None, [loop])).pid
    one, other = names

    listed = _aiotel(environ, "ps", pid)
    drawn = _aiotel(environ, "tree", pid)
    shown = _aiotel(environ, "where", pid, one)

    assert [listed.status, drawn.status, shown.status] == [0, 0, 0]
    assert [listed.stderr, drawn.stderr, shown.stderr] == ["", "", ""]
    row = next(line for line in listed.stdout.splitlines() if line.split()[3:4] == [one])
    assert row.split()[0] == "waiting"
    assert row.endswith(f", held by {other}")
    assert drawn.stdout.splitlines()[2 + (mode == "busy")].startswith("2 tasks have waited up to")
    assert re.search(rf"  ╭▶ {one}  transfer  bank.py:\d+  holds Lock A, waits", drawn.stdout)
    assert re.search(rf"  ╰─ {other}  transfer  bank.py:\d+  holds Lock B, waits", drawn.stdout)
    assert "stack, from its coroutine to where it stands\n    " in shown.stdout
    assert re.search(r"bank.py:\d+ in transfer\n", shown.stdout)
    assert "holds      Lock A, since " in shown.stdout


def test_a_task_that_blocks_the_loop_is_seen_where_it_is(
    bank: Bank, names: list[str], environ: dict[str, str]
) -> None:
    pid = bank("busy", *names).pid

    listed = _aiotel(environ, "ps", pid).stdout.splitlines()
    shown = _aiotel(environ, "where", pid, "busy").stdout

    running = next(line for line in listed if line.startswith("running"))
    assert running.split()[2:4] == ["busy", "block"]
    assert "  state      running" in shown
    stack = shown.splitlines()[-1]
    assert "bank.py:" in stack
    assert stack.endswith(" in block")


def test_where_goes_through_asynchronous_generators(
    bank: Bank, names: list[str], environ: dict[str, str]
) -> None:
    shown = _aiotel(environ, "where", bank("dead", *names).pid, "count").stdout

    stack = shown.partition("where it stands\n")[2].splitlines()
    assert [line.rpartition(" in ")[2] for line in stack] == ["count", "amounts", "asyncio.locks.Event.wait"]


@pytest.fixture
def only_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever else runs on this machine is not looked for."""
    monkeypatch.setattr(client, "_own_directories", lambda _: [tmp_path / "aiotel"])


@pytest.mark.usefixtures("only_here")
def test_the_process_need_not_be_named_where_it_is_the_only_one(
    bank: Bank, environ: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    nobody = (main(["ps"]), *capsys.readouterr())
    first = bank("dead", "one", "other").pid
    _aiotel(environ, "ps", first)
    alone = (main(["ps"]), *capsys.readouterr())
    second = bank("dead", "one", "other").pid
    _aiotel(environ, "ps", second)
    both = (main(["where", "one"]), *capsys.readouterr())

    assert [each[0] for each in (nobody, alone, both)] == [1, 0, 2]
    assert nobody[2].startswith("aiotel: there is no process to look into: ")
    assert f"process {first}," in alone[1]
    lines = both[2].splitlines()
    assert lines[0] == "aiotel: which process? there are:"
    assert [line.split()[1] for line in lines[1:]] == sorted(map(str, (first, second)), key=int)
    assert lines[1].endswith("bank.py dead one other")


def test_a_task_that_is_not_clear_is_asked_for_again(
    bank: Bank, names: list[str], environ: dict[str, str]
) -> None:
    pid = bank("dead", *names).pid

    outcome = _aiotel(environ, "where", pid, "transf")
    identity = outcome.stderr.splitlines()[1].split()[1]
    again = _aiotel(environ, "where", pid, identity)

    assert (outcome.status, outcome.stdout, again.status) == (2, "", 0)
    assert outcome.stderr.startswith("aiotel: which task? there are, perhaps among others:\n")
    assert f"  id         {identity}\n" in again.stdout


def test_json_is_for_programs(bank: Bank, names: list[str], environ: dict[str, str]) -> None:
    pid = bank("dead", *names).pid

    listed = json.loads(_aiotel(environ, "ps", pid, "--json").stdout)
    dumped = json.loads(_aiotel(environ, "dump", pid).stdout)

    assert listed["pid"] == dumped["pid"] == pid
    assert dumped["command"] == "bank.py"
    tasks = dumped["snapshot"]["tasks"]
    assert set(names) <= {each["task"]["name"] for each in tasks}
    assert all(each["stack"] for each in tasks)


def test_graphs_are_written(bank: Bank, names: list[str], environ: dict[str, str]) -> None:
    pid = bank("dead", *names).pid

    graphviz = _aiotel(environ, "dump", pid, "--format", "dot").stdout.splitlines()
    mermaid = _aiotel(environ, "dump", pid, "--format", "mermaid").stdout.splitlines()

    assert (graphviz[0], graphviz[-1], mermaid[0]) == ("digraph waits {", "}", "flowchart LR")
    assert any(f'label="{names[0]}\\n' in line for line in graphviz)
    assert any(f'["{names[1]}<br>' in line for line in mermaid)


def test_a_name_cannot_command_the_terminal(bank: Bank, environ: dict[str, str]) -> None:
    pid = bank("dead", "\x1b]0;owned\x07", "a\nb").pid

    for command in (("ps",), ("tree",), ("where", "\x1b"), ("dump", "--format", "dot")):
        name, *rest = command
        outcome = _aiotel(environ, name, pid, *rest)
        assert outcome.status == 0
        assert "\x1b" not in outcome.stdout
        assert "owned" in outcome.stdout


@pytest.mark.parametrize("command", ["ps", "tree", "dump"])
def test_a_process_that_is_not_there_is_told_so(command: str, environ: dict[str, str]) -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()

    outcome = _aiotel(environ, command, gone.pid)

    assert outcome == Outcome(status=1, stdout="", stderr=f"aiotel: there is no process {gone.pid}\n")


def test_a_process_without_aiotel_is_told_so(bank: Bank, names: list[str], environ: dict[str, str]) -> None:
    pid = bank("plain", *names).pid

    outcome = _aiotel(environ, "ps", pid)

    assert (outcome.status, outcome.stdout) == (1, "")
    assert outcome.stderr.startswith(f"aiotel: process {pid} does not listen: it has no aiotel (")


def test_a_process_that_was_killed_is_told_so(
    bank: Bank, names: list[str], environ: dict[str, str], tmp_path: Path
) -> None:
    process = bank("dead", *names)
    _aiotel(environ, "ps", process.pid)
    process.kill()
    process.wait()

    outcome = _aiotel(environ, "ps", process.pid)

    assert (tmp_path / "aiotel" / f"{process.pid}.sock").exists()
    assert outcome == Outcome(status=1, stdout="", stderr=f"aiotel: there is no process {process.pid}\n")


def test_a_socket_that_a_killed_process_left_is_removed_by_the_next(
    bank: Bank, names: list[str], environ: dict[str, str], tmp_path: Path
) -> None:
    killed = bank("dead", *names)
    _aiotel(environ, "ps", killed.pid)
    killed.kill()
    killed.wait()
    before = [path.stem for path in (tmp_path / "aiotel").iterdir()]

    living = bank("dead", *names)
    _aiotel(environ, "ps", living.pid)

    assert before == [str(killed.pid)]
    assert [path.stem for path in (tmp_path / "aiotel").iterdir()] == [str(living.pid)]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_another_users_process_is_told_to_be_so(
    bank: Bank, names: list[str], environ: dict[str, str], tmp_path: Path
) -> None:
    pid = bank("dead", *names).pid
    _aiotel(environ, "ps", pid)
    script = (
        "import locale, os, shutil, sys\n"
        "from aiotel._cli import main; import aiotel._cli.ps, aiotel._status.client\n"
        f"import aiotel._receiver.terminal.text\nos.setuid(12345)\nsys.exit(main(['ps', '{pid}']))"
    )

    outcome = run(sys.executable, "-c", script, environ=environ)

    assert outcome.status == 1
    assert outcome.stderr == f"aiotel: process {pid} is another user's: ask as that user, or as root\n"


def test_a_process_that_is_stopped_is_not_waited_for_without_end(
    bank: Bank, names: list[str], environ: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    process = bank("dead", *names)
    _aiotel(environ, "ps", process.pid)
    monkeypatch.setattr(client, "PATIENCE_S", 0.2)
    process.send_signal(signal.SIGSTOP)

    with pytest.raises(AttachError, match="does not answer within"):
        client.ask(process.pid, Request(do="ps"), environ)


def test_a_client_that_vanishes_does_not_kill_who_dies_of_broken_pipes(
    bank: Bank, names: list[str], environ: dict[str, str], tmp_path: Path
) -> None:
    process = bank("fragile", *names)
    _aiotel(environ, "ps", process.pid)
    for _ in range(20):
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(tmp_path / "aiotel" / f"{process.pid}.sock"))
            client.sendall(b'{"v":1,"do":"dump"}\n' * 3)

    outcome = _aiotel(environ, "ps", process.pid)

    assert (outcome.status, process.poll()) == (0, None)


def test_who_reads_the_output_may_stop_reading(bank: Bank, names: list[str], environ: dict[str, str]) -> None:
    pid = bank("dead", *names).pid
    command = start(*AIOTEL, "dump", str(pid), environ=environ)
    assert command.stdout is not None
    assert command.stderr is not None
    command.stdout.close()

    with command:
        assert (command.stderr.read(), command.wait(50)) == (b"", 0)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["ps", "zero"], "aiotel ps: argument PID: 'zero' is not the number of a process"),
        (["ps", "0"], "aiotel ps: argument PID: '0' is not the number of a process"),
        (["where"], "aiotel where: the following arguments are required: TASK"),
        (["dump", "1", "--format", "png"], "aiotel dump: argument --format: invalid choice: 'png'"),
    ],
)
def test_bad_use_is_one_line(arguments: list[str], words: str, environ: dict[str, str]) -> None:
    outcome = _aiotel(environ, *arguments)

    assert (outcome.status, outcome.stdout, outcome.stderr.count("\n")) == (2, "", 1)
    assert outcome.stderr.startswith(words)
