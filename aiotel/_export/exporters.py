"""Make the exporters that `OTEL_*` asks for, one signal at a time."""

from __future__ import annotations

import importlib
import logging
import sys
from collections.abc import Callable, Mapping
from typing import Any, Final

from .._complaints import complaints
from .endpoint import DEFAULT, endpoint_fault
from .missing import turn_off_when_missing, watched_session

__all__ = ["SIGNALS", "exporters_for"]

SIGNALS: Final = ("traces", "metrics", "logs")

_CLASSES: Final = {
    "traces": ("trace_exporter", "OTLPSpanExporter"),
    "metrics": ("metric_exporter", "OTLPMetricExporter"),
    "logs": ("_log_exporter", "OTLPLogExporter"),
}
_CONSOLE: Final = {
    "traces": ("opentelemetry.sdk.trace.export", "ConsoleSpanExporter"),
    "metrics": ("opentelemetry.sdk.metrics.export", "ConsoleMetricExporter"),
    "logs": ("opentelemetry.sdk._logs.export", "ConsoleLogRecordExporter"),
}
_PACKAGES: Final = {
    "http/protobuf": "opentelemetry.exporter.otlp.proto.http",
    "grpc": "opentelemetry.exporter.otlp.proto.grpc",
}
_CREDENTIALS: Final = "_CREDENTIAL_PROVIDER"
"""Where a variable of this kind is set, the exporter's session is somebody else's to make."""


def exporters_for(signal: str, environ: Mapping[str, str]) -> list[Any]:
    """The exporters of one signal: those of `otlp` (the default), `console` and `none` that are asked for."""
    asked = environ.get(f"OTEL_{signal.upper()}_EXPORTER", "").strip() or "otlp"
    makers: dict[str, Callable[[], Any]] = {
        "otlp": lambda: _otlp(signal, environ),
        "console": lambda: _console(signal),
    }
    exporters = []
    for name in (part.strip() for part in asked.split(",")):
        if name == "none":
            continue
        maker = makers.get(name)
        if maker is None:
            complaints.add(
                f"exporter {signal}",
                f"OTEL_{signal.upper()}_EXPORTER: {name} is not one of otlp, console, none; using otlp",
            )
            maker = makers["otlp"]
        exporters.append(maker())
    return exporters


def _console(signal: str) -> Any:
    module, name = _CONSOLE[signal]
    return getattr(importlib.import_module(module), name)(out=sys.stderr)


def _otlp(signal: str, environ: Mapping[str, str]) -> Any:
    protocol = _setting(signal, "PROTOCOL", environ) or "http/protobuf"
    module, name = _CLASSES[signal]
    package = _PACKAGES.get(protocol)
    if package is None:
        complaints.add("protocol", f"OTLP protocol {protocol!r} is not known; use http/protobuf or grpc")
        package = _PACKAGES["http/protobuf"]
    try:
        made = importlib.import_module(f"{package}.{module}")
    except ImportError:
        complaints.add(
            "protocol", "OTLP over gRPC needs its exporter: pip install 'aiotel[grpc]'; using http/protobuf"
        )
        made = importlib.import_module(f"{_PACKAGES['http/protobuf']}.{module}")
    endpoint = _setting(signal, "ENDPOINT", environ)
    fault = endpoint_fault(endpoint) if endpoint and protocol != "grpc" else None
    options: dict[str, Any] = {}
    if fault is not None:
        complaints.add("endpoint", f"{fault}; sending to the default endpoint until then")
        options["endpoint"] = f"{DEFAULT}/v1/{signal}"
    if made.__name__.startswith(_PACKAGES["grpc"]) or any(_CREDENTIALS in variable for variable in environ):
        return getattr(made, name)(**options)
    session, status = watched_session()
    return turn_off_when_missing(getattr(made, name)(session=session, **options), signal, status)


def _setting(signal: str, name: str, environ: Mapping[str, str]) -> str:
    own = environ.get(f"OTEL_EXPORTER_OTLP_{signal.upper()}_{name}", "").strip()
    return own or environ.get(f"OTEL_EXPORTER_OTLP_{name}", "").strip()


class _Quiet(logging.Filter):
    """Exporters log at every retry; a line a minute is enough, and it should say what to do."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Keep the record from being logged; it is told seldom instead."""
        if record.levelno < logging.WARNING:
            return True
        complaints.add("export", f"telemetry could not be sent: {record.getMessage()}"[:500])
        return False


_quiet = _Quiet()


def quieten() -> None:
    """Have the exporters' own complaints told seldom. For exporters that aiotel itself has made."""
    for name in list(logging.root.manager.loggerDict):
        if name.startswith(("opentelemetry.exporter.otlp", "opentelemetry.sdk._shared_internal")):
            logging.getLogger(name).addFilter(_quiet)


def unquieten() -> None:
    """Undo `quieten`."""
    for name in list(logging.root.manager.loggerDict):
        logging.getLogger(name).removeFilter(_quiet)
