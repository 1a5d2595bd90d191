"""Turn the options of `aiotel run` into environment variables: nothing else reaches child processes."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from .._config import WITHHOLD, Config
from .._export.endpoint import endpoint_fault
from ..errors import ConfigError
from .speech import say

ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"
PROTOCOL = "OTEL_EXPORTER_OTLP_PROTOCOL"
REDACT = "AIOTEL_REDACT"


class BadUseError(Exception):
    """An option that cannot be used; the message says what would do."""


def with_options(
    environ: Mapping[str, str], *, service_name: str | None, endpoint: str | None, config: Sequence[str]
) -> dict[str, str]:
    """A copy of `environ` with the options in it. Raises `BadUseError` for one that cannot be used.

    Of `environ` itself, what cannot be used is left out.
    """
    result = dict(environ)
    _undo_locale_coercion(result)
    result.update(_settings(config))
    if service_name is not None:
        if not service_name:
            raise BadUseError("--service-name must not be empty")
        result["OTEL_SERVICE_NAME"] = service_name
    if endpoint is not None:
        # The exporter for gRPC takes host:port too.
        fault = None if result.get(PROTOCOL) == "grpc" else endpoint_fault(endpoint)
        if fault:
            raise BadUseError(f"--endpoint: {fault}")
        result[ENDPOINT] = endpoint
    return usable(result)


def usable(environ: Mapping[str, str]) -> dict[str, str]:
    """`environ` without what is no setting of aiotel, or cannot be one, each told in a line.

    What was to be hidden is not told because of a mistake: without a usable `redact`, nothing is.
    """
    found = {name: value for name, value in environ.items() if _is_usable(name, value)}
    return found if REDACT in found or REDACT not in environ else {**found, REDACT: WITHHOLD}


def _settings(options: Sequence[str]) -> Iterator[tuple[str, str]]:
    for option in options:
        field, equals, value = option.partition("=")
        if not equals:
            raise BadUseError(f"--config takes FIELD=VALUE, not {option!r}")
        try:
            Config().with_text(field, value)
        except ConfigError as error:
            raise BadUseError(f"--config: {error}") from None
        yield f"AIOTEL_{field.upper()}", value


def _is_usable(name: str, value: str) -> bool:
    try:
        Config.from_env({name: value})
    except ConfigError as error:
        say(f"{name} is ignored: {error}")
        return False
    return True


def _undo_locale_coercion(environ: dict[str, str]) -> None:
    """Take back the LC_CTYPE that Python sets for itself in the C locale (PEP 538).

    Inherited, it would turn off the UTF-8 mode that the program's Python has without us.
    """
    try:
        given = Path("/proc/self/environ").read_bytes().split(b"\0")
    except OSError:  # not Linux
        return
    if not any(entry.startswith(b"LC_CTYPE=") for entry in given):
        environ.pop("LC_CTYPE", None)
