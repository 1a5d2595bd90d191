"""Who is at the other end of a unix socket: the kernel says it, and nobody can pretend."""

from __future__ import annotations

import os
import socket
import struct
from typing import Final

__all__ = ["is_allowed", "peer_of"]

_MACOS_PEERCRED, _MACOS_PEERPID = 0x001, 0x002  # LOCAL_PEERCRED and LOCAL_PEERPID of sys/un.h
_MACOS_BYTES: Final = 76


def peer_of(connection: socket.socket) -> tuple[int, int]:
    """The process id (0 where it is not known) and the user id of the other end. Raises OSError."""
    if hasattr(socket, "SO_PEERCRED"):
        credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
        pid, uid, _ = struct.unpack("3i", credentials)
        return pid, uid & 0xFFFFFFFF
    credentials = connection.getsockopt(0, _MACOS_PEERCRED, _MACOS_BYTES)
    _, uid = struct.unpack_from("II", credentials)
    return struct.unpack("i", connection.getsockopt(0, _MACOS_PEERPID, 4))[0], uid


def is_allowed(uid: int) -> bool:
    """Whether this user may look into this process: its own, and root."""
    return uid in (0, os.geteuid())
