"""Keep what aiotel tells to OpenTelemetry from being told once more by a logging handler of OpenTelemetry's.

Such a handler exports whatever is logged: asyncio's own lines on a failure, and ours where the program's
structlog ends in the standard library. It gets a filter; no logger and no other handler is touched.
"""

from __future__ import annotations

import logging
import threading
import weakref
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Final

__all__ = ["Duplicates", "is_opentelemetrys"]

ASYNCIO: Final = "asyncio"

# asyncio's, asked for once: asking takes a lock, and a failure may come to light where that is held.
_asyncio_log = logging.getLogger(ASYNCIO)


class Duplicates(logging.Filter):
    """The filter, and what it leaves out just now."""

    def __init__(self) -> None:
        super().__init__()
        self._failing: set[int] = set()
        """The exceptions, by their ids, that are told while asyncio logs them; minus the id of the thread for
        what has no exception."""
        self._telling: set[int] = set()
        """The threads on which we are logging something ourselves."""
        self._handlers: weakref.WeakSet[logging.Handler] = weakref.WeakSet()

    def begin(self, exception: object) -> int:
        """From here to `end`, what asyncio logs of this is told already; None where it has no exception.

        Called wherever a failure comes to light: no lock, no more than a look at the handlers. Some may have
        been added since the last one.
        """
        self._join(_handlers_of(_asyncio_log))
        key = -threading.get_ident() if exception is None else id(exception)
        if key in self._failing:
            return 0
        self._failing.add(key)
        return key

    def end(self, key: int) -> None:
        """Asyncio has logged it."""
        self._failing.discard(key)

    @contextmanager
    def telling(self) -> Iterator[None]:
        """Around a log of ours: whatever this thread logs meanwhile is told already."""
        self._join(handler for logger in _loggers() for handler in logger.handlers)
        thread = threading.get_ident()
        self._telling.add(thread)
        try:
            yield
        finally:
            self._telling.discard(thread)

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether OpenTelemetry's handler shall have this record."""
        thread = threading.get_ident()
        if thread in self._telling:
            return False
        if record.name != ASYNCIO:
            return True
        exception = record.exc_info[1] if record.exc_info else None
        return (-thread if exception is None else id(exception)) not in self._failing

    def close(self) -> None:
        """Leave every handler as it was."""
        for handler in list(self._handlers):
            handler.removeFilter(self)
        self._handlers.clear()

    def _join(self, handlers: Iterable[logging.Handler]) -> None:
        for handler in handlers:
            if is_opentelemetrys(handler) and self not in handler.filters:
                handler.addFilter(self)
                self._handlers.add(handler)


def is_opentelemetrys(handler: logging.Handler) -> bool:
    """Whether the handler hands what it gets to OpenTelemetry: the SDK's, contrib's, or one made of them."""
    return any(
        kind.__name__ == "LoggingHandler" and kind.__module__.startswith("opentelemetry.")
        for kind in type(handler).__mro__
    )


def _handlers_of(logger: logging.Logger | None) -> Iterator[logging.Handler]:
    """The handlers that get what this logger is told."""
    while logger is not None:
        yield from logger.handlers
        logger = logger.parent if logger.propagate else None


def _loggers() -> Iterator[logging.Logger]:
    yield logging.root
    for logger in list(logging.root.manager.loggerDict.values()):
        if isinstance(logger, logging.Logger):  # others stand for those that nobody has asked for yet
            yield logger
