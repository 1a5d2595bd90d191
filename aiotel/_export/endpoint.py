"""Tell what is wrong with an OTLP endpoint before anything is sent to it."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlsplit

__all__ = ["DEFAULT", "endpoint_fault", "endpoint_of"]

DEFAULT = "http://localhost:4318"
_VARIABLE = "OTEL_EXPORTER_OTLP_ENDPOINT"


def endpoint_of(environ: Mapping[str, str]) -> str:
    """Where telemetry goes by this environment, as far as it is the same for all signals."""
    return environ.get(_VARIABLE, "").strip() or DEFAULT


def endpoint_fault(endpoint: str) -> str | None:
    """What is wrong with the endpoint and what would be right, in one line; None where nothing is."""
    try:
        parts = urlsplit(endpoint)
        port = parts.port
    except ValueError as error:
        return f"{endpoint!r} is no endpoint ({error}); use for example {DEFAULT}"
    if parts.scheme not in ("http", "https"):
        return f"{endpoint!r} is no endpoint: it must begin with http:// or https://, for example {DEFAULT}"
    if not parts.hostname or port == 0 or any(character.isspace() for character in endpoint):
        return f"{endpoint!r} is no endpoint: it names no host and port; use for example {DEFAULT}"
    return None
