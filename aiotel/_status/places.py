"""Where the sockets are: a directory of this user's alone, that nobody else could have put there."""

from __future__ import annotations

import os
import socket
import stat
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

__all__ = ["directories", "is_answered", "own_directories", "prepare", "sweep"]

SWEPT: Final = 1000
"""So many sockets are looked at for those that dead processes have left."""
_KNOCK_S: Final = 0.2


def directories(environ: Mapping[str, str], uid: int) -> Iterator[Path]:
    """Where a process with this environment keeps its socket: the first that it can use."""
    runtime = environ.get("XDG_RUNTIME_DIR", "")
    if runtime.startswith("/"):
        yield Path(runtime) / "aiotel"
    given = next((environ[name] for name in ("TMPDIR", "TEMP", "TMP") if environ.get(name)), "")
    for temporary in dict.fromkeys((given, "/tmp")):  # noqa: S108  # what is in it is checked
        if temporary.startswith("/"):
            yield Path(temporary) / f"aiotel-{uid}"


def own_directories() -> Iterator[Path]:
    """Where this process keeps its socket."""
    return directories(os.environ, os.geteuid())


def prepare(directory: Path) -> None:
    """Make the directory, or see that it is ours alone. Raises OSError where it cannot be used.

    In a directory that all may write to somebody else may have been first, with a link or with one of theirs.
    """
    with suppress(FileExistsError):
        directory.mkdir(mode=0o700)
    found = directory.lstat()
    if not stat.S_ISDIR(found.st_mode):
        raise NotADirectoryError(f"{directory} is not a directory")
    if found.st_uid != os.geteuid():
        raise PermissionError(f"{directory} belongs to another user")
    if stat.S_IMODE(found.st_mode) & 0o077:
        raise PermissionError(f"{directory} is open to other users; chmod 700 would do")


def is_answered(path: Path) -> bool:
    """Whether a process listens on this socket."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
            client.settimeout(_KNOCK_S)
            client.connect(str(path))
    except (ConnectionRefusedError, FileNotFoundError):
        return False
    except OSError:  # busy, or not ours to ask
        return True
    return True


def sweep(directory: Path, *, alive: Callable[[int], bool] | None = None) -> None:
    """Remove the sockets of processes that are dead; those of another container only seem so: they answer."""
    alive = _alive if alive is None else alive
    with suppress(OSError), os.scandir(directory) as entries:
        for _, entry in zip(range(SWEPT), entries, strict=False):
            name, dot, kind = entry.name.partition(".")
            if not (name.isascii() and name.isdigit()) or (dot, kind) != (".", "sock"):
                continue
            path = Path(entry.path)
            if not alive(int(name)) and not is_answered(path):
                path.unlink(missing_ok=True)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:
        return True
    return True
