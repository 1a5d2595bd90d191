"""What the system knows of a thread: its CPU time, how long it waited for a CPU, the call it is in.

Linux tells it without asking the thread. Elsewhere less is known, and None is given for the rest.
"""

from __future__ import annotations

import os
import platform
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import Any, Final, Literal, NamedTuple

__all__ = ["Call", "Usage", "call_of", "cpu_ns_of", "own_switches", "usage_of"]

Call = Literal["running", "sleep", "io", "futex"]
"""What a thread does in the kernel: it is not there, or waits for a time, something else, or a lock."""

_SLEEPS: Final = {"x86_64": {35, 230}, "aarch64": {101, 115}}
# Memory, and the making of threads: not what anybody waits in.
_BUSY: Final = {
    "x86_64": {9, 10, 11, 12, 24, 25, 28, 56, 435},
    "aarch64": {124, 214, 215, 216, 220, 222, 226, 233, 435},
}
_FUTEX: Final = {"x86_64": {202, 449}, "aarch64": {98, 449}}
_MACHINE: Final = platform.machine()


class Usage(NamedTuple):
    """The CPU time of a thread, how long it was ready and had to wait for a CPU, and how often it got one."""

    cpu_ns: int
    queued_ns: int
    turns: int = 0


def cpu_ns_of(native_id: int) -> int | None:
    """The CPU time of a thread of this process, for less than a microsecond."""
    if not sys.platform.startswith("linux"):
        return None
    try:
        # How Linux numbers the CPU clock of a thread. `pthread_getcpuclockid` crashes for one that has ended.
        return time.clock_gettime_ns((~native_id << 3) | 6)
    except OSError:
        return None


def usage_of(native_id: int) -> Usage | None:
    """The CPU time of a thread and its time in the queue."""
    text = _read(f"/proc/self/task/{native_id}/schedstat").split()
    return Usage(*map(int, text)) if len(text) == 3 else None


def call_of(native_id: int) -> Call | None:
    """What a thread does just now."""
    text = _read(f"/proc/self/task/{native_id}/syscall")
    if not text:
        return None
    number = text.split(" ", 1)[0]
    if not number.isdecimal() or int(number) in _BUSY.get(_MACHINE, ()):
        return "running"
    if int(number) in _SLEEPS.get(_MACHINE, ()):
        return "sleep"
    return "futex" if int(number) in _FUTEX.get(_MACHINE, ()) else "io"


def own_switches() -> int | None:
    """How often the calling thread has waited: a wait for the GIL does so every 5 ms."""
    return None if _own_usage is None else int(_own_usage().ru_nvcsw)


def _usage_by_the_caller() -> Callable[[], Any] | None:
    """What gives the resources that the thread that calls it has used; None where the system does not."""
    try:
        from resource import RUSAGE_THREAD, getrusage
    except ImportError:
        return None
    return partial(getrusage, RUSAGE_THREAD)


_own_usage: Final = _usage_by_the_caller()


def _read(path: str) -> str:
    try:
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return ""
    try:
        return os.read(file, 512).decode("ascii", "replace")
    except OSError:
        return ""
    finally:
        os.close(file)
