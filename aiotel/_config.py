"""One frozen configuration, read from `AIOTEL_*` once, at the edge."""

from __future__ import annotations

import difflib
import importlib
import math
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from operator import attrgetter
from typing import Any

from .errors import ConfigError
from .observations import Failure

__all__ = ["ADAPTIVE", "WITHHOLD", "Config", "usable_config", "withheld"]

_PREFIX = "AIOTEL_"
ADAPTIVE = "adaptive"
"""`stall_after` that follows the loop's habits."""
WITHHOLD = f"{__name__}:withheld"
"""`AIOTEL_REDACT` in the place of one that cannot be used."""
DUMP_SIGNALS = ("SIGUSR1", "SIGUSR2", "SIGQUIT", "SIGHUP")
"""Signals that a program can do without: no others may ask for a snapshot."""
_TRUE = frozenset({"true", "1", "yes", "on"})
_FALSE = frozenset({"false", "0", "no", "off"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """What aiotel does and how far it goes. Times are in seconds.

    Every field can be set in the environment as `AIOTEL_<FIELD>` (see `from_env`).
    Raises `ConfigError` for a value that cannot be used.
    """

    disabled: bool = False
    """The kill switch: `instrument()` does nothing."""
    export: bool | None = None
    """True builds OpenTelemetry providers from `OTEL_*` where the program has none; None leaves
    that to whoever asks (`aiotel.run` and `aiotel run` do, `instrument()` does not)."""
    trace_max_age: float = 30.0
    """A task created in a trace older than this starts a trace of its own, linked."""
    trace_max_tasks: int = 1000
    """A task created in a trace with this many tasks starts a trace of its own, linked."""
    detach: tuple[str, ...] = ()
    """Patterns (`*.worker`, `app.jobs.*`) of functions whose tasks start traces of their own."""
    task_span_writes: str = "user"
    """Where writes to the current span go inside a task under a user's span: to that span
    ("user"), as without aiotel, or to the task's own ("task")."""
    mailbox_size: int = 65536
    """How many finished tasks and failures may wait to be handed on; what is over is counted."""
    flush_timeout: float = 2.0
    """How long the end of the process may wait for what is still to be exported."""
    function_limit: int = 100
    """How many function names and exception types metrics tell apart; the rest is `_OTHER`."""
    stack_frames: int = 50
    """How many frames of a traceback are kept."""
    coroutine_origins: bool = False
    """When a coroutine was never awaited and the line that dropped it is not known, have Python note for a
    minute where coroutines are made, on that loop's thread; its own warnings say so then, too."""
    stall_after: float | str | None = None
    """A callback that takes so long is a stall: None for what the loop itself calls slow
    (`loop.slow_callback_duration`, 0.1 s), "adaptive" for three times this loop's p99, at least 50 ms."""
    stall_error_after: float = 5.0
    """A stall that lasts so long is told at once, and is an error."""
    blocking_calls: bool = False
    """Tell calls that block (files, connections, names, processes, `time.sleep`) on the threads of running
    loops, by Python's audit events. An audit hook stays for good: once this was asked for, each event of the
    process takes up to 0.2 µs longer, and each task about 1 µs."""
    blocking_allowed: tuple[str, ...] = ()
    """Patterns (`app.settings.*`, `jinja2.*`) of functions that may block, and whatever they call."""
    unretrieved_after: float = 5.0
    """A failed task that somebody holds, and whose exception nobody has retrieved for so long, is told."""
    starved_after: float = 1.0
    """A pool of threads that calls wait for, and none of whose threads has come free for so long, is told."""
    look_interval: float = 1.0
    """How often it is looked whether tasks are stuck; a deadlock is told after two to four times that."""
    hung_after: float | tuple[tuple[str, float], ...] | None = None
    """A task that waits for so long is told, unless it waits for I/O, a queue or a time; or limits by
    pattern of functions (`(("app.sync.*", 60.0), ("*", 600.0))`, as text `app.sync.*=60, *=600`), which go
    for all."""
    lock_owners: bool = False
    """See who acquires and releases asyncio's locks and semaphores, also by a bare `await lock.acquire()`;
    for some 2 µs a lock."""
    lock_metrics: bool = False
    """Measure how long tasks wait for locks and semaphores, and hold them; by function."""
    lock_held_after: float | None = None
    """A lock that is held for so long while another task waits for it so long is told; None for none."""
    status: bool = True
    """Let `aiotel ps` and its kin look into the process, by a unix socket that only this user and root can
    use."""
    dump_signal: str = ""
    """At this signal (SIGUSR1, SIGUSR2, SIGQUIT or SIGHUP) a snapshot of all tasks is logged. Whoever handles
    the signal already still does."""
    exact_timing: bool = False
    """Time every step of every task, and count every slow callback: on asyncio's own loops, for about a
    microsecond a step."""
    redact: Callable[[str], str] | None = None
    """Gives the message of an exception as it may leave the process; in the environment as `module:name`."""
    severity: Callable[[Failure], str | None] | None = None
    """Gives the severity of a failure (debug, info, warn, error, fatal), or None for one that is counted but
    not logged; in the environment as `module:name`. By default errors, and infos where a connection broke."""

    def __post_init__(self) -> None:
        for name, check in _CHECKS.items():
            fault = check(getattr(self, name))
            if fault:
                raise ConfigError(f"{name} {fault}, not {getattr(self, name)!r}", field=name)

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None) -> Config:
        """The configuration that `AIOTEL_*` variables describe, defaults for what they leave out.

        `environ` maps names to values (`os.environ` by default). Numbers are plain decimals, booleans
        true/false, lists are separated by commas; one that is empty is as if it were not set. Raises
        `ConfigError` for a name that is no setting (with the nearest that is) and for a value that cannot
        be used.
        """
        config = cls()
        for variable, text in _variables(environ):
            config = config.with_text(variable[len(_PREFIX) :].lower(), text)
        return config

    def with_text(self, field: str, text: str) -> Config:
        """A copy with one field read from text, as `from_env` reads it. Raises `ConfigError`."""
        parse = _PARSERS.get(field)
        if parse is None:
            raise ConfigError(_unknown(field), field=field)
        try:
            value = parse(text.strip())
        except ValueError as error:
            raise ConfigError(f"{field} {error}, not {text!r}", field=field) from None
        settings: dict[str, Any] = {field: value}
        return replace(self, **settings)


def usable_config(environ: Mapping[str, str] | None = None) -> tuple[Config, list[str]]:
    """The configuration that the usable `AIOTEL_*` variables describe, and a line on each of the others.

    A program does not fail for a variable that it may not even have set: Kubernetes makes
    `AIOTEL_SERVICE_HOST` of a service of that name.
    """
    config, faults = Config(), []
    for variable, text in _variables(environ):
        try:
            config = config.with_text(variable[len(_PREFIX) :].lower(), text)
        except ConfigError as error:
            if error.field == "redact":
                config = replace(config, redact=withheld)
            faults.append(f"{variable} is ignored: {error}")
    return config, faults


def _variables(environ: Mapping[str, str] | None) -> list[tuple[str, str]]:
    """Those that are ours, in order; OpenTelemetry has it that one that is empty is as if it were not set.

    Not so the one that keeps secrets: who names it wants them kept, whatever went wrong with its value.
    """
    given = os.environ if environ is None else environ
    ours = [(name, text) for name, text in given.items() if name.startswith(_PREFIX)]
    return sorted((name, text) for name, text in ours if text or name == f"{_PREFIX}REDACT")


def _unknown(field: str) -> str:
    names = [known.name for known in fields(Config)]
    near = difflib.get_close_matches(field, names, n=1)
    hint = f"did you mean {near[0]}?" if near else f"settings are: {', '.join(names)}"
    return f"{field} is not a setting; {hint}"


def _boolean(text: str) -> bool:
    if text.lower() in _TRUE:
        return True
    if text.lower() in _FALSE:
        return False
    raise ValueError("must be true or false")


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ValueError("must be a number of seconds") from None


def _seconds_or_adaptive(text: str) -> float | str:
    if text.lower() == ADAPTIVE:
        return ADAPTIVE
    try:
        return _number(text)
    except ValueError as error:
        raise ValueError(f'{error}, or "{ADAPTIVE}"') from None


def _seconds_or_limits(text: str) -> float | tuple[tuple[str, float], ...]:
    if "=" not in text:
        return _number(text)
    parts = [part.rpartition("=") for part in _names(text)]
    if not all(pattern.strip() for pattern, _, _ in parts):
        raise ValueError("must be a number of seconds, or PATTERN=SECONDS, ...")
    return tuple((pattern.strip(), _number(seconds)) for pattern, _, seconds in parts)


def _count(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise ValueError("must be a whole number") from None


def _names(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


class _Named:
    """A function of the program's by its name (`module:name`), imported when it is needed.

    Not before: where the configuration is read, the program's modules may not be within reach yet.
    """

    def __init__(self, text: str) -> None:
        self._text = text
        self._module, _, self._name = text.partition(":")
        if not (self._module and self._name):
            raise ValueError("must be module:name of a function")
        self._found: Callable[[Any], Any] | None = None

    def __call__(self, argument: Any) -> Any:
        if self._found is None:
            self._found = attrgetter(self._name)(importlib.import_module(self._module))
        return self._found(argument)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Named) and other._text == self._text

    def __hash__(self) -> int:
        return hash(self._text)

    def __repr__(self) -> str:
        return self._text


def withheld(message: str) -> str:
    """What `redact` does where the one that was asked for cannot be used: nothing is told by that mistake."""
    return "[withheld: AIOTEL_REDACT cannot be used]"


_PARSERS: Mapping[str, Callable[[str], object]] = {
    "disabled": _boolean,
    "export": _boolean,
    "trace_max_age": _number,
    "trace_max_tasks": _count,
    "detach": _names,
    "task_span_writes": str,
    "mailbox_size": _count,
    "flush_timeout": _number,
    "function_limit": _count,
    "stack_frames": _count,
    "coroutine_origins": _boolean,
    "stall_after": _seconds_or_adaptive,
    "stall_error_after": _number,
    "blocking_calls": _boolean,
    "blocking_allowed": _names,
    "unretrieved_after": _number,
    "starved_after": _number,
    "look_interval": _number,
    "hung_after": _seconds_or_limits,
    "lock_owners": _boolean,
    "lock_metrics": _boolean,
    "lock_held_after": _number,
    "status": _boolean,
    "dump_signal": str,
    "exact_timing": _boolean,
    "redact": _Named,
    "severity": _Named,
}


def _positive(kinds: tuple[type, ...], words: str) -> Callable[[Any], str | None]:
    def check(value: Any) -> str | None:
        return None if type(value) in kinds and 0 < value < math.inf else f"must be {words} above zero"

    return check


def _bool_check(value: Any) -> str | None:
    return None if isinstance(value, bool) else "must be true or false"


def _patterns_check(value: Any) -> str | None:
    good = isinstance(value, tuple) and all(isinstance(name, str) for name in value)
    return None if good else "must be a tuple of patterns"


def _callable_check(value: Any) -> str | None:
    return None if value is None or callable(value) else "must be a function"


def _limits_check(value: Any) -> str | None:
    limits = value if isinstance(value, tuple) else (("*", value),)
    good = all(
        isinstance(each, tuple) and len(each) == 2 and isinstance(each[0], str) and _seconds(each[1]) is None
        for each in limits
    )
    return None if good else "must be a number of seconds above zero, or pairs of a pattern and one"


_seconds = _positive((int, float), "a number of seconds")
_whole = _positive((int,), "a whole number")
_CHECKS: Mapping[str, Callable[[Any], str | None]] = {
    "disabled": _bool_check,
    "export": lambda value: None if value is None else _bool_check(value),
    "trace_max_age": _seconds,
    "trace_max_tasks": _whole,
    "detach": _patterns_check,
    "task_span_writes": lambda value: None if value in ("user", "task") else 'must be "user" or "task"',
    "mailbox_size": _whole,
    "flush_timeout": _seconds,
    "function_limit": _whole,
    "stack_frames": _whole,
    "coroutine_origins": _bool_check,
    "stall_after": lambda value: (
        None if value in (None, ADAPTIVE) else _seconds(value) and f'{_seconds(value)}, or "{ADAPTIVE}"'
    ),
    "stall_error_after": _seconds,
    "blocking_calls": _bool_check,
    "blocking_allowed": _patterns_check,
    "unretrieved_after": _seconds,
    "starved_after": _seconds,
    "look_interval": _seconds,
    "hung_after": lambda value: None if value is None else _limits_check(value),
    "lock_owners": _bool_check,
    "lock_metrics": _bool_check,
    "lock_held_after": lambda value: None if value is None else _seconds(value),
    "status": _bool_check,
    "dump_signal": lambda value: (
        None if value in ("", *DUMP_SIGNALS) else f"must be one of {', '.join(DUMP_SIGNALS)}, or empty"
    ),
    "exact_timing": _bool_check,
    "redact": _callable_check,
    "severity": _callable_check,
}
