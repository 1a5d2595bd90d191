"""See how long calls wait for one of anyio's worker threads, where anyio is used.

A call comes in by one function of anyio's and, once its limiter lets it pass, asks another on whose behalf it
runs. Each is stood in front of; neither stays on the stack of the task, and nothing is known of limiters.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable
from functools import wraps
from types import FunctionType
from typing import Any, Final

from .._faults import faults
from .anyios import MODULE
from .loops import LEDGER

__all__ = ["AnyioWaits"]

KNOWN: Final = 10_000
"""How many calls are known that have come in and not passed; those that are cancelled never do."""

_CALL: Final = "run_sync_in_worker_thread"
_PASSES: Final = "find_root_task"
_clock = time.monotonic_ns


class AnyioWaits:
    """Gives how long each call has waited, in ns, to `tell`."""

    def __init__(self, tell: Callable[[int], None]) -> None:
        self._tell = tell
        self._since: dict[int, int] = {}
        """Since when each task, by its id, waits."""
        self._replaced: list[tuple[Any, str, object, object]] = []
        self._closed = False

    def look(self) -> None:
        """Stand there once anyio is imported; it may be at any time, and is not by us."""
        module: Any = sys.modules.get(MODULE)
        if self._replaced or self._closed or not hasattr(module, "backend_class"):  # its last line
            return
        call = vars(module.AsyncIOBackend).get(_CALL)
        passes = getattr(module, _PASSES, None)
        if not (isinstance(call, classmethod) and isinstance(passes, FunctionType)):
            self._closed = True  # an anyio that does it otherwise
            return
        self._replaced = [
            (module.AsyncIOBackend, _CALL, call, classmethod(self._comes(call.__func__))),
            (module, _PASSES, passes, self._passes(passes)),
        ]
        for owner, name, _, ours in self._replaced:
            setattr(owner, name, ours)
        if self._closed:  # meanwhile, by another thread
            self.detach()  # type: ignore[unreachable]  # for mypy it cannot have changed

    def detach(self) -> None:
        """Put back what was found; what somebody has wrapped meanwhile does nothing."""
        self._closed = True
        for owner, name, found, ours in self._replaced:
            if vars(owner).get(name) is ours:
                setattr(owner, name, found)
        self._since.clear()

    def forget(self) -> None:
        """In a child process: who waited does so in the parent."""
        self._since.clear()

    def _comes(self, original: Callable[..., Any]) -> Callable[..., Any]:
        since = self._since

        @wraps(original)
        def run_sync_in_worker_thread(cls: Any, *args: Any, **kwargs: Any) -> Any:
            try:
                if not self._closed and getattr(asyncio.get_running_loop(), LEDGER, None) is not None:
                    if len(since) >= KNOWN:
                        since.pop(next(iter(since)), None)
                    since[id(asyncio.current_task())] = _clock()
            except Exception as error:  # noqa: BLE001  # ours: the call is made all the same
                faults.add(error)
            return original(cls, *args, **kwargs)

        return run_sync_in_worker_thread

    def _passes(self, original: Callable[[], Any]) -> Callable[[], Any]:
        since = self._since

        @wraps(original)
        def find_root_task() -> Any:
            try:
                if sys._getframe(1).f_code.co_name == _CALL:  # others ask, too
                    since_ns = since.pop(id(asyncio.current_task()), None)
                    if since_ns is not None:
                        self._tell(_clock() - since_ns)
            except Exception as error:  # noqa: BLE001  # as above
                faults.add(error)
            return original()

        return find_root_task
