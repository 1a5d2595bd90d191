"""Tell failures that somebody holds and nobody has looked at for a while, and when somebody has after all."""

from __future__ import annotations

from collections.abc import Callable

from .._report import Report
from .._signals import names
from ..observations import Retrieved, Unretrieved
from .failures import repeated
from .redaction import Redact, redacted
from .tasks import task_attributes
from .tracebacks import traceback_of

__all__ = ["Retrievals", "Unretrieveds"]


class Unretrieveds:
    """Failures that nobody has looked at yet, in words."""

    def __init__(self, count: Callable[[str, str, int], None], redact: Redact | None = None) -> None:
        self._count = count
        self._redact = redact

    def count(self, unretrieved: Unretrieved, times: int) -> None:
        """Count it as not handled: who is to be alerted cannot wait until it is certain."""
        self._count("unretrieved", unretrieved.exception.type, times)

    def report(self, unretrieved: Unretrieved) -> Report:
        """The failure, with its traceback."""
        exception = redacted(unretrieved.exception, self._redact)
        return Report(
            name=names.TASK_UNRETRIEVED,
            severity="warn",
            words="Task failed, and nobody has retrieved its exception yet",
            time_ns=unretrieved.time_ns,
            attributes={
                names.EXCEPTION_TYPE: exception.type,
                names.EXCEPTION_MESSAGE: exception.message,
                names.EXCEPTION_SOURCE: "unretrieved",
                **task_attributes(unretrieved.task),
            },
            task=unretrieved.task,
            stacktrace=traceback_of(exception),
            exception=exception,
            context=unretrieved.context,
        )

    def again(self, unretrieved: Unretrieved, times: int, seconds: float) -> Report:
        """How many more."""
        return repeated(self.report(unretrieved), times, seconds)


class Retrievals:
    """Failures that somebody has looked at after all, in words."""

    def count(self, retrieved: Retrieved, times: int) -> None:
        """It was counted when it was told that nobody had looked."""

    def report(self, retrieved: Retrieved) -> Report:
        """That all is well."""
        return Report(
            name=names.TASK_RETRIEVED,
            severity="info",
            words=f"The exception was retrieved after {retrieved.after_ns / 1e9:.0f} s",
            time_ns=retrieved.time_ns,
            attributes={names.ERROR_TYPE: retrieved.error_type, **task_attributes(retrieved.task)},
            task=retrieved.task,
        )

    def again(self, retrieved: Retrieved, times: int, seconds: float) -> Report:
        """How many more."""
        return repeated(self.report(retrieved), times, seconds)
