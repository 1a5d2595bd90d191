"""The one session of the process: `instrument`, `uninstrument`, and what is said in terms of them."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
import warnings
from asyncio import AbstractEventLoop
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, TypeVar

from opentelemetry import context as otel_context

from . import __version__
from ._complaints import complaints
from ._config import Config, usable_config
from ._session import Session
from ._signals.traces.rules import DETACHED_KEY
from .errors import UnsupportedError

__all__ = ["detached", "instrument", "run", "uninstrument"]

T = TypeVar("T")

_session: Session | None = None
# Guards `_session`: two threads may instrument at once. Never taken by a hook.
_lock = threading.RLock()


def instrument(
    config: Config | None = None,
    *,
    tracer_provider: Any = None,
    meter_provider: Any = None,
    logger_provider: Any = None,
    loop: AbstractEventLoop | None = None,
) -> Session:
    """Watch every event loop of this process, running or to come; or `loop` alone.

    Spans, metrics and logs go to the providers given, or to OpenTelemetry's global ones, whenever
    those are set; with `Config(export=True)` aiotel builds them from `OTEL_*` where there are none.
    A second call gives the same session; it warns where that has another configuration, or watches
    another loop alone. Where no `config` is given, `AIOTEL_*` variables are read; those that cannot be
    used are logged and ignored. Raises `UnsupportedError` on an interpreter without the GIL, and for a
    loop that takes no attributes.
    """
    global _session  # noqa: PLW0603  # the one session
    _refuse_unsupported()
    with _lock:
        if _session is not None and _session.active:
            other = None
            if config is not None and not _is_as(config, _session.config):
                other = "with another configuration"
            elif not _session.watches(loop):
                other = "another loop, and that one alone"
            if other is not None:
                message = f"aiotel is instrumenting already, {other}; call uninstrument() first"
                warnings.warn(message, RuntimeWarning, stacklevel=2)
            return _session
        _session = Session(
            _from_environment() if config is None else config,
            version=__version__,
            tracer_provider=tracer_provider,
            meter_provider=meter_provider,
            logger_provider=logger_provider,
            loop=loop,
        )
        return _session


def uninstrument() -> None:
    """Put everything back as it was found, and close the session. Without one, nothing happens."""
    global _session  # the one session
    with _lock:
        session, _session = _session, None
    if session is not None:
        session.close(timeout=session.config.flush_timeout)


def run(
    main: Coroutine[Any, Any, T],
    *,
    debug: bool | None = None,
    loop_factory: Callable[[], AbstractEventLoop] | None = None,
    config: Config | None = None,
) -> T:
    """`asyncio.run` with telemetry: instruments, runs `main`, and flushes.

    Providers are built from `OTEL_*` where the program has none, unless `config.export` is False.
    What `main` returns is returned, what it raises is raised.
    """
    try:
        session = _session_for_run(config)
    except BaseException:
        main.close()
        raise
    try:
        with asyncio.Runner(debug=debug, loop_factory=loop_factory) as runner:
            return runner.run(main)
    finally:
        session.flush(timeout=session.config.flush_timeout)


@contextmanager
def detached() -> Iterator[None]:
    """Tasks created inside start traces of their own, linked to where they would have belonged.

    Example:
        >>> import aiotel, asyncio
        >>> async def main() -> None:
        ...     with aiotel.detached():
        ...         task = asyncio.create_task(asyncio.sleep(0))
        ...     await task
        >>> asyncio.run(main())
    """
    token = otel_context.attach(otel_context.set_value(DETACHED_KEY, True))
    try:
        yield
    finally:
        otel_context.detach(token)


def _session_for_run(config: Config | None) -> Session:
    """The session that is there, or one that exports."""
    if _session is not None and _session.active:
        return instrument(config)
    config = _from_environment() if config is None else config
    return instrument(replace(config, export=True) if config.export is None else config)


def _from_environment() -> Config:
    config, faults = usable_config()
    for fault in faults:
        complaints.add(fault, fault)
    complaints.say()
    return config


def _is_as(config: Config, active: Config) -> bool:
    """Whether both ask for the same; who leaves `export` open asks for nothing."""
    return (replace(config, export=active.export) if config.export is None else config) == active


def _refuse_unsupported() -> None:
    is_gil_enabled = getattr(sys, "_is_gil_enabled", None)
    if is_gil_enabled is not None and not is_gil_enabled():
        raise UnsupportedError(
            "aiotel relies on the GIL and is not tested without it; run with PYTHON_GIL=1 or another build"
        )


def _after_fork() -> None:
    global _lock  # noqa: PLW0603  # the thread that held it is not in this process
    _lock = threading.RLock()
    session = _session
    if session is None:
        return
    session.forget()
    # multiprocessing's processes leave by `os._exit`, and forget at their start what is to be done then.
    util: Any = sys.modules.get("multiprocessing.util")
    if util is not None:
        util.register_after_fork(
            session, lambda session: util.Finalize(session, session.at_exit, exitpriority=-100)
        )


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
