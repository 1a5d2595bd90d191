"""Ask the aiotel of another process, over its status socket."""

from __future__ import annotations

import os
import socket
import stat
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from ..errors import AttachError
from .bounds import ANSWER_BYTES, SECONDS
from .peers import peer_of
from .places import directories, is_answered
from .protocol import Request, reply_of, request_line

__all__ = ["ask", "processes"]

PATIENCE_S: Final = 2 * SECONDS
"""So long an answer is waited for: that of a process that is stopped never comes."""
_MOST: Final = ANSWER_BYTES + 65536


def ask(pid: int, request: Request, environ: Mapping[str, str]) -> dict[str, Any]:
    """What the process answers.

    Raises `AttachError` where there is no answer, `Refusal` where the process says why not.
    """
    path = _socket_of(pid, environ)
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            line = _asked(connection, path, pid, request_line(request))
        reply = reply_of(line)
    except AttachError:
        raise
    except (ConnectionRefusedError, FileNotFoundError):
        raise AttachError(_why_not(pid)) from None
    except PermissionError:
        raise AttachError(f"process {pid} is another user's: ask as that user, or as root") from None
    except TimeoutError:
        raise AttachError(f"process {pid} does not answer within {PATIENCE_S:g} s; is it stopped?") from None
    except OSError as error:
        raise AttachError(f"process {pid} cannot be asked at {path}: {error}") from None
    except ValueError as error:
        raise AttachError(f"what process {pid} answers is not understood: {error}") from None
    if not isinstance(reply, dict):
        raise AttachError(f"what process {pid} answers is not understood: no object")
    return reply


def processes(environ: Mapping[str, str]) -> list[int]:
    """The processes of this user that can be asked."""
    found = set()
    for directory in _own_directories(environ):
        with suppress(OSError):
            for path in directory.glob("*.sock"):
                if path.stem.isascii() and path.stem.isdigit() and is_answered(path):
                    found.add(int(path.stem))
    return sorted(found)


def _asked(connection: socket.socket, path: Path, pid: int, line: bytes) -> bytes:
    until = time.monotonic() + PATIENCE_S
    connection.settimeout(PATIENCE_S)
    connection.connect(str(path))
    _check_peer(connection, path, pid)
    with suppress(BrokenPipeError):  # it may have said no already
        connection.sendall(line)
    received = bytearray()
    while not received.endswith(b"\n"):
        connection.settimeout(max(0.001, until - time.monotonic()))
        piece = connection.recv(1 << 18)
        if not piece:
            raise ConnectionAbortedError("it hung up")
        received += piece
        if len(received) > _MOST:
            raise ValueError("it has no end")
    return bytes(received)


def _check_peer(connection: socket.socket, path: Path, pid: int) -> None:
    """That nobody else stands there in the process's name."""
    peer, uid = peer_of(connection)
    if uid not in (0, os.geteuid(), path.stat().st_uid):
        raise AttachError(f"{path} belongs to another user's process")
    if peer not in (0, pid):
        raise AttachError(f"at {path} listens process {peer}, not {pid}; is that of another container?")


def _socket_of(pid: int, environ: Mapping[str, str]) -> Path:
    """Where the process listens; raises `AttachError`, which says why it may not."""
    for directory in _directories_of(pid, environ):
        path = directory / f"{pid}.sock"
        try:
            if stat.S_ISSOCK(path.lstat().st_mode):
                return path
        except PermissionError:
            raise AttachError(f"process {pid} is another user's: ask as that user, or as root") from None
        except OSError:
            continue
    raise AttachError(_why_not(pid))


def _why_not(pid: int) -> str:
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return f"there is no process {pid}"
    except OSError:
        return f"process {pid} is another user's: ask as that user, or as root"
    return (
        f"process {pid} does not listen: it has no aiotel (aiotel run ..., aiotel.instrument()), or not yet "
        "an event loop, or AIOTEL_STATUS=false, or a container of its own: ask in there"
    )


def _own_directories(environ: Mapping[str, str]) -> Iterator[Path]:
    uid = os.geteuid()
    yield from directories(environ, uid)
    yield Path(f"/run/user/{uid}/aiotel")


def _directories_of(pid: int, environ: Mapping[str, str]) -> Iterator[Path]:
    """Where it may be: by its own environment, which is not always ours."""
    seen: dict[Path, None] = dict.fromkeys(_own_directories(environ))
    with suppress(OSError):
        uid = Path(f"/proc/{pid}").stat().st_uid
        seen.update(dict.fromkeys(directories(_environ_of(pid), uid)))
        seen[Path(f"/run/user/{uid}/aiotel")] = None
    yield from seen


def _environ_of(pid: int) -> dict[str, str]:
    """As it was when the process started; nothing where that is not to be had."""
    try:
        text = Path(f"/proc/{pid}/environ").read_bytes().decode(errors="surrogateescape")
    except OSError:
        return {}
    return dict(pair.split("=", 1) for pair in text.split("\0") if "=" in pair)
