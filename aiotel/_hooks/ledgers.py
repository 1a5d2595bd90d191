"""Keep a ledger for each event loop, from its first task until it is closed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from typing import Any, Final

from .._faults import faults
from .._ledger import Ledger
from .._mailbox import Mailbox
from .._record import DEFERRED, UNBOUND, AnyRecord, Function, Record, Rules
from .ends import Facts, done_callback, settle_all
from .loops import LEDGER, Method
from .tasks import eager_record
from .timing import Timing

__all__ = ["Ledgers", "ledger_of"]


CLOSED: Final = 4
"""So many closed loops are remembered in any case: what one ran may yet end the program."""


def ledger_of(loop: Any) -> Ledger | None:
    """The ledger of a loop, if it has one."""
    return getattr(loop, LEDGER, None)


class Ledgers:
    """The ledgers of one session, and what they add up to."""

    def __init__(
        self,
        mailbox: Mailbox[Record],
        rules: Rules,
        *,
        only: Any = None,
        on_open: Callable[[Any, Ledger], None],
        on_closing: Callable[[Any, Ledger], None],
        facts: Facts | None = None,
        timing: Timing | None = None,
    ) -> None:
        self._timing = timing
        self._facts = facts
        self._mailbox = mailbox
        self._rules = rules
        self._only = only
        self._on_open = on_open
        self._on_closing = on_closing
        self._open: list[Ledger] = []
        self._followed: list[Ledger] = []
        """Of closed loops: those with failed tasks of which it is not certain yet what becomes of them."""
        self._dropped = 0
        self._closed = False

    # What they add up to; readable from any thread.

    def alive(self) -> int:
        """How many tasks live."""
        return sum(ledger.alive() for ledger in self._open)

    def count(self) -> int:
        """How many loops have run tasks and are open."""
        return sum(not ledger.closed for ledger in self._open)

    def dropped(self) -> int:
        """How many records there was no place for."""
        return self._dropped + sum(ledger.dropped for ledger in self._open)

    def functions(self) -> Iterator[Function]:
        """The functions of all loops."""
        for ledger in list(self._open):
            yield from ledger.every_function()

    def followed(self) -> list[Ledger]:
        """Those whose failed tasks are to be looked at."""
        for ledger in self._followed[:-CLOSED]:
            if not (ledger.failed or ledger.handled):
                with suppress(ValueError):  # another thread has done so just now
                    self._followed.remove(ledger)
        return [*self._open, *self._followed]

    def opened(self) -> list[Ledger]:
        """The ledgers of all loops that have run tasks."""
        return list(self._open)

    def take_closed(self) -> Iterator[Ledger]:
        """The ledgers of loops that were closed; theirs is the last look at each."""
        self._close_lost()
        for ledger in [ledger for ledger in self._open if ledger.closed]:
            yield ledger
            self._dropped += ledger.dropped
            self._followed.append(ledger)
            self._open.remove(ledger)

    def running(self) -> tuple[AnyRecord, str] | None:
        """The running task and its name, if a bare callback made it and nothing is decided about its span."""
        try:
            task: Any = asyncio.current_task()
            if task is None:
                return None
            name: str = task.get_name()
            ledger = ledger_of(task.get_loop())
        except RuntimeError:  # no loop runs here
            return None
        if ledger is None:
            return None
        record = ledger.live.get(id(task)) or eager_record(ledger, task)
        if record is None or record.alive() is not task:
            return None
        return (record, name) if record.flags & (DEFERRED | UNBOUND) == DEFERRED else None

    # What happens to them.

    def open(self, loop: Any) -> Ledger | None:
        """The ledger of a loop that is met for the first time; None where it is none of our business."""
        if self._closed or (self._only is not None and loop is not self._only):
            return None
        ledger = Ledger(loop)
        done = partial(done_callback, ledger, self._mailbox, self._rules, self._facts)
        ledger.done = done() if self._timing is None else self._timing.open(loop, ledger, done)
        try:
            setattr(loop, LEDGER, ledger)
        except AttributeError as error:  # a compiled loop: its tasks cannot be told
            faults.add(error)
            return None
        self._open.append(ledger)
        if self._closed:  # meanwhile, by another thread, which may not have seen this ledger
            self._open.remove(ledger)  # type: ignore[unreachable]  # for mypy it cannot have changed
            _take_off(ledger)
            return None
        try:
            self._on_open(loop, ledger)
        except Exception as error:  # noqa: BLE001  # no thread can be started: the program's task is made all the same
            faults.add(error)
        return ledger

    def closing_in_front_of(self, original: Method) -> Method:
        """A loop's `close` that also settles the tasks whose callbacks can no longer run."""

        def close(loop: Any, *args: Any, **kwargs: Any) -> Any:
            outermost = False
            try:
                outermost = self._before_closing(loop)
            except Exception as error:  # noqa: BLE001  # ours, not the program's
                faults.add(error)
            try:
                return original(loop, *args, **kwargs)
            finally:
                try:
                    self._close_one(loop, outermost=outermost)
                except Exception as error:  # noqa: BLE001  # ours, not the program's
                    faults.add(error)

        return close

    def close(self) -> None:
        """End all records as they stand, and leave the loops as they were."""
        self._closed = True
        for ledger in list(self._open):
            try:
                settle_all(ledger, self._mailbox)
            except Exception as error:  # noqa: BLE001  # ours; the other loops are to be left as they were too
                faults.add(error)
            _take_off(ledger)

    def forget(self) -> None:
        """In a child process: these are the parent's."""
        for ledger in self._open:
            _take_off(ledger)
        self._open.clear()
        self._followed.clear()
        self._dropped = 0

    def _close_lost(self) -> None:
        """End the records of loops that were collected, and that nobody has closed."""
        for ledger in self._open:
            if ledger.lost and not ledger.closed:
                settle_all(ledger, self._mailbox)
                ledger.closed = True

    def _before_closing(self, loop: Any) -> bool:
        """Look once, of however many of ours are in front of each other, where the loop is to be closed."""
        ledger = ledger_of(loop)
        if ledger is None or ledger.closed or ledger.closing or loop.is_closed() or loop.is_running():
            return False
        ledger.closing = True
        self._on_closing(loop, ledger)
        return True

    def _close_one(self, loop: Any, *, outermost: bool) -> None:
        ledger = ledger_of(loop)
        if ledger is not None and outermost:
            ledger.closing = False
        if ledger is not None and loop.is_closed() and not ledger.closed:
            settle_all(ledger, self._mailbox)
            ledger.closed = True


def _take_off(ledger: Ledger) -> None:
    loop = ledger.loop()
    if loop is not None and vars(loop).get(LEDGER) is ledger:
        delattr(loop, LEDGER)
