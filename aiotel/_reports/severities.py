"""How bad a failure is, where the program does not say so itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, get_args

from .._complaints import complaints
from .._report import Severity
from ..observations import Failure

__all__ = ["Judge", "judged", "severity_of"]

Judge = Callable[[Failure], Any]
"""The program's: gives a severity, or None for a failure that is not to be logged."""

_DISCONNECTS: Final = frozenset(
    {"ConnectionResetError", "ConnectionAbortedError", "BrokenPipeError", "ssl.SSLEOFError"}
)
"""What happens when the other side has gone: news, but no error of this program."""
_WIRE: Final = frozenset({"transport", "protocol", "server", "reader"})
_SEVERITIES: Final[dict[str, Severity]] = {severity: severity for severity in get_args(Severity)}


def severity_of(failure: Failure) -> Severity:
    """FATAL where it has ended the program; INFO where the other side of a connection has gone."""
    if failure.fatal:
        return "fatal"
    kind = None if failure.exception is None else failure.exception.type
    if kind in _DISCONNECTS and failure.source in _WIRE:
        return "info"
    return "error"


def judged(failure: Failure, judge: Judge | None) -> Severity | None:
    """What the program says, or what we do."""
    if judge is None:
        return severity_of(failure)
    try:
        said = judge(failure)
    except Exception as error:  # noqa: BLE001  # the program's: the failure is to be told all the same
        complaints.add("severity", f"severity failed, and the default is used: {error!r}")
        return severity_of(failure)
    if said is None:
        return None
    severity = _SEVERITIES.get(str(said).lower())
    if severity is None:
        complaints.add("severity", f"severity gave {said!r}; use {', '.join(_SEVERITIES)} or None")
        return severity_of(failure)
    return severity
