"""How far an answer may go: everything that a client can ask for has an end."""

from __future__ import annotations

from typing import Final

__all__ = ["ANSWER_BYTES", "CLIENTS", "REQUEST_BYTES", "SECONDS", "SNAPSHOT_S", "VERSION"]

VERSION: Final = 1
"""Of the protocol: what is added to answers keeps it, what is changed or removed does not."""
SECONDS: Final = 5.0
"""A client has so long to send a request, and again to read the answer."""
SNAPSHOT_S: Final = 2.0
"""So long a snapshot may take; the rest of the five seconds is for telling it."""
ANSWER_BYTES: Final = 16 * 1024 * 1024
REQUEST_BYTES: Final = 4096
CLIENTS: Final = 4
"""So many are served at once; the next one is told so."""
