"""Which calls block, by the names of their audit events, and which of them do not after all.

Python documents the events in a table. `time.sleep` has one from 3.13 on. What blocks without one, reading,
writing, `os.stat`, a query, a lock of threads, cannot be heard.
"""

from __future__ import annotations

from _socket import inet_pton, socket
from collections.abc import Callable, Mapping
from socket import AF_INET, AF_INET6, SOCK_STREAM
from typing import Any, Final

__all__ = ["CALLS", "WIDE", "does_not_block"]

WIDE: Final = frozenset(
    {"shutil.copyfile", "shutil.copytree", "shutil.make_archive", "shutil.move", "shutil.rmtree"}
    | {"shutil.unpack_archive", "urllib.Request", "ftplib.connect", "http.client.connect", "imaplib.open"}
    | {"nntplib.connect", "poplib.connect", "smtplib.connect", "telnetlib.Telnet.open"}
)
"""What functions of the standard library say before they do what has events, too; they speak for those."""

CALLS: Final = WIDE | {
    *("builtins.input", "open", "os.listdir", "os.scandir", "os.system", "subprocess.Popen", "time.sleep"),
    *("fcntl.flock", "fcntl.lockf", "sqlite3.connect"),
    *("socket.connect", "socket.getaddrinfo", "socket.gethostbyaddr", "socket.gethostbyname"),
    "socket.getnameinfo",
    *(
        "ftplib.sendcmd",
        "http.client.send",
        "imaplib.send",
        "nntplib.putline",
        "poplib.putline",
        "smtplib.send",
    ),
    "telnetlib.Telnet.write",
}
"""All that are heard."""

_MEMORY: Final = ("/proc/", "/sys/", "/dev/null", "/dev/zero", "/dev/random", "/dev/urandom")
"""Files that no disk has to be asked for."""
_DO_NOT_WAIT: Final = 4 | 8
"""`LOCK_NB`, and `LOCK_UN`."""


def does_not_block(call: str, arguments: tuple[Any, ...]) -> bool:
    """Whether this call of that name is harmless. The arguments are the program's, and are only looked at."""
    harmless = _HARMLESS.get(call)
    return harmless is not None and bool(arguments) and harmless(arguments)


def _opens_nothing(arguments: tuple[Any, ...]) -> bool:
    """A descriptor is open already."""
    path = arguments[0]
    return type(path) is int or (type(path) is str and path.startswith(_MEMORY))


def _connects_at_once(arguments: tuple[Any, ...]) -> bool:
    """The socket does not wait, or has nobody to wait for."""
    there = arguments[0]
    if not isinstance(there, socket):
        return False
    # Not what a subclass makes of them.
    return _timeout_of(there) == 0 or _kind_of(there) & 0xF != SOCK_STREAM


def _resolves_nothing(arguments: tuple[Any, ...]) -> bool:
    host = arguments[0]
    if type(host) is bytes:
        host = host.decode("ascii", "replace")
    return host is None or (type(host) is str and (not host or _is_address(host)))


def _is_address(host: str) -> bool:
    for family in (AF_INET, AF_INET6):
        try:
            inet_pton(family, host.partition("%")[0])
        except (OSError, ValueError):
            continue
        return True
    return False


def _waits_for_nobody(arguments: tuple[Any, ...]) -> bool:
    operation = arguments[1] if len(arguments) > 1 else None
    return type(operation) is int and bool(operation & _DO_NOT_WAIT)


_timeout_of: Final[Callable[[Any], float | None]] = socket.gettimeout
_kind_of: Final[Callable[[Any], int]] = socket.type.__get__
_HARMLESS: Final[Mapping[str, Callable[[tuple[Any, ...]], bool]]] = {
    "open": _opens_nothing,
    "time.sleep": lambda arguments: type(arguments[0]) in (int, float) and not arguments[0],
    "socket.connect": _connects_at_once,
    "socket.getaddrinfo": _resolves_nothing,
    "socket.gethostbyname": _resolves_nothing,
    "fcntl.flock": _waits_for_nobody,
    "fcntl.lockf": _waits_for_nobody,
    "sqlite3.connect": lambda arguments: type(arguments[0]) is str and arguments[0] == ":memory:",
}
