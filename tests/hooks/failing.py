"""One small way to fail for each source of failures, as coroutines that a loop runs."""

from __future__ import annotations

import asyncio
import errno
import functools
import gc
import os
import signal
import socket
import sys
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from typing import Any, Final

Loop = asyncio.AbstractEventLoop


class BadError(Exception):
    """What everything here fails with."""


class BadBaseError(BaseException):
    """A failure that `except Exception` does not catch."""


def fail(*_: object) -> Any:
    raise BadError("no such order")


async def failing(*_: object) -> None:
    raise BadError("no such order")


async def until(condition: Callable[[], object]) -> None:
    """Wait for a thing to be so."""
    while not condition():  # noqa: ASYNC110  # it is no coroutine that makes it so
        await asyncio.sleep(0.001)


async def settle() -> None:
    """Let what is ready run, and what nobody holds go."""
    for _ in range(5):
        await asyncio.sleep(0)
    gc.collect()
    await asyncio.sleep(0)


# Callbacks.


async def a_callback(loop: Loop) -> None:
    loop.call_soon(fail, "secret")


async def a_timer(loop: Loop) -> None:
    loop.call_later(0.001, fail, "secret")
    await asyncio.sleep(0.01)


async def a_partial(loop: Loop) -> None:
    loop.call_soon(functools.partial(fail, "secret"))


async def a_callback_of_another_thread(loop: Loop) -> None:
    thread = threading.Thread(target=loop.call_soon_threadsafe, args=(fail,))
    thread.start()
    thread.join()


async def a_done_callback(loop: Loop) -> None:
    future = loop.create_future()
    future.add_done_callback(fail)
    future.set_result("secret")


async def a_base_exception(loop: Loop) -> None:
    def fails() -> None:
        raise BadBaseError

    loop.call_soon(fails)


async def a_reader(loop: Loop) -> None:
    here, there = socket.socketpair()

    def fails() -> None:
        here.recv(1)
        raise BadError

    with here, there:
        loop.add_reader(here, fails)
        there.send(b"x")
        await asyncio.sleep(0.01)
        loop.remove_reader(here)


async def a_reader_that_removes_itself(loop: Loop) -> None:
    here, there = socket.socketpair()

    def fails() -> None:
        loop.remove_reader(here)
        raise BadError

    with here, there:
        loop.add_reader(here, fails)
        there.send(b"x")
        await asyncio.sleep(0.01)


async def a_writer(loop: Loop) -> None:
    here, there = socket.socketpair()

    def fails() -> None:
        loop.call_soon(loop.remove_writer, here)
        raise BadError

    with here, there:
        loop.add_writer(here, fails)
        await asyncio.sleep(0.01)


async def a_signal_handler(loop: Loop) -> None:
    loop.add_signal_handler(signal.SIGUSR1, fail, "secret")
    os.kill(os.getpid(), signal.SIGUSR1)
    await asyncio.sleep(0.02)
    loop.remove_signal_handler(signal.SIGUSR1)


# Protocols, transports, servers, subprocesses.


def _protocol(method: str) -> Callable[[Loop], Awaitable[None]]:
    async def fails(loop: Loop) -> None:
        here, there = socket.socketpair()
        there.setblocking(False)
        protocol = type("Fails", (asyncio.Protocol,), {method: fail})
        with here, there:
            transport, _ = await loop.create_connection(protocol, sock=here)
            if method == "pause_writing":
                transport.set_write_buffer_limits(0)
                transport.write(bytes(10_000_000))
            there.send(b"x")
            await asyncio.sleep(0.01)
            there.close()
            await asyncio.sleep(0.01)
            transport.abort()
            await asyncio.sleep(0.01)

    return fails


async def a_buffered_protocol(loop: Loop) -> None:
    class Fails(asyncio.BufferedProtocol):
        def get_buffer(self, sizehint: int) -> bytearray:
            return bytearray(100)

        def buffer_updated(self, nbytes: int) -> None:
            raise BadError

    here, there = socket.socketpair()
    with here, there:
        transport, _ = await loop.create_connection(Fails, sock=here)
        there.send(b"x")
        await asyncio.sleep(0.01)
        transport.abort()


async def a_datagram_protocol(loop: Loop) -> None:
    class Fails(asyncio.DatagramProtocol):
        def datagram_received(self, data: bytes, addr: object) -> None:
            raise BadError

    transport, _ = await loop.create_datagram_endpoint(Fails, local_addr=("127.0.0.1", 0))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.sendto(b"x", transport.get_extra_info("sockname"))
    await asyncio.sleep(0.02)
    transport.close()


async def a_pipe(loop: Loop) -> None:
    class Fails(asyncio.Protocol):
        def data_received(self, data: bytes) -> None:
            raise BadError

    reading, writing = os.pipe()
    with os.fdopen(reading, "rb") as pipe:
        transport, _ = await loop.connect_read_pipe(Fails, pipe)
        os.write(writing, b"x")
        await asyncio.sleep(0.02)
        os.close(writing)
        transport.close()
        await asyncio.sleep(0.01)


async def a_transport(loop: Loop) -> None:
    class Broken:
        def __init__(self, whole: Any) -> None:
            self.whole = whole

        def __getattr__(self, name: str) -> Any:
            return getattr(self.whole, name)

        recv = fail

    here, there = socket.socketpair()
    with here, there:
        transport: Any
        transport, _ = await loop.create_connection(asyncio.Protocol, sock=here)
        transport._sock = Broken(transport._sock)
        there.send(b"x")
        await asyncio.sleep(0.01)


def _server(callback: Any) -> Callable[[Loop], Awaitable[None]]:
    async def fails(loop: Loop) -> None:
        server = await asyncio.start_server(callback, "127.0.0.1", 0)
        _, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        await asyncio.sleep(0.02)
        writer.transport.abort()
        server.close()
        await asyncio.sleep(0.01)

    return fails


async def a_protocol_factory(loop: Loop) -> None:
    loop.set_debug(True)  # without, asyncio says nothing
    server = await loop.create_server(fail, "127.0.0.1", 0)
    with socket.create_connection(server.sockets[0].getsockname()):
        await asyncio.sleep(0.02)
    server.close()
    await asyncio.sleep(0.01)


async def an_accept_loop(loop: Loop) -> None:
    class Full(socket.socket):
        tries = 0

        def accept(self) -> Any:
            self.tries += 1
            if self.tries > 1:
                raise BlockingIOError
            raise OSError(errno.EMFILE, "Too many open files")

    listening = Full()
    listening.bind(("127.0.0.1", 0))
    server = await loop.create_server(asyncio.Protocol, sock=listening)
    with socket.create_connection(listening.getsockname()):
        await asyncio.sleep(0.02)
    server.close()


def _subprocess(method: str) -> Callable[[Loop], Awaitable[None]]:
    async def fails(loop: Loop) -> None:
        lost = asyncio.Event()

        class Fails(asyncio.SubprocessProtocol):
            def connection_lost(self, exc: Exception | None) -> None:
                lost.set()
                if method == "connection_lost":
                    raise BadError

        if method != "connection_lost":
            setattr(Fails, method, fail)
        transport, _ = await loop.subprocess_exec(Fails, "echo", "secret", stdin=None, stderr=None)
        await lost.wait()
        transport.close()
        await asyncio.sleep(0.01)

    return fails


# Futures and tasks.


async def a_future(loop: Loop) -> None:
    loop.create_future().set_exception(BadError())


async def a_future_of_another_class(loop: Loop) -> None:
    class Special(asyncio.Future[None]):
        pass

    Special(loop=loop).set_exception(BadError())


async def a_gather(loop: Loop) -> None:
    asyncio.gather(failing(), failing())  # type: ignore[unused-awaitable]  # nobody looks at it
    await settle()


async def a_task(loop: Loop) -> None:
    asyncio.ensure_future(failing())  # type: ignore[unused-awaitable]  # noqa: RUF006  # nobody looks at it
    await settle()


async def a_task_of_another_class(loop: Loop) -> None:
    class Special(asyncio.Task[None]):
        pass

    Special(failing(), loop=loop)  # type: ignore[unused-awaitable]  # nobody looks at it
    await settle()


async def a_shielded_task(loop: Loop) -> None:
    let = asyncio.Event()

    async def fails() -> None:
        await let.wait()
        raise BadError

    async def waits() -> None:
        await asyncio.shield(fails())

    task = asyncio.ensure_future(waits())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task])
    let.set()
    await settle()


async def _generator() -> AsyncIterator[int]:
    try:
        yield 1
    finally:
        raise BadError


async def a_collected_generator(loop: Loop) -> None:
    generator = _generator()
    await anext(generator)
    del generator
    await settle()


_left: list[Any] = []


async def a_generator_left_to_shutdown(loop: Loop) -> None:
    _left.append(_generator())
    await anext(_left[-1])


async def an_executor(loop: Loop) -> None:
    done = threading.Event()

    def fails() -> None:
        try:
            raise BadError
        finally:
            done.set()

    loop.run_in_executor(None, fails)  # type: ignore[unused-awaitable]  # nobody looks at it
    await until(done.is_set)
    await asyncio.sleep(0.01)


async def an_executor_of_processes(loop: Loop) -> None:
    with ProcessPoolExecutor(1) as pool:
        submitted: Future[Any] = pool.submit(fail)
        asyncio.wrap_future(submitted)  # type: ignore[unused-awaitable]  # nobody looks at it
        await until(submitted.done)
        await asyncio.sleep(0.01)


async def a_wrapped_future(loop: Loop) -> None:
    with ThreadPoolExecutor(1) as pool:
        submitted: Future[Any] = pool.submit(fail)
        asyncio.wrap_future(submitted)  # type: ignore[unused-awaitable]  # nobody looks at it
    await asyncio.sleep(0.01)


async def a_coroutine_of_another_thread(loop: Loop) -> None:
    let = asyncio.Event()

    async def fails() -> None:
        await let.wait()
        raise BadError

    def start() -> None:
        asyncio.run_coroutine_threadsafe(fails(), loop)

    thread = threading.Thread(target=start)
    thread.start()
    await until(lambda: not thread.is_alive())
    let.set()
    await settle()


async def something_else(loop: Loop) -> None:
    try:
        fail()
    except BadError as error:
        loop.call_exception_handler({"message": "Job 4711 of 'bob' failed", "exception": error})


# fmt: off
WAYS: Final[dict[str, tuple[Callable[[Loop], Awaitable[None]], str, str]]] = {
    "callback": (a_callback, "callback", "Exception in callback"),
    "timer": (a_timer, "callback", "Exception in callback"),
    "partial": (a_partial, "callback", "Exception in callback"),
    "threadsafe": (a_callback_of_another_thread, "callback", "Exception in callback"),
    "done callback": (a_done_callback, "callback", "Exception in callback"),
    "base exception": (a_base_exception, "callback", "Exception in callback"),
    "reader": (a_reader, "reader", "Exception in callback"),
    "reader once": (a_reader_that_removes_itself, "reader", "Exception in callback"),
    "writer": (a_writer, "reader", "Exception in callback"),
    "signal": (a_signal_handler, "signal", "Exception in callback"),
    "connection_made": (_protocol("connection_made"), "protocol", "Exception in callback"),
    "data_received":
        (_protocol("data_received"), "protocol", "Fatal error: protocol.data_received() call failed"),
    "eof_received":
        (_protocol("eof_received"), "protocol", "Fatal error: protocol.eof_received() call failed"),
    "connection_lost": (_protocol("connection_lost"), "protocol", "Exception in callback"),
    "pause_writing": (_protocol("pause_writing"), "protocol", "protocol.pause_writing() failed"),
    "buffer_updated":
        (a_buffered_protocol, "protocol", "Fatal error: protocol.buffer_updated() call failed"),
    "datagram_received": (a_datagram_protocol, "protocol", "Exception in callback"),
    "pipe": (a_pipe, "protocol", "Exception in callback"),
    "transport": (a_transport, "transport", "Fatal read error on socket transport"),
    "server": (_server(failing), "server", "Unhandled exception in client_connected_cb"),
    "server, no coroutine": (_server(fail), "server", "Exception in callback"),
    "protocol factory":
        (a_protocol_factory, "server", "Error on transport creation for incoming connection"),
    "accept loop": (an_accept_loop, "server", "socket.accept() out of system resource"),
    "pipe_data_received": (_subprocess("pipe_data_received"), "subprocess", "Exception in callback"),
    "process_exited": (_subprocess("process_exited"), "subprocess", "Exception in callback"),
    "end of a subprocess": (_subprocess("connection_lost"), "subprocess", "Exception in callback"),
    "future": (a_future, "future", "Future exception was never retrieved"),
    "future, another class": (a_future_of_another_class, "future", "Future exception was never retrieved"),
    "gather": (a_gather, "future", "Future exception was never retrieved"),
    "task": (a_task, "task", "Task exception was never retrieved"),
    "task, another class": (a_task_of_another_class, "task", "Task exception was never retrieved"),
    "shield": (a_shielded_task, "task", "Task exception was never retrieved"),
    "generator": (a_collected_generator, "asyncgen", "Task exception was never retrieved"),
    "generator left":
        (a_generator_left_to_shutdown, "asyncgen",
         "an error occurred during closing of asynchronous generator"),
    "executor": (an_executor, "executor", "Future exception was never retrieved"),
    "process pool": (an_executor_of_processes, "executor", "Future exception was never retrieved"),
    "wrapped future": (a_wrapped_future, "executor", "Future exception was never retrieved"),
    "run_coroutine_threadsafe":
        (a_coroutine_of_another_thread, "thread",
         "Exception in run_coroutine_threadsafe was never retrieved"),
    "something else": (something_else, "other", "Job"),
}
# fmt: on
"""By name: the way to fail, the source it is to be told with, and the words that are to be kept."""

UVLOOP_SAYS: Final = {
    "data_received": "Fatal error on transport",
    "eof_received": "Fatal error on transport",
    "buffer_updated": "Fatal error on transport",
    "pipe": "Fatal error on transport",
    "datagram_received": "Unhandled exception in event loop",
    "protocol factory": "Unhandled exception in event loop",
}
"""Where uvloop says something else."""
NOT_ON_UVLOOP: Final = {"transport", "accept loop"}
"""It has no sockets of Python's that could be broken."""

if sys.version_info >= (3, 14):
    WAYS["shield"] = (a_shielded_task, "task", "Task exception in shielded future")
    WAYS["server, no coroutine"] = (
        *WAYS["server, no coroutine"][:2],
        "Unhandled exception in client_connected_cb"
        if sys.version_info < (3, 15)
        else "Exception in callback",
    )
