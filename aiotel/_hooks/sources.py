"""Tell from what a loop reports which sort of failure it was, and say it without the program's values.

What asyncio says begins or ends in the same words each time; in between are reprs, arguments and addresses.
Where the words leave it open, the future, the handle and the traceback are looked at. Found by experiment, on
asyncio of 3.11 to 3.15 and on uvloop 0.23: the tests make each failure happen.
"""

from __future__ import annotations

import asyncio
import gc
import re
from collections.abc import Iterator, Mapping
from contextvars import Context
from functools import partial
from inspect import CO_ASYNC_GENERATOR
from types import BuiltinMethodType, CodeType, FunctionType, MethodType
from typing import Any, Final

from ..observations import Source
from .exceptions import cause_of, traceback_of

__all__ = [
    "NEVER_RETRIEVED",
    "codes_of",
    "context_of_handle",
    "coroutine_of",
    "function_of_handle",
    "future_of",
    "is_of_a_file",
    "said",
    "source_of",
]

NEVER_RETRIEVED: Final = "exception was never retrieved"
UNSAID: Final = "Unhandled exception in event loop"
SHIELDED: Final = "exception in shielded future"
ORPHANED: Final = "Task has errored out but its parent task is already completed"
LONGEST: Final = 100
"""How many characters are kept of a message that is none of asyncio's."""

_OF_PROTOCOLS: Final = frozenset(
    {"connection_made", "connection_lost", "data_received", "eof_received", "get_buffer", "buffer_updated"}
    | {"datagram_received", "error_received", "pause_writing", "resume_writing"}
)
_OF_SUBPROCESSES: Final = frozenset({"pipe_data_received", "pipe_connection_lost", "process_exited"})

# The words that asyncio and uvloop begin with.
_BEGINNINGS: Final[tuple[tuple[str, Source], ...]] = (
    ("Exception in callback", "callback"),
    *((f"Fatal error: protocol.{name}() call failed", "protocol") for name in sorted(_OF_PROTOCOLS)),
    *((f"protocol.{name}() failed", "protocol") for name in sorted(_OF_PROTOCOLS)),
    ("Error calling eof_received()", "protocol"),
    ("Fatal error on transport", "transport"),
    ("Fatal error on SSL protocol", "transport"),
    ("Fatal error on server", "server"),
    ("Fatal error on pipe transport", "transport"),
    *(
        (f"Fatal {way} error on {sort} transport", "transport")
        for way in ("read", "write")
        for sort in ("socket", "pipe", "datagram")
    ),
    ("SSL handshake failed", "transport"),
    ("Fatal", "transport"),
    ("Unhandled exception in client_connected_cb", "server"),
    ("Error on transport creation for incoming connection", "server"),
    ("socket.accept() out of system resource", "server"),
    ("Accept failed on a socket", "server"),
    ("Pipe accept failed", "server"),
    ("an error occurred during closing of asynchronous generator", "asyncgen"),
    ("unhandled exception during asyncio.run() shutdown", "task"),
    ("Unknown exception in SIGCHLD handler", "subprocess"),
)
_EITHER: Final = frozenset({"Fatal error on transport", "Fatal error on SSL protocol"})
"""Said of transports that failed, and of protocols that failed in their hands."""
# Where a value seems to begin in the words of whoever else calls `call_exception_handler`.
_VALUE: Final = re.compile(r"(?<![A-Za-z])'|[^A-Za-z_.,;!' -]")
_PLUMBING: Final = frozenset({"asyncio", "uvloop", "ssl", "socket", "selectors", "concurrent"})


def said(context: Mapping[str, Any]) -> tuple[str, Source]:
    """What was said, without the values in it, and the source that this means as far as words go."""
    message = context.get("message")
    if not isinstance(message, str) or not message:
        return UNSAID, "other"
    for words in (NEVER_RETRIEVED, SHIELDED):
        if message.endswith(words):
            return (
                (f"Task {words}", "task") if _is_task(future_of(context)) else (f"Future {words}", "future")
            )
    for words, source in _BEGINNINGS:
        if message.startswith(words):
            return words, source
    if message.startswith("Task ") and " has errored out but its parent task " in message:
        return ORPHANED, "task"
    return _without_values(message), "other"


def source_of(words: str, source: Source, loop: Any, context: Mapping[str, Any]) -> Source:
    """The source for certain. May look through all readers of the loop: for what is told in full."""
    exception = context["exception"]
    if source in {"task", "future"}:
        return _of_future(future_of(context), exception)
    handle = context.get("handle")
    if source == "callback" or (source == "other" and handle is not None):
        return _of_handle(loop, handle, exception)
    if words in _EITHER:
        return "protocol" if _is_the_programs(exception) else "transport"
    if source != "other":
        return source
    if words == UNSAID:  # uvloop says nothing where a server or a datagram transport failed
        return _of_traceback(exception)
    return "protocol" if "protocol" in context or "transport" in context else "other"


def future_of(context: Mapping[str, Any]) -> Any:
    """The task or the future that the report is about, if it is about one."""
    task = context.get("task")
    return context.get("future") if task is None else task


def coroutine_of(task: Any) -> Any:
    """What the task runs; None where it has let go of that."""
    try:
        # Not `get_coro()`: on 3.12.1 it crashes the interpreter where an eager task has ended at once.
        return task._coro
    except AttributeError:  # a task of another make
        get_coro = getattr(task, "get_coro", None)
        return None if get_coro is None else get_coro()


def codes_of(exception: BaseException) -> Iterator[tuple[str, CodeType]]:
    """The module and the code of each line of the traceback, outermost first."""
    traceback = traceback_of(exception)
    while traceback is not None:
        frame = traceback.tb_frame
        module = dict.get(frame.f_globals, "__name__")
        yield (module if isinstance(module, str) else ""), frame.f_code
        traceback = traceback.tb_next


def _without_values(message: str) -> str:
    return _VALUE.split(message[:LONGEST], 1)[0].rstrip(" ,;-") or UNSAID


def _is_task(future: Any) -> bool:
    return issubclass(type(future), asyncio.Task) or hasattr(type(future), "get_coro")


def _of_future(future: Any, exception: BaseException) -> Source:
    outermost, code = next(codes_of(exception), ("", None))
    if _is_task(future):
        # The loop closes collected generators in tasks of its own; eager ones let go of what they ran.
        closes = type(coroutine_of(future)).__name__.startswith("async_generator_")
        return "asyncgen" if closes or (code and code.co_flags & CO_ASYNC_GENERATOR) else "task"
    cause = type(cause_of(exception))
    if outermost.startswith("concurrent.futures.") or (
        cause.__name__ == "_RemoteTraceback" and cause.__module__ == "concurrent.futures.process"
    ):
        return "executor"
    return "future"


def _of_handle(loop: Any, handle: Any, exception: BaseException) -> Source:
    callback = _callback_of(handle, loop)
    owner, name = _owner_of(callback)
    if owner is loop:
        return "server" if "accept" in name or "serving" in name else "callback"
    if owner is not None:
        source = _of_method(owner, name, exception)
        if source is not None:
            return source
    if _is_of_a_signal(loop, handle):
        return "signal"
    return "reader" if is_of_a_file(loop, handle) else "callback"


def _of_method(owner: Any, name: str, exception: BaseException) -> Source | None:
    """By whose method it is that failed; None where that says nothing."""
    kind = type(owner)
    compiled = kind.__module__ == "uvloop.loop"
    transport = compiled or issubclass(kind, asyncio.BaseTransport)
    if not transport and name not in _OF_PROTOCOLS and name not in _OF_SUBPROCESSES:
        within = kind.__module__.startswith("asyncio.") and "ChildWatcher" in kind.__name__
        return "subprocess" if within else None
    if (
        name in _OF_SUBPROCESSES
        or issubclass(kind, asyncio.SubprocessTransport | asyncio.SubprocessProtocol)
        or (compiled and "Process" in kind.__name__)
    ):
        return "subprocess"
    if any(
        module == "asyncio.streams" and code.co_name == "connection_made"
        for module, code in codes_of(exception)
    ):
        return "server"  # the callback of `start_server` where it is no coroutine function
    return "protocol" if not transport or _is_the_programs(exception) else "transport"


def _of_traceback(exception: BaseException) -> Source:
    module, code = next(codes_of(exception), ("", None))
    if code is None or module.partition(".")[0] != "uvloop":
        return "other"
    if "server" in code.co_filename:
        return "server"
    return "protocol" if _is_the_programs(exception) else "transport"


def _is_the_programs(exception: BaseException) -> bool:
    """Whether code of the program took part, or only that of loops and sockets."""
    return any(module.partition(".")[0] not in _PLUMBING for module, _ in codes_of(exception))


def _callback_of(handle: Any, loop: Any) -> Any:
    """What the handle calls; uvloop's handles are compiled, and say so only to the garbage collector."""
    callback = getattr(handle, "_callback", None)
    if callback is None and type(handle).__module__ == "uvloop.loop":
        for referent in gc.get_referents(handle):
            if not (referent is None or referent is loop or isinstance(referent, Context)):
                callback = referent
                break
    while type(callback) is partial:
        callback = callback.func
    return callback


def context_of_handle(handle: Any) -> Any:
    """The context in which the handle calls; None where that cannot be had."""
    if type(handle).__module__ != "uvloop.loop":
        return getattr(handle, "_context", None)
    return next((each for each in gc.get_referents(handle) if isinstance(each, Context)), None)


def function_of_handle(handle: Any, loop: Any) -> str | None:
    """What the handle calls: the qualified name of a function of Python's, or of a method."""
    callback = None if handle is None else _callback_of(handle, loop)
    function = callback.__func__ if type(callback) is MethodType else callback
    if type(function) is not FunctionType:
        return None
    return f"{function.__module__}.{function.__qualname__}"


def _owner_of(callback: Any) -> tuple[Any, str]:
    """Whose method it is, and its name; a compiled transport stands for methods of its own."""
    if type(callback) is MethodType:
        return callback.__self__, _name_of(callback.__func__, type(callback.__self__))
    if type(callback) is BuiltinMethodType:
        return callback.__self__, callback.__name__
    return (callback, "") if type(callback).__module__ == "uvloop.loop" else (None, "")


def _name_of(function: Any, kind: type) -> str:
    """The name of a method: that of a protocol's by which the class has it, as it may be decorated."""
    for name in _OF_PROTOCOLS | _OF_SUBPROCESSES:
        if any(vars(base).get(name) is function for base in kind.__mro__):
            return name
    return function.__name__ if type(function) is FunctionType else ""


def _is_of_a_signal(loop: Any, handle: Any) -> bool:
    return any(value is handle for table in _tables_of(loop) for value in list(table.values()))


def is_of_a_file(loop: Any, handle: Any) -> bool:
    """Whether `add_reader` or `add_writer` made it; one that removes itself is cancelled while it runs."""
    if type(handle).__name__ == "Handle" and handle.cancelled():
        return True
    selector = getattr(loop, "_selector", None)
    if selector is not None:
        return any(
            handle is each for key in list(selector.get_map().values()) if key.data for each in key.data
        )
    return any(
        handle is each
        for table in _tables_of(loop)
        for poll in list(table.values())
        if type(poll).__name__ == "UVPoll"
        for each in gc.get_referents(poll)
    )


def _tables_of(loop: Any) -> Iterator[dict[Any, Any]]:
    """The signal handlers of a loop of asyncio's; all tables of a compiled one, also that of its files."""
    handlers = getattr(loop, "_signal_handlers", None)
    if handlers is not None:
        yield handlers
    elif issubclass(type(loop), asyncio.AbstractEventLoop) and not hasattr(loop, "_selector"):
        yield from (each for each in gc.get_referents(loop) if type(each) is dict)
