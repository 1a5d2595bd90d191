"""The one exception by which a request is turned down."""

from __future__ import annotations


class RefusalError(Exception):
    """A request that gets an error for an answer.

    `status` is the HTTP status, the message says what was wrong and what to do. `headers` go with the answer.
    """

    def __init__(self, status: int, message: str, **headers: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}
