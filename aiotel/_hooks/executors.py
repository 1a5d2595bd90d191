"""See what loops hand to threads: how long each call waits for one, and how busy the pools are.

Only calls by `run_in_executor` count, which `to_thread` uses too; what a program submits to a pool by itself
is its own. A call is met where the pool makes its item, within `run_in_executor`; where a span is current
there, OpenTelemetry's context is current on the thread, too, for the time of the call.
"""

from __future__ import annotations

import math
import sys
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor, thread
from functools import wraps
from threading import get_ident
from types import FunctionType
from typing import Any, Final

from opentelemetry.trace import INVALID_SPAN, get_current_span

from .._faults import faults
from .._ledger import DURATIONS, Ledger
from .._mailbox import Mailbox
from .._signals import names
from ..observations import PoolKind
from .anyio_waits import AnyioWaits
from .anyios import AnyioThreads
from .builtins import builtin_of
from .loops import Detach, Method
from .pools import KINDS, Pool, Watchable
from .submitted import Submitted

__all__ = ["LEVELS", "Executors"]

LEVELS: Final = (
    names.EXECUTOR_THREAD_ACTIVE,
    names.EXECUTOR_THREAD_COUNT,
    names.EXECUTOR_THREAD_LIMIT,
    names.EXECUTOR_QUEUE_SIZE,
)
"""What the metrics show of pools, beside how long calls have waited."""
_INIT: Final = "__init__"


class Executors:
    """The pools that loops use, of one session. `current` gives OpenTelemetry's current context."""

    def __init__(self, current: Callable[[], Mapping[str, Any]]) -> None:
        self._current: Callable[[], Any] = current
        self._submitting: dict[int, tuple[Any, Any]] = {}
        """What each thread is submitting, by its ident: the loop, and the executor that was named."""
        self._pools: dict[int, Pool] = {}
        self._gone: deque[Any] = deque()
        """Weak references to pools that went, appended by whoever lets go of one."""
        self._waits: dict[PoolKind, Mailbox[int]] = {kind: Mailbox(DURATIONS) for kind in KINDS}
        self._anyio: dict[Ledger, AnyioThreads] = {}
        self._anyio_waits = AnyioWaits(self._waits["anyio"].put)
        self._closed = False

    def in_front_of(self, original: Method) -> Method:
        """A `run_in_executor` that says whose calls they are that a pool takes meanwhile."""
        submitting = self._submitting

        def run_in_executor(loop: Any, /, *args: Any, **kwargs: Any) -> Any:
            ident = get_ident()
            submitting[ident] = loop, args[0] if args else kwargs.get("executor")
            try:
                return original(loop, *args, **kwargs)
            finally:
                submitting.pop(ident, None)  # an override of ours may have done so

        return run_in_executor

    def attach(self) -> Detach:
        """Stand in front of what makes the items of thread pools; gives back what undoes it."""
        self._anyio_waits.look()
        made: Any = getattr(thread, "_WorkItem", None)
        original = vars(made).get(_INIT) if isinstance(made, type) else None
        if not isinstance(original, FunctionType):  # a Python that does it otherwise
            return self._close
        submitting, meet = self._submitting, self._meet

        @wraps(original)
        def __init__(item: Any, future: Any, *args: Any, **kwargs: Any) -> None:  # noqa: N807  # it stands for that
            original(item, future, *args, **kwargs)
            if submitting:
                submission = submitting.get(get_ident())
                if submission is not None:
                    meet(item, future, args[0] if args else None, *submission)

        def detach() -> None:
            if vars(made).get(_INIT) is __init__:
                setattr(made, _INIT, original)
            self._close()

        setattr(made, _INIT, __init__)
        return detach

    # On the pump's thread, or a reader's.

    def look(self, ledgers: Iterable[Ledger]) -> None:
        """See what has gone, and which loops there are: each may have threads of anyio's. The pump only."""
        self._bury()
        self._anyio_waits.look()
        self._anyio = {ledger: self._anyio.get(ledger) or AnyioThreads(ledger.loop) for ledger in ledgers}

    def pools(self) -> list[Watchable]:
        """The pools there are."""
        return [*list(self._pools.values()), *self._anyio.values()]

    def levels(self) -> dict[str, dict[str, float]]:
        """How it stands, by the type of executor and the name of the metric."""
        levels: dict[str, dict[str, float]] = {kind: {} for kind in KINDS}
        now_ns = time.monotonic_ns()
        for pool in self.pools():
            view = pool.view(now_ns)
            if view is not None:
                figures = len(view.busy), view.threads, view.limit, view.waiting
                sums = levels[pool.kind]
                for name, figure in zip(LEVELS, figures, strict=True):
                    sums[name] = sums.get(name, 0) + (figure if figure < math.inf else 0)
        return levels

    def take_waits(self) -> Iterator[tuple[PoolKind, list[int]]]:
        """How long calls have waited for a thread, in ns, since this was last asked for."""
        for kind, waits in self._waits.items():
            taken = waits.take(DURATIONS)
            if taken:
                yield kind, taken

    def dropped(self) -> int:
        """How many of these there was no place for."""
        return sum(waits.dropped for waits in self._waits.values())

    def forget(self) -> None:
        """In a child process: the threads are the parent's, and so is what they did."""
        for pool in self._pools.values():
            pool.open = False
        self._pools, self._anyio = {}, {}
        self._gone.clear()
        self._submitting.clear()
        self._anyio_waits.forget()
        for waits in self._waits.values():
            waits.queue.clear()
            waits.dropped = 0

    # On the thread that submits.

    def _meet(self, item: Any, future: Any, call: Any, loop: Any, named: Any) -> None:
        """A pool has made an item, and nobody knows it yet."""
        try:
            if self._closed:
                return
            executor = getattr(loop, "_default_executor", None) if named is None else named
            pool = self._pools.get(id(executor))
            if pool is None or pool.reference() is not executor or (named is None and pool.kind != "default"):
                pool = self._pool_of(loop, named)
            if pool is not None:
                context = self._current()
                if context and get_current_span(context) is INVALID_SPAN:
                    context = None
                item.future = Submitted(future, pool, context or None, builtin_of(call))
        except Exception as error:  # noqa: BLE001  # ours: the call is made all the same
            faults.add(error)

    def _pool_of(self, loop: Any, named: Any) -> Pool | None:
        """The pool that takes the call, met for the first time; None where that is no pool of threads."""
        default = getattr(loop, "_default_executor", None)  # uvloop shows nobody its own
        executor = default if named is None else named
        if type(executor) is not ThreadPoolExecutor:
            executor = _submitter(3) or executor
        if not isinstance(executor, ThreadPoolExecutor):
            return None
        kind: PoolKind = "default" if named is None or named is default else "user"
        pool = self._pools.get(id(executor))
        if pool is None or pool.reference() is not executor:
            self._bury()
            pool = self._pools[id(executor)] = Pool(executor, kind, self._waits[kind], self._gone.append)
        elif pool.kind != kind == "default":  # the program has handed calls to it before
            pool.kind, pool.waits = kind, self._waits[kind]
        return pool

    def _bury(self) -> None:
        while self._gone:
            try:
                gone = self._gone.popleft()
            except IndexError:  # another thread does so just now
                return
            for key, pool in list(self._pools.items()):
                if pool.reference is gone:
                    self._pools.pop(key, None)

    def _close(self) -> None:
        self._closed = True
        self._anyio_waits.detach()
        for pool in self._pools.values():
            pool.open = False


def _submitter(depth: int) -> Any:
    """The pool that makes an item, by the variables of its `submit`, `depth` frames above the caller."""
    found = sys._getframe(depth + 1).f_locals.get("self")
    return found if isinstance(found, ThreadPoolExecutor) else None
