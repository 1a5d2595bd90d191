"""Calls that block are found wherever they are made, and the one who makes them never notices."""

from __future__ import annotations

import asyncio
import importlib
import os
import shutil
import socket
import subprocess
import sys
import textwrap
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import aiotel
from aiotel._complaints import complaints
from aiotel._faults import faults
from aiotel._hooks import audit
from aiotel.testing import Receiver

from ..conftest import Loops, Telemetry
from . import test_unstarted


@pytest.fixture
def path(tmp_path: Path) -> str:
    path = tmp_path / "file"
    path.write_text("text")
    return str(path)


def read(path: str) -> str:
    with open(path) as file:  # noqa: PTH123  # the plainest call there is
        return file.read()


def told(telemetry: Telemetry) -> list[tuple[str, str]]:
    """What each log is about: the call, and the function without its module."""
    return [
        (log.attributes["asyncio.blocking_call.name"], log.attributes["code.function.name"].split(".")[-1])
        for log in telemetry.logs
        if log.event_name == "asyncio.blocking_call"
    ]


def counted(telemetry: Telemetry) -> dict[tuple[str, str], int]:
    return {
        (
            point.attributes["asyncio.blocking_call.name"],
            point.attributes["code.function.name"].split(".")[-1],
        ): point.value
        for point in telemetry.metrics()["asyncio.blocking_calls"]
        if point.attributes
    }


# Where a call may be made.


def test_a_callback_is_found_too(loops: Loops, telemetry: Telemetry, path: str) -> None:
    telemetry.start(blocking_calls=True)

    async def main() -> None:
        asyncio.get_running_loop().call_soon(read, path)
        await asyncio.sleep(0)

    loops.run(main())

    [log] = telemetry.logs
    assert told(telemetry) == [("open", "read")]
    assert (log.span_id, log.attributes.get("asyncio.task.name")) == (0, None)


def test_a_callback_of_the_standard_library_is_found_too(
    loops: Loops, telemetry: Telemetry, tmp_path: Path
) -> None:
    telemetry.start(blocking_calls=True)
    (tmp_path / "folder").mkdir()

    async def main() -> None:
        asyncio.get_running_loop().call_soon(shutil.rmtree, str(tmp_path / "folder"))
        await asyncio.sleep(0)

    loops.run(main())

    assert told(telemetry)[0][0] == "shutil.rmtree"


def test_a_protocol_is_found_too(loops: Loops, telemetry: Telemetry, path: str) -> None:
    telemetry.start(blocking_calls=True)
    received: list[str] = []
    done = asyncio.Event()

    class Reads(asyncio.Protocol):
        def data_received(self, data: bytes) -> None:
            received.append(read(path))
            done.set()

    async def main() -> None:
        loop = asyncio.get_running_loop()
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        transport, _ = await loop.create_connection(Reads, sock=ours)
        theirs.send(b"x")
        await done.wait()
        transport.close()
        theirs.close()
        await asyncio.sleep(0)

    loops.run(main())

    assert told(telemetry) == [("open", "read")]


def test_the_first_step_of_an_eager_task_has_its_task(loops: Loops, telemetry: Telemetry, path: str) -> None:
    telemetry.start(blocking_calls=True)

    async def reads_at_once() -> None:
        read(path)
        await asyncio.sleep(0)

    async def main() -> None:
        await asyncio.create_task(reads_at_once())

    loops.run(main())

    [log] = telemetry.logs
    assert log.span_id == telemetry.span("reads_at_once").context.span_id
    assert log.attributes["asyncio.task.function"].endswith("reads_at_once")


def test_a_loop_in_another_thread_is_found_too(loops: Loops, telemetry: Telemetry, path: str) -> None:
    telemetry.start(blocking_calls=True)

    async def main() -> None:
        read(path)

    thread = threading.Thread(target=lambda: loops.run(main()))
    thread.start()
    thread.join()

    assert told(telemetry) == [("open", "read")]


def test_a_program_that_is_imported_is_no_import(
    loops: Loops, telemetry: Telemetry, path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    telemetry.start(blocking_calls=True, blocking_allowed=("blocking_program.runs",))
    (tmp_path / "blocking_program.py").write_text(
        textwrap.dedent(
            """
            import aiotel

            async def main():
                open(aiotel.path_for_test).close()

            def runs():
                loop = aiotel.loop_for_test
                loop.run_until_complete(main())
                loop.close()

            runs()
            """
        )
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(aiotel, "path_for_test", path, raising=False)
    monkeypatch.setattr(aiotel, "loop_for_test", loops.new(), raising=False)
    importlib.import_module("blocking_program")
    del sys.modules["blocking_program"]

    assert told(telemetry) == [("open", "main")]


def test_with_one_loop_instrumented_others_are_left_alone(
    loops: Loops, telemetry: Telemetry, path: str
) -> None:
    async def main() -> None:
        read(path)

    loop, other = loops.new(), loops.new()
    telemetry.start(blocking_calls=True, loop=loop)
    other.run_until_complete(main())
    before = told(telemetry)
    loop.run_until_complete(main())
    loop.close()
    other.close()

    assert (before, told(telemetry)) == ([], [("open", "read")])


def test_without_a_running_loop_nothing_is_told(telemetry: Telemetry, path: str) -> None:
    telemetry.start(blocking_calls=True)
    read(path)

    assert told(telemetry) == []


def test_by_default_nothing_is_told(loops: Loops, telemetry: Telemetry, path: str) -> None:
    telemetry.start()

    async def main() -> None:
        read(path)

    loops.run(main())

    assert (told(telemetry), counted(telemetry)) == ([], {})


# What is told of it.


def package(tmp_path: Path, text: str) -> dict[str, Any]:
    """The functions of a package that is installed."""
    file = tmp_path / "lib" / "site-packages" / "package" / "files.py"
    names: dict[str, Any] = {"__name__": "package.files"}
    exec(compile(textwrap.dedent(text), str(file), "exec"), names)
    return names


def test_for_a_package_the_line_that_led_there_is_told_too(
    loops: Loops, telemetry: Telemetry, path: str, tmp_path: Path
) -> None:
    telemetry.start(blocking_calls=True)
    load = package(tmp_path, "def load(path):\n    open(path).close()\n")["load"]

    async def one() -> None:
        load(path)

    async def other() -> None:
        load(path)

    async def main() -> None:
        await one()
        await other()

    loops.run(main())

    logs = telemetry.logs
    assert told(telemetry) == [("open", "load"), ("open", "load")]
    assert [log.attributes["code.function.name"] for log in logs] == ["package.files.load"] * 2
    assert [log.attributes["code.line.number"] for log in logs] == [2, 2]
    assert [
        (
            log.attributes["asyncio.blocking_call.caller.function"].split(".")[-1],
            log.attributes["asyncio.blocking_call.caller.file"],
            log.attributes["asyncio.blocking_call.caller.line"],
        )
        for log in logs
    ] == [
        ("one", __file__, one.__code__.co_firstlineno + 1),
        ("other", __file__, other.__code__.co_firstlineno + 1),
    ]


def test_a_package_that_says_what_the_standard_library_would_is_not_believed(
    loops: Loops, telemetry: Telemetry, tmp_path: Path
) -> None:
    telemetry.start(blocking_calls=True)
    connect = package(
        tmp_path,
        """
        import sys

        def connect():
            sys.audit("http.client.connect", None, "there", 80)
        """,
    )["connect"]

    async def main() -> None:
        connect()

    loops.run(main())

    assert told(telemetry) == []


def test_a_call_speaks_for_what_it_does_but_not_for_the_programs_functions(
    loops: Loops, telemetry: Telemetry, tmp_path: Path
) -> None:
    telemetry.start(blocking_calls=True)
    (tmp_path / "from").mkdir()
    for name in ("a", "b"):
        (tmp_path / "from" / name).write_text("text")

    def copies(source: str, target: str) -> str:
        with open(source) as file:  # noqa: PTH123  # as above
            file.read()
        return target

    async def main() -> None:
        shutil.copytree(tmp_path / "from", tmp_path / "to")
        shutil.copytree(tmp_path / "from", tmp_path / "there", copy_function=copies)

    loops.run(main())

    assert told(telemetry)[:3] == [
        ("shutil.copytree", "main"),
        ("shutil.copytree", "main"),
        ("open", "copies"),
    ]
    assert counted(telemetry) == {("shutil.copytree", "main"): 2, ("open", "copies"): 2}


def test_equal_functions_of_two_files_are_two(loops: Loops, telemetry: Telemetry, path: str) -> None:
    telemetry.start(blocking_calls=True)
    functions = []
    for file in ("/srv/one.py", "/srv/two.py"):
        names: dict[str, Any] = {"__name__": "same"}
        exec(compile("def same(path):\n    open(path).close()\n", file, "exec"), names)
        functions.append(names["same"])

    async def main() -> None:
        for function in functions:
            function(path)

    loops.run(main())

    assert [log.attributes["code.file.path"] for log in telemetry.logs] == ["/srv/one.py", "/srv/two.py"]


# What is allowed.


def test_a_permit_is_that_tasks_alone_and_lasts_as_long_as_the_block(
    loops: Loops, telemetry: Telemetry, path: str
) -> None:
    telemetry.start(blocking_calls=True)

    async def child() -> None:
        read(path)

    async def main() -> None:
        with aiotel.blocking_allowed():
            with aiotel.blocking_allowed():
                pass
            read(path)
            await asyncio.sleep(0)
            read(path)
            before = asyncio.create_task(child())
            await before
            after = asyncio.create_task(child())
        await after

    async def again() -> None:
        read(path)

    loops.run(main())
    loops.run(again())

    assert counted(telemetry) == {("open", "read"): 3}
    first = telemetry.logs[0]
    assert first.attributes["asyncio.task.function"].endswith("<locals>.child")


def test_a_permit_is_good_in_a_callback_and_without_a_session(loops: Loops, path: str) -> None:
    def callback() -> None:
        with aiotel.blocking_allowed():
            read(path)

    async def main() -> None:
        asyncio.get_running_loop().call_soon(callback)
        await asyncio.sleep(0)

    callback()
    loops.run(main())


def test_a_permit_in_a_callback_is_not_for_the_tasks_that_it_creates(
    loops: Loops, telemetry: Telemetry, path: str
) -> None:
    telemetry.start(blocking_calls=True)
    tasks = []

    async def child() -> None:
        read(path)

    def callback() -> None:
        with aiotel.blocking_allowed():
            read(path)
            tasks.append(asyncio.get_running_loop().create_task(child()))

    async def main() -> None:
        asyncio.get_running_loop().call_soon(callback)
        await asyncio.sleep(0)
        await tasks[0]

    loops.run(main())

    assert counted(telemetry) == {("open", "read"): 1}


def test_a_permit_may_be_given_back_in_another_context(loops: Loops, telemetry: Telemetry, path: str) -> None:
    telemetry.start(blocking_calls=True)

    async def generate() -> AsyncIterator[int]:
        with aiotel.blocking_allowed():
            yield 1

    async def closes(generator: Any) -> None:
        await generator.aclose()

    async def main() -> None:
        generator = generate()
        await anext(generator)
        await asyncio.create_task(closes(generator))
        read(path)

    loops.run(main())

    assert told(telemetry) == [("open", "read")]


@pytest.mark.parametrize(
    "pattern", [f"{__name__}.loads", "*.loads", f"{__name__}.*.<locals>.main", "tests.hooks.*"]
)
def test_patterns_are_of_any_function_on_the_way(
    loops: Loops, telemetry: Telemetry, path: str, pattern: str
) -> None:
    telemetry.start(blocking_calls=True, blocking_allowed=(pattern,))

    async def main() -> None:
        loads(path)

    loops.run(main())

    assert (told(telemetry), counted(telemetry)) == ([], {})


def loads(path: str) -> list[str]:
    return [*map(read, [path])]


# Who calls does not notice.


def test_what_fails_in_it_does_not_reach_the_program(
    loops: Loops, telemetry: Telemetry, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: Any, **__: Any) -> None:
        raise LookupError("none of the program's business")

    session = telemetry.start(blocking_calls=True)
    monkeypatch.setattr(session._hooks._blocking._callers, "of", fails)  # type: ignore[union-attr]
    texts = []

    async def main() -> None:
        texts.append(read(path))

    loops.run(main())

    assert texts == ["text"]
    assert faults.latest.pop().startswith("LookupError: none of the program's business")
    faults.count -= 1


def test_a_program_at_its_recursion_limit_fails_as_without(
    loops: Loops, telemetry: Telemetry, path: str
) -> None:
    telemetry.start(blocking_calls=True)
    depths = []

    def deeper(depth: int) -> None:
        os.listdir(os.sep)  # noqa: PTH208  # its event is the same everywhere
        depths.append(depth)
        deeper(depth + 1)

    async def main() -> str:
        with pytest.raises(RecursionError):
            deeper(0)
        return read(path)

    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(400)
    try:
        assert loops.run(main()) == "text"
    finally:
        sys.setrecursionlimit(limit)

    assert len(depths) > 200
    assert ("open", "read") in told(telemetry)


def test_what_is_asked_for_a_report_is_not_reported(loops: Loops, telemetry: Telemetry, path: str) -> None:
    telemetry.start(blocking_calls=True)
    asked: list[str] = []
    within = False

    class Named(asyncio.Task[None]):
        def get_name(self) -> str:
            if within:
                asked.append(read(path))
            return "the name"

    def named(loop: Any, coro: Any, **given: Any) -> Any:
        return Named(coro, loop=loop, **given)

    async def work() -> None:
        nonlocal within
        await asyncio.sleep(0)
        within = True
        os.listdir(os.sep)  # noqa: PTH208  # as above
        within = False

    async def main() -> None:
        loop = asyncio.get_running_loop()
        loop.set_task_factory(named)
        await loop.create_task(work())
        loop.set_task_factory(None)

    loops.run(main())

    assert (asked, counted(telemetry)) == (["text"], {("os.listdir", "work"): 1})


def test_a_connection_of_a_strange_make_is_not_asked(loops: Loops, telemetry: Telemetry) -> None:
    telemetry.start(blocking_calls=True)
    asked: list[str] = []

    class Strange(socket.socket):
        def gettimeout(self) -> float | None:
            asked.append("gettimeout")
            raise OSError

    async def main() -> None:
        with socket.create_server(("127.0.0.1", 0)) as server, Strange() as there:
            there.connect(server.getsockname())

    loops.run(main())

    assert (told(telemetry), asked) == ([("socket.connect", "main")], [])


@pytest.mark.parametrize(
    "call",
    [
        lambda: sys.audit("open"),
        lambda: sys.audit("fcntl.flock", object()),
        lambda: sys.audit("socket.connect", "no socket", None),
        lambda: sys.audit("socket.getaddrinfo", object(), 1, 2),
        lambda: sys.audit("sqlite3.connect", b"bytes"),
    ],
)
def test_events_of_other_shapes_do_no_harm(
    loops: Loops, telemetry: Telemetry, call: Callable[[], None]
) -> None:
    telemetry.start(blocking_calls=True)

    async def main() -> None:
        call()

    loops.run(main())

    assert len(told(telemetry)) == 1


# The hook that stays.


def test_once_uninstrumented_nothing_is_heard(loops: Loops, telemetry: Telemetry, path: str) -> None:
    telemetry.start(blocking_calls=True)

    async def main() -> None:
        read(path)
        aiotel.uninstrument()
        read(path)
        os.listdir(os.sep)  # noqa: PTH208  # as above

    loops.run(main())

    assert [*audit._table] == ["__new__"]
    assert len(told(telemetry)) == 1


def test_there_is_one_hook_for_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    added: list[Any] = []
    assert audit.listen(["aiotel.test"], lambda *_: None) is not None
    monkeypatch.setattr(sys, "addaudithook", added.append)

    heard: list[Any] = []
    stop = audit.listen(["aiotel.test"], lambda event, arguments: heard.append((event, arguments)))
    sys.audit("aiotel.test", 1)
    assert stop is not None
    stop()
    stop()
    sys.audit("aiotel.test", 2)

    assert (added, heard, [*audit._table]) == ([], [("aiotel.test", (1,))], ["__new__"])


def test_who_began_later_is_heard_when_the_earlier_one_stops() -> None:
    heard: list[Any] = []
    first = audit.listen(["aiotel.test"], lambda *_: heard.append("first"))
    second = audit.listen(["aiotel.test"], lambda *_: heard.append("second"))
    assert first is not None
    assert second is not None
    first()
    sys.audit("aiotel.test")
    second()

    assert (heard, [*audit._table]) == (["second"], ["__new__"])


def test_who_looks_from_another_thread_is_not_interrupted(loops: Loops) -> None:
    """Python's own reads have events too; no other thread may run in the middle of one."""
    stop = audit.listen(["aiotel.test"], lambda *_: None)
    assert stop is not None
    stop()

    test_unstarted.test_a_look_from_another_thread_never_holds_a_task_last(loops)


def alone(program: str, *arguments: str) -> str:
    """Run a program in a process of its own."""
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program), *arguments],
        check=True,
        capture_output=True,
        text=True,
        timeout=50,
    ).stdout


@pytest.mark.slow
def test_where_the_programs_own_hook_refuses_others_the_rest_works() -> None:
    for error in ("RuntimeError", "OSError"):
        output = alone(
            """
            import asyncio, builtins, sys
            import aiotel
            from aiotel._complaints import complaints

            def refuses(event, arguments):
                if event == "sys.addaudithook":
                    raise getattr(builtins, sys.argv[1])("no other hooks here")

            sys.addaudithook(refuses)
            aiotel.instrument(aiotel.Config(blocking_calls=True))
            print(complaints._waiting)
            asyncio.run(asyncio.sleep(0))
            """,
            error,
        )
        assert "blocking calls are not told" in output


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="there is no fork")
def test_a_forked_child_tells_its_own(tmp_path: Path) -> None:
    with Receiver() as receiver:
        alone(
            """
            import asyncio, os, sys
            import aiotel

            os.environ["OTEL_EXPORTER_OTLP_ENDPOINT"] = sys.argv[1]

            async def parent(): os.listdir("/")
            async def child(): os.listdir("/")

            session = aiotel.instrument(aiotel.Config(blocking_calls=True, export=True))
            asyncio.run(parent())
            pid = os.fork()
            if pid == 0:
                asyncio.run(child())
                aiotel.uninstrument()
                os._exit(0)
            os.waitpid(pid, 0)
            """,
            receiver.endpoint,
        )
        functions = [
            log.attributes["code.function.name"]
            for log in receiver.logs
            if log.event_name == "asyncio.blocking_call"
        ]

    assert sorted(map(str, functions)) == ["__main__.child", "__main__.parent"]


def test_the_last_events_of_the_interpreter_do_no_harm() -> None:
    output = alone(
        """
        import asyncio, sys
        import aiotel

        class Late:
            def __del__(self, audit=sys.audit, write=sys.stdout.write):
                audit("open", "x", "r", 0)
                write("late")

        sys.modules[__name__].late = Late()
        builtins_late = __builtins__.late = Late()
        aiotel.instrument(aiotel.Config(blocking_calls=True))
        asyncio.run(asyncio.sleep(0))
        """
    )

    assert output.startswith("late")


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    yield
    complaints.clear()
