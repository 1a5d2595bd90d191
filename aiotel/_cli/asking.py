"""Ask a process that is named on the command line, or the only one there is, and explain what goes wrong."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from .speech import say

TYPE_CHECKING = False
if TYPE_CHECKING:  # `aiotel --help` imports this, too
    from .._snapshot import Snapshot

__all__ = ["Answer", "Unanswered", "add_pid", "asked", "printed"]

_HIGHEST: Final = 1 << 31


class Unanswered(Exception):  # noqa: N818  # the user has been told why
    """There is nothing to show; `status` is that of the command."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a process said: about itself, its snapshot, and all of it as it came."""

    about: dict[str, Any]
    snapshot: Snapshot
    matches: tuple[int, ...] = ()


def add_pid(parser: argparse.ArgumentParser) -> None:
    """Declare which process is meant."""
    parser.add_argument(
        "pid", metavar="PID", type=_pid, nargs="?", help="the process; where there is only one, that one"
    )


def asked(do: str, pid: int | None, *, task: str = "") -> dict[str, Any]:
    """What the process answers; raises `Unanswered` once it has said why it does not."""
    from .._status.client import ask
    from .._status.protocol import Refusal, Request
    from ..errors import AttachError

    _require_sockets()
    pid = _only_one() if pid is None else pid
    try:
        return ask(pid, Request(do=do, task=task), os.environ)
    except AttachError as error:
        say(str(error))
    except Refusal as refusal:
        from .._receiver.terminal.text import neutral

        say(neutral(str(refusal)))
    raise Unanswered(1)


def answer_of(reply: dict[str, Any]) -> Answer:
    """The answer, with its snapshot as data."""
    from .._snapshot import Snapshot
    from .._status.plain import from_plain

    about = {key: value for key, value in reply.items() if key != "snapshot"}
    try:
        plain = reply.get("snapshot")
        snapshot = from_plain(Snapshot, plain)
        matches = plain.get("matches", []) if isinstance(plain, dict) else []
    except ValueError as error:
        say(f"what the process answers is not understood: {error}")
        raise Unanswered(1) from None
    return Answer(about=about, snapshot=snapshot, matches=tuple(matches))


def printed(show: Callable[[], None]) -> int:
    """Show something, and give the command's status; whoever reads it may stop at any time."""
    try:
        show()
        sys.stdout.flush()
    except Unanswered as unanswered:
        return unanswered.status
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except KeyboardInterrupt:
        return 130
    return 0


def _only_one() -> int:
    from .._status.client import processes

    found = processes(os.environ)
    if len(found) == 1:
        return found[0]
    if not found:
        say("there is no process to look into: none with aiotel and an event loop runs as this user")
        raise Unanswered(1)
    say("which process? there are:")
    for pid in found:
        say(f"  {pid}  {_command_of(pid)}")
    raise Unanswered(2)


def _command_of(pid: int) -> str:
    from .._receiver.terminal.text import neutral

    try:
        line = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return ""
    return neutral(" ".join(line.decode(errors="replace").split("\0")).strip(), limit=100)


def _require_sockets() -> None:
    import socket

    if not hasattr(socket, "AF_UNIX"):
        say("there are no unix sockets on this system, by which processes are asked")
        raise Unanswered(1)


def _pid(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 0 < int(text[:12]) < _HIGHEST):
        raise argparse.ArgumentTypeError(f"{text!r} is not the number of a process")
    return int(text)
