"""Programs that block their loop in each way that can be heard, and look-alikes that do not."""

from __future__ import annotations

import random
import socket
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ..conftest import Loops
from .wire import Program, Told, program_of, wire

pytestmark = pytest.mark.slow

# Each in a task of its own; `path` is a file in a directory of its own, `port` that of a listener.
BLOCKING = {
    "builtins.input": "input()",
    "fcntl.flock": "fcntl.flock(held, fcntl.LOCK_EX)",
    "fcntl.lockf": "fcntl.lockf(held, fcntl.LOCK_EX)",
    "http.client.connect": "http.client.HTTPConnection('127.0.0.1', free).connect()",
    "http.client.send": "talking.request('GET', '/')",
    "open": "open(path).close()",
    "os.listdir": "os.listdir(folder)",
    "os.scandir": "os.scandir(folder).close()",
    "os.system": "os.system('true')",
    "shutil.copyfile": "shutil.copyfile(path, path + '.copy')",
    "shutil.move": "shutil.move(path + '.copy', path + '.moved')",
    "shutil.rmtree": "shutil.rmtree(folder + '/made')",
    "smtplib.connect": "smtplib.SMTP('127.0.0.1', free)",
    "socket.connect": "socket.create_connection(('127.0.0.1', port)).close()",
    "socket.getaddrinfo": "socket.getaddrinfo('localhost', 80)",
    "socket.gethostbyaddr": "socket.gethostbyaddr('127.0.0.1')",
    "socket.gethostbyname": "socket.gethostbyname('localhost')",
    "socket.getnameinfo": "socket.getnameinfo(('127.0.0.1', 80), 0)",
    "sqlite3.connect": "sqlite3.connect(path + '.db').close()",
    "subprocess.Popen": "subprocess.run(['true'])",
    "time.sleep": "time.sleep(0.000001)",
    "urllib.Request": "urllib.request.urlopen(f'http://127.0.0.1:{free}/')",
}
if sys.version_info < (3, 13):
    del BLOCKING["time.sleep"]

# Other ways to the same.
WAYS = {
    "os_open": ("open", "os.close(os.open(path, os.O_RDONLY))"),
    "read_text": ("open", "pathlib.Path(path).read_text()"),
    "iterdir": (
        "os.scandir" if sys.version_info >= (3, 13) else "os.listdir",
        "list(pathlib.Path(folder).iterdir())",
    ),
    "walk": ("os.scandir", "list(os.walk(folder))"),
    "popen": ("subprocess.Popen", "os.popen('true').close()"),
    "copy": ("shutil.copyfile", "shutil.copy(path, path + '.too')"),
    "connect": ("socket.connect", "slow.connect(('127.0.0.1', port))"),
}

SETTING = """
import asyncio, contextlib, fcntl, http.client, importlib, io, logging, logging.handlers, multiprocessing, os
import pathlib, shutil, smtplib, socket, sqlite3, subprocess, sys, threading, time, traceback, linecache
import urllib.request
from concurrent.futures import ProcessPoolExecutor
import aiotel

def prepare(folder_, path_, port_, free_):
    global folder, path, port, free, held, talking, slow
    folder, path, port, free = folder_, path_, port_, free_
    os.mkdir(folder + "/made")
    held = open(path, "w")
    talking = http.client.HTTPConnection("127.0.0.1", port)
    talking.connect()
    slow = socket.socket()

def finish():
    for each in (held, talking, slow):
        each.close()
"""


@pytest.fixture
def places(tmp_path: Path) -> Iterator[tuple[str, str, int, int]]:
    folder = tmp_path / "private"
    folder.mkdir()
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        yield str(folder), str(folder / "secret"), listener.getsockname()[1], unused.getsockname()[1]


def told_of(
    text: str, loops: Loops, capsys: pytest.CaptureFixture[str], places: Any, *given: str, **settings: Any
) -> tuple[Program, Told]:
    program = program_of(SETTING + textwrap.dedent(text), *given)
    program.namespace["prepare"](*places)
    try:
        with wire(capsys, blocking_calls=True, **settings) as told:
            loops.run(program.namespace["main"]())
    finally:
        program.namespace["finish"]()
    return program, told


def calls_of(told: Told) -> list[Any]:
    return [log for log in told.logs if log.event_name == "asyncio.blocking_call"]


def counts_of(told: Told) -> dict[tuple[Any, Any], Any]:
    return {
        (point.attributes["asyncio.blocking_call.name"], point.attributes["code.function.name"]): point.value
        for point in told.metrics
        if point.name == "asyncio.blocking_calls" and point.attributes
    }


def test_each_call_that_blocks_is_told_once_with_its_line_and_its_task(
    loops: Loops, capsys: pytest.CaptureFixture[str], places: Any
) -> None:
    cases = {f"F{index}": (call, text) for index, (call, text) in enumerate(sorted(BLOCKING.items()))}
    cases |= {name.upper(): case for name, case in WAYS.items()}
    text = "".join(
        f"""
async def {name}():
    await asyncio.sleep(0)
    with contextlib.suppress(Exception):
        {statement}  #! {name}
"""
        for name, (_, statement) in cases.items()
    )
    runs = "".join(f"    await asyncio.create_task({name}(), name='task {name}')\n" for name in cases)
    # The longer names first: some begin with others.
    given = sorted(cases, key=len, reverse=True)

    program, told = told_of(f"{text}\nasync def main():\n{runs}", loops, capsys, places, *given)

    logs = calls_of(told)
    spans = {span.span_id: span for span in told.spans}
    assert [
        (log.attributes["asyncio.blocking_call.name"], log.attributes["code.function.name"]) for log in logs
    ] == [(call, program.qualified(name)) for name, (call, _) in cases.items()]
    assert counts_of(told) == {(call, program.qualified(name)): 1 for name, (call, _) in cases.items()}
    for log, name in zip(logs, cases, strict=True):
        given_name = program.names[name]
        assert log.severity_text == "WARN"
        assert log.body == (
            f"Blocking call on the event loop's thread: {cases[name][0]} "
            f"by {program.qualified(name)}, line {program.marked[given_name]}"
        )
        assert dict(log.attributes) == {
            "asyncio.blocking_call.name": cases[name][0],
            "code.function.name": program.qualified(name),
            "code.file.path": program.file,
            "code.line.number": program.marked[given_name],
            "asyncio.task.name": f"task {given_name}",
            "asyncio.task.function": program.qualified(name),
        }
        assert spans[log.span_id].name == given_name
        assert spans[log.span_id].trace_id == log.trace_id
    assert "secret" not in repr(told.logs) + repr(told.lines)
    assert [line["event"] for line in told.lines] == [log.body for log in told.logs]


def test_what_is_called_again_is_counted_and_then_told_as_a_number(
    loops: Loops, capsys: pytest.CaptureFixture[str], places: Any
) -> None:
    program, told = told_of(
        """
        async def CALLER():
            for _ in range(5):
                open(path).close()
                await asyncio.sleep(0)

        async def main():
            await asyncio.create_task(CALLER())
        """,
        loops,
        capsys,
        places,
        "CALLER",
    )

    first, again = calls_of(told)
    assert again.attributes["asyncio.repeated"] == 4
    assert "asyncio.repeated" not in first.attributes
    assert (again.attributes.get("asyncio.task.function"), again.span_id) == (None, None)
    assert counts_of(told) == {("open", program.qualified("CALLER")): 5}


INNOCENT = {
    "names by the loop": """
        await loop.getaddrinfo('localhost', 80)
        """,
    "a thread": """
        await asyncio.to_thread(read)
        """,
    "an executor": """
        await loop.run_in_executor(None, read)
        """,
    "an executor of processes": """
        context = multiprocessing.get_context('spawn')
        executor = ProcessPoolExecutor(1, mp_context=context)
        await loop.run_in_executor(executor, abs, -1)
        executor.shutdown()
        """,
    "a process by asyncio": """
        process = await asyncio.create_subprocess_exec(
            'true', stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE
        )
        await process.communicate()
        """,
    "a shell by asyncio": """
        process = await asyncio.create_subprocess_shell('true')
        await process.wait()
        """,
    "a process by the loop": """
        ended = loop.create_future()
        class Waits(asyncio.SubprocessProtocol):
            def process_exited(self):
                ended.set_result(None)
        transport, _ = await loop.subprocess_exec(Waits, 'true')
        await ended
        transport.close()
        await asyncio.sleep(0)
        """,
    "a connection by asyncio": """
        _, writer = await asyncio.open_connection('localhost', port)
        writer.close()
        """,
    "servers by asyncio": """
        for server in (
            await asyncio.start_server(print, 'localhost', 0),
            await asyncio.start_unix_server(print, path + '.socket'),
        ):
            server.close()
            await server.wait_closed()
        """,
    "a datagram endpoint": """
        transport, _ = await loop.create_datagram_endpoint(
            asyncio.DatagramProtocol, remote_addr=('127.0.0.1', port)
        )
        transport.close()
        """,
    "a socket that does not wait": """
        with socket.socket() as there:
            there.setblocking(False)
            await loop.sock_connect(there, ('127.0.0.1', port))
        """,
    "a datagram socket": """
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as there:
            there.connect(('127.0.0.1', 9))
        """,
    "an address in numbers": """
        socket.getaddrinfo('127.0.0.1', 80)
        socket.getaddrinfo(None, 80)
        socket.getaddrinfo(b'::1', 80)
        socket.gethostbyname('127.0.0.1')
        """,
    "a sleep of no time": """
        time.sleep(0)
        """,
    "a descriptor": """
        open(os.dup(held.fileno()), 'w').close()
        """,
    "no disk": """
        open('/dev/null').close()
        sqlite3.connect(':memory:').close()
        """,
    "a lock that is not waited for": """
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        fcntl.flock(held, fcntl.LOCK_UN)
        """,
    "an import": """
        sys.path.insert(0, folder)
        import FRESH
        sys.path.remove(folder)
        del sys.modules['FRESH']
        """,
    "logging": """
        handler = logging.handlers.RotatingFileHandler(path + '.log', maxBytes=10, backupCount=1, delay=True)
        record = logging.LogRecord('any', 10, 'any', 1, 'x' * 30, (), None)
        handler.emit(record)
        handler.emit(record)
        handler.close()
        """,
    "a traceback": """
        linecache.clearcache()
        try:
            raise OSError
        except OSError:
            traceback.format_exc()
        """,
    "a block that is allowed": """
        with aiotel.blocking_allowed():
            open(path).close()
            await asyncio.sleep(0)
            shutil.copyfile(path, path + '.copy')
        """,
    "a function that is allowed": """
        load_settings()
        """,
}


@pytest.mark.parametrize("statements", INNOCENT.values(), ids=INNOCENT.keys())
def test_what_does_not_block_or_is_allowed_gives_nothing(
    loops: Loops, capsys: pytest.CaptureFixture[str], places: Any, statements: str
) -> None:
    text = """
def read():
    open(path).close()
    return os.listdir(folder)

def load_settings():
    return [read() for _ in range(2)]

async def main():
    await asyncio.create_task(CALLER(asyncio.get_running_loop()))

async def CALLER(loop):
    await asyncio.sleep(0)
"""
    fresh = f"fresh_{random.randrange(1 << 32)}"
    Path(places[0], f"{fresh}.py").write_text("import os\nos.listdir('.')\nopen(__file__).close()\n")

    _, told = told_of(
        text + textwrap.indent(textwrap.dedent(statements.replace("FRESH", fresh)), "    "),
        loops,
        capsys,
        places,
        "CALLER",
        blocking_allowed=("program_*.load_*", "jinja2.*"),
    )

    assert [(log.event_name, dict(log.attributes)) for log in told.logs] == []
    assert counts_of(told) == {}
    assert {point.value for point in told.metrics if point.name == "asyncio.blocking_calls"} == {0}
