"""See the failures of `run_coroutine_threadsafe` whose future nobody holds, which asyncio never tells.

It hands the task's exception on to a `concurrent.futures.Future`, and with that the exception counts as
retrieved; what nobody asks the future stays unsaid. Whether somebody asks cannot be seen, whether anybody can
is certain: at the moment before it is handed on, asyncio's closure is the only one to hold the future, nobody
waits for it, and no callback or weak reference leads to it. Where somebody holds it, nothing is told; nor on
loops with eager tasks before 3.14, where a frame of asyncio's own that the task came from holds it.
"""

from __future__ import annotations

import asyncio.futures
import sys
import weakref
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, Final

from .._faults import faults
from .._ledger import Failed, Ledger
from .errors import failed_of
from .exceptions import is_failure
from .loops import Detach

__all__ = ["attach"]

# How often a future is referred to that only asyncio holds: by its closure, by two parameters, and by the
# call that counts; 3.14 and later do not count what a caller holds anyhow. Every holder is one more.
_ONLY_ASYNCIO: Final = 4 if sys.version_info < (3, 14) else 2
_NAME: Final = "_set_concurrent_future_state"

Tell = Callable[[BaseException, Failed | None], None]


def attach(ledger_of: Callable[[Any], Ledger | None], tell: Tell) -> Detach:
    """Stand in front of the function that hands a task's outcome on; gives back what undoes it."""
    futures: Any = asyncio.futures
    original = getattr(futures, _NAME, None)
    if original is None:  # a Python that does it otherwise
        return _nothing
    active = True

    def ours(concurrent: Any, source: Any) -> None:
        lost = None
        try:
            if active and source._exception is not None and sys.getrefcount(concurrent) == _ONLY_ASYNCIO:
                lost = _lost(concurrent, source)
        except Exception as error:  # noqa: BLE001  # ours, not the program's
            faults.add(error)
        original(concurrent, source)
        if lost is None:
            return
        try:
            ledger = ledger_of(source.get_loop())
            if ledger is not None:
                tell(lost, failed_of(ledger, source, lost))
        except Exception as error:  # noqa: BLE001  # ours, not the program's
            faults.add(error)

    ours.__name__ = ours.__qualname__ = _NAME

    def detach() -> None:
        nonlocal active
        active = False
        if getattr(futures, _NAME) is ours:
            setattr(futures, _NAME, original)

    setattr(futures, _NAME, ours)
    return detach


def _lost(concurrent: Any, source: Any) -> BaseException | None:
    """The exception, where nobody can ever ask this future for it."""
    exception: BaseException = source._exception
    state = vars(concurrent)
    unseen = (
        type(concurrent) is Future
        and state["_state"] == "PENDING"
        and len(state["_done_callbacks"]) == 1
        and not state["_waiters"]
        and not weakref.getweakrefcount(concurrent)
    )
    return exception if unseen and is_failure(exception) else None


def _nothing() -> None:
    """What undoes nothing."""
