"""See a call start and end on a thread of a pool, from between the worker and the call's future.

A worker tells the future of its item that it starts (`set_running_or_notify_cancel`), and what came of it
(`set_result`, `set_exception`), on its own thread, just before and just after. What stands in an item for the
future passes that on. So neither the program's function nor its future is wrapped, and there is no frame of
ours beneath the function.
"""

from __future__ import annotations

import time
import weakref
from concurrent.futures import Future
from threading import get_ident
from typing import Any

from opentelemetry import context as otel_context

from .._faults import faults
from .pools import Pool

__all__ = ["Submitted"]

_clock = time.monotonic_ns


class Submitted:
    """Stands in an item for its future; OpenTelemetry's `context`, if any, is current while the call runs.

    `builtin` is the name of what is called, where that is no function of Python's.

    What to change the class of the future costs instead: Python's caches in all its methods.
    """

    __slots__ = (
        "__weakref__",
        "_builtin",
        "_context",
        "_future",
        "_ident",
        "_pool",
        "_submitted_ns",
        "_token",
    )

    def __init__(self, future: Future[Any], pool: Pool, context: Any, builtin: str = "") -> None:
        self._future = future
        self._pool = pool
        self._context = context
        self._builtin = builtin
        self._ident = 0
        self._submitted_ns = _clock()
        pool.queued[id(self)] = weakref.ref(self)

    def set_running_or_notify_cancel(self) -> bool:
        """The call has a thread, unless it was cancelled."""
        runs = self._future.set_running_or_notify_cancel()
        try:
            context, self._context = self._context, None
            pool = self._pool
            pool.queued.pop(id(self), None)
            if runs and pool.open:
                self._token = None
                self._ident = ident = get_ident()
                now_ns = _clock()
                pool.active[ident] = now_ns, self._builtin
                pool.waits.put(now_ns - self._submitted_ns)
                if context is not None:
                    self._token = otel_context.attach(context)
        except Exception as error:  # noqa: BLE001  # ours: the call is made all the same
            faults.add(error)
        return runs

    def set_result(self, result: Any) -> None:
        """The call has ended."""
        if self._ident:
            self._end()
        self._future.set_result(result)

    def set_exception(self, exception: BaseException | None) -> None:
        """The call has failed, or no thread will ever take it."""
        if self._ident:
            self._end()
        self._future.set_exception(exception)

    def __getattr__(self, name: str) -> Any:
        """Whatever else somebody wants of the future: to cancel it."""
        return getattr(self._future, name)

    def _end(self) -> None:
        try:
            self._pool.active.pop(self._ident, None)
            if self._token is not None:
                token, self._token = self._token, None
                otel_context.detach(token)
        except Exception as error:  # noqa: BLE001  # ours: what came of the call is told all the same
            faults.add(error)
