"""Turn a signal off where the collector has no place for it: Jaeger takes traces only, and answers 404."""

from __future__ import annotations

from typing import Any, Final

import requests
from opentelemetry.sdk._logs.export import LogRecordExportResult
from opentelemetry.sdk.metrics.export import MetricExportResult
from opentelemetry.sdk.trace.export import SpanExportResult

from .._complaints import complaints

__all__ = ["turn_off_when_missing", "watched_session"]

_SUCCESS: Final = {
    "traces": SpanExportResult.SUCCESS,
    "metrics": MetricExportResult.SUCCESS,
    "logs": LogRecordExportResult.SUCCESS,
}


class _LastStatus:
    """The status of the latest answer on a session."""

    def __init__(self) -> None:
        self.code: int | None = None
        self.url: str | None = None

    def __call__(self, response: requests.Response, *args: Any, **kwargs: Any) -> None:
        self.code, self.url = response.status_code, response.url


def watched_session() -> tuple[requests.Session, _LastStatus]:
    """A session for an exporter, and what was answered on it last."""
    session, status = requests.Session(), _LastStatus()
    session.hooks["response"].append(status)
    return session, status


def turn_off_when_missing(exporter: Any, signal: str, status: _LastStatus) -> Any:
    """The exporter, whose `export` does nothing more once the collector has answered 404."""
    send = exporter.export
    off = False

    def export(batch: Any, *args: Any, **kwargs: Any) -> Any:
        nonlocal off
        if off:
            return _SUCCESS[signal]
        result = send(batch, *args, **kwargs)
        if status.code == requests.codes.not_found:
            off = True
            complaints.add(
                f"missing {signal}",
                f"the collector has no place for {signal} ({status.url} answers 404): not sending any; "
                f"set OTEL_{signal.upper()}_EXPORTER=none to say so",
            )
            return _SUCCESS[signal]
        return result

    exporter.export = export
    return exporter
