"""See a call start and end on a thread of a pool, by the class of its future.

A worker tells the future of a call that it starts (`set_running_or_notify_cancel`) and what came of it
(`set_result`, `set_exception`), on its own thread, just before and just after. So the program's function is
not wrapped, and there is no frame of ours beneath it.
"""

from __future__ import annotations

import time
from concurrent.futures import Future
from threading import get_ident
from typing import Any, Final

from opentelemetry import context as otel_context

from .._faults import faults
from .pools import Pool

__all__ = ["Call", "watch"]

_CALL: Final = "_aiotel_call"
_clock = time.monotonic_ns


class Call:
    """One call, since it was submitted; `context` is OpenTelemetry's, where it is to be current inside."""

    __slots__ = ("_context", "_ident", "_pool", "_submitted_ns", "_token")

    def __init__(self, pool: Pool, context: Any) -> None:
        self._pool = pool
        self._context = context
        self._ident = 0
        self._token: Any = None
        self._submitted_ns = _clock()

    def start(self) -> None:
        """On the thread that has taken it."""
        context, self._context = self._context, None
        if not self._pool.open:
            return
        self._ident = get_ident()
        self._pool.start(self._ident, self._submitted_ns, _clock())
        if context is not None:
            self._token = otel_context.attach(context)

    def end(self) -> None:
        """On the same thread; anywhere, where it has not started and is not going to."""
        token, self._token = self._token, None
        if self._ident:
            self._pool.end(self._ident)
        if token is not None and get_ident() == self._ident:
            otel_context.detach(token)


def watch(future: Future[Any], call: Call) -> None:
    """Have the future tell the call that it starts, and that it has ended."""
    setattr(future, _CALL, call)
    future.__class__ = _Watched


class _Watched(Future[Any]):
    """Becomes what it was once the call has ended."""

    def set_running_or_notify_cancel(self) -> bool:
        runs = Future.set_running_or_notify_cancel(self)
        try:
            if runs:
                vars(self)[_CALL].start()
            else:
                _end(self)
        except Exception as error:  # noqa: BLE001  # ours: the call is made all the same
            faults.add(error)
        return runs

    def set_result(self, result: Any) -> None:
        _end(self)
        Future.set_result(self, result)

    def set_exception(self, exception: BaseException | None) -> None:
        _end(self)
        Future.set_exception(self, exception)


# In a program's eyes it is what it was.
for _name in ("__name__", "__qualname__", "__module__", "__doc__"):
    setattr(_Watched, _name, getattr(Future, _name))


def _end(future: Future[Any]) -> None:
    try:
        future.__class__ = Future
        call = vars(future).pop(_CALL, None)
        if call is not None:
            call.end()
    except Exception as error:  # noqa: BLE001  # ours: what came of the call is told all the same
        faults.add(error)
