"""Prove that nothing can ever wake a loop again: no timer, no file, no signal, no thread will.

Of asyncio's own loops only: others do not show what they wait for. Whatever is not known to be harmless may
wake it, so the answer is no.
"""

from __future__ import annotations

import asyncio
import signal
import threading
from asyncio.selector_events import BaseSelectorEventLoop
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Final

from .._inspect.stacks import stack_of

__all__ = ["is_forsaken", "others_are_harmless"]

# OpenTelemetry's threads that send spans and logs. Its readers of metrics call back whatever they are given.
_BATCHES: Final = ("opentelemetry.sdk._shared_internal.", "opentelemetry.exporter.otlp.")
# Modules of threads that never call into a loop, and of those that are idle.
_HARMLESS: Final = (
    "aiotel.",
    "opentelemetry.",
    "threading.",
    "concurrent.futures.thread.",
    "queue.",
    "selectors.",
)
_WORKERS: Final = "concurrent.futures.thread."
_IDLE: Final = "concurrent.futures.thread._worker"
DEEP: Final = 100
# What a call from another thread, such as ours, leaves in the queue.
_WAKES: Final = getattr(BaseSelectorEventLoop, "_read_from_self", None)


def is_forsaken(loop: Any) -> bool:
    """Whether the loop itself has nothing more to wait for. On its thread, called as the only callback."""
    selector: Any = getattr(loop, "_selector", None)
    # A loop or a selector of another class may wait for what is not seen here.
    if type(loop) is not asyncio.SelectorEventLoop or type(selector).__module__ != "selectors":
        return False
    timers: Any = getattr(loop, "_scheduled", None)
    ready: Any = getattr(loop, "_ready", None)
    if timers is None or ready is None or any(not timer._cancelled for timer in timers):
        return False
    if any(getattr(handle._callback, "__func__", None) is not _WAKES for handle in ready):
        return False
    if getattr(loop, "_signal_handlers", None) or getattr(loop, "_stopping", True):
        return False
    files = selector.get_map()
    own = getattr(loop, "_ssock", None)
    if files is None or own is None or set(files) != {own.fileno()}:
        return False
    return not any(_is_the_programs(handler) for handler in map(signal.getsignal, signal.valid_signals()))


def others_are_harmless(ident: int) -> bool:
    """Whether no thread but that of the loop could wake it: all are aiotel's, OpenTelemetry's, or idle.

    Threads that Python does not know (of a library in C) could: so where there is one, or that cannot be
    told, the answer is no.
    """
    threads = threading.enumerate()
    try:
        native = {int(each.name) for each in Path("/proc/self/task").iterdir()}
    except OSError:
        return False
    if not native <= {thread.native_id for thread in threads}:
        return False
    others = {thread.ident for thread in threads} - {ident, threading.get_ident()}
    return all(other is not None and _is_harmless(other) for other in others)


def _is_harmless(ident: int) -> bool:
    places = stack_of(ident, DEEP)
    if any(place.function == _IDLE for place in places):  # a worker: is it at work?
        return all(
            f"{place.module}.".startswith(("threading.", _WORKERS, "queue.")) for place in places
        ) and (places[0].function == _IDLE)
    modules = [f"{place.module}." for place in places]
    ours = any(module.startswith(("aiotel.", _BATCHES[0])) for module in modules)
    return bool(places) and ours and all(_is_known(module) for module in modules)


def _is_known(module: str) -> bool:
    return module.startswith(_HARMLESS) or module.split(".", maxsplit=1)[0] in _TRANSPORT


# What exporters send by.
_TRANSPORT: Final = frozenset({"requests", "urllib3", "http", "socket", "ssl", "random", "gzip", "logging"})


def _is_the_programs(handler: Callable[..., Any] | int | None) -> bool:
    """Whether a signal would run code of the program's; not the one by which Ctrl-C ends it."""
    if not callable(handler) or handler is signal.default_int_handler:
        return False
    if isinstance(handler, partial):
        handler = handler.func
    return getattr(handler, "__func__", None) is not asyncio.Runner._on_sigint  # type: ignore[attr-defined]
