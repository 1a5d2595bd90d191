"""What aiotel raises at its own edge; never into the program that it watches."""

from __future__ import annotations

__all__ = ["AiotelError", "AttachError", "ConfigError", "UnsupportedError"]


class AiotelError(Exception):
    """The base of every error that aiotel raises."""


class ConfigError(AiotelError, ValueError):
    """A setting that cannot be used; the message says which, why, and what would do.

    `field` is the name of the setting in `Config`, or None where the fault is not of one setting.
    """

    def __init__(self, message: str, *, field: str | None = None) -> None:
        super().__init__(message)
        self.field = field


class UnsupportedError(AiotelError, RuntimeError):
    """This interpreter or event loop cannot be instrumented; the message says what can."""


class AttachError(AiotelError, ConnectionError):
    """A process could not be reached from outside; the message says what to check."""
