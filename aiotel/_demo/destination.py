"""Tell where telemetry goes: to the collector that the environment names, or to one that listens here."""

from __future__ import annotations

import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from .._export.endpoint import DEFAULT, endpoint_fault

__all__ = ["SERVICE", "Destination", "destination_of", "environ_for", "jaeger_of", "listens"]

SERVICE = "aiotel-demo"
SIGNALS = ("traces", "metrics", "logs")

_ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"
_PROBE_SECONDS = 0.5
# How the shop sends: only we know where we listen and what we speak.
_OURS = ("ENDPOINT", "PROTOCOL")
# Soon enough for somebody who watches. OpenTelemetry's own defaults are 5 s, 1 s and 60 s.
_SOON = {
    "OTEL_BSP_SCHEDULE_DELAY": "500",
    "OTEL_BLRP_SCHEDULE_DELAY": "500",
    "OTEL_METRIC_EXPORT_INTERVAL": "1000",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Destination:
    """A collector: the URL for each signal, none where there is no collector.

    `fault` says what is wrong with an endpoint that the environment names.
    """

    name: str = ""
    urls: Mapping[str, str] = field(default_factory=dict)
    fault: str | None = None


def listens(endpoint: str) -> bool:
    """Whether anybody accepts connections there."""
    parts = urlsplit(endpoint)
    try:
        socket.create_connection((parts.hostname, parts.port), timeout=_PROBE_SECONDS).close()
    except OSError:
        return False
    return True


def destination_of(environ: Mapping[str, str], *, listens: Callable[[str], bool] = listens) -> Destination:
    """Where telemetry goes by this environment; where it says nothing, to what listens on port 4318."""
    named = {signal: environ.get(_signal_variable(signal, "ENDPOINT"), "").strip() for signal in SIGNALS}
    general = environ.get(_ENDPOINT, "").strip()
    for endpoint in filter(None, (general, *named.values())):
        if fault := endpoint_fault(endpoint):
            return Destination(fault=fault)
    if not general and listens(DEFAULT):
        general = DEFAULT
    base = general.rstrip("/")
    urls = {signal: named[signal] or (f"{base}/v1/{signal}" if base else "") for signal in SIGNALS}
    urls = {signal: url for signal, url in urls.items() if url}
    return Destination(name=base or next(iter(urls.values()), ""), urls=urls)


def environ_for(environ: Mapping[str, str]) -> dict[str, str]:
    """The environment in which the shop sends everything by OTLP/HTTP to where its command line says."""
    dropped = {_signal_variable(signal, what) for signal in SIGNALS for what in _OURS}
    dropped |= {f"OTEL_{signal.upper()}_EXPORTER" for signal in SIGNALS}
    dropped |= {"FORCE_COLOR"}  # its stderr is read here, not by a terminal
    result = _SOON | {name: value for name, value in environ.items() if name not in dropped}
    result["OTEL_EXPORTER_OTLP_PROTOCOL"] = "http/protobuf"
    for name in ("NO_PROXY", "no_proxy"):  # a company's proxy does not know the way to this machine
        result[name] = ",".join(filter(None, (environ.get(name), "127.0.0.1", "localhost")))
    return result


def jaeger_of(destination: Destination) -> str:
    """Where the page of Jaeger is, if what listens is a Jaeger: same host, its usual port."""
    host = urlsplit(destination.name).hostname or "localhost"
    return f"http://[{host}]:16686" if ":" in host else f"http://{host}:16686"


def _signal_variable(signal: str, what: str) -> str:
    return f"OTEL_EXPORTER_OTLP_{signal.upper()}_{what}"
