"""All hooks of one session: attached and detached together, and looking in turn."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

from .._borrowed import Returns
from .._config import Config
from .._duplicates import Duplicates
from .._inspect.proof import witnesses_can_be_seen
from .._ledger import Failed, Ledger
from .._mailbox import Mailbox
from .._record import Record, Rules
from .._repeats import Repeats
from ..observations import Frame, Source
from . import loops, threadsafe
from .blocking import BlockingCalls
from .cancellations import Cancellations
from .ends import Facts
from .errors import Errors
from .executors import Executors
from .ledgers import Ledgers, ledger_of
from .lives import Lives
from .locks import Locks
from .long_holds import LongHolds
from .loops import LEDGER, Detach
from .retrievals import Retrievals, find
from .runs import TRACKING, Runs
from .slow import Slow
from .starvation import Starvation
from .tasks import Tasks, create_within
from .timing import Timing
from .uncaught import Uncaught
from .unfinished import Unfinished
from .watched import Watches

__all__ = ["Hooks"]

LOST = "Exception in run_coroutine_threadsafe was never retrieved"


class Hooks:
    """What stands in asyncio, and what it has seen that is not told yet.

    Records go to one mailbox, observations to the other; `on_open` gets each loop that is met for the first
    time, and its ledger; `on_turn` the ledger of one that begins or stops to run, `on_close` that of one that
    is about to be closed. With `only`, nothing but that loop is looked at.
    """

    def __init__(
        self,
        config: Config,
        *,
        rules: Rules,
        wall_ns: Callable[[int], int],
        records: Mailbox[Record],
        observations: Mailbox[Any],
        repeats: Repeats[Any],
        returns: Returns,
        duplicates: Duplicates,
        only: Any,
        facts: Facts | None,
        on_open: Callable[[Any, Ledger], None],
        on_turn: Callable[[Ledger], None],
        on_close: Callable[[Ledger], None],
    ) -> None:
        self._only = only
        self._on_open = on_open
        self._on_close = on_close
        self._runs = Runs(on_turn)
        after = config.stall_after
        self.slow = Slow(int(after * 1e9) if isinstance(after, int | float) else None)
        timing = self._timing = Timing(self.slow) if config.exact_timing else None
        self.ledgers = Ledgers(
            records,
            rules,
            only=only,
            on_open=self._opened,
            facts=facts,
            on_closing=self._closes,
            timing=timing,
        )
        within = None if timing is None else timing.creating_in_front_of(create_within)
        self._tasks = Tasks(rules, records, self.ledgers.open, config.detach, within=within)
        self._lives = Lives(
            observations,
            repeats,
            ledger_of,
            wall_ns,
            returns,
            only=only,
            origins=config.coroutine_origins,
        )
        self._errors = Errors(
            observations,
            repeats,
            ledger_of,
            wall_ns,
            duplicates,
            frames=config.stack_frames,
            without=self._lives.without_exception,
        )
        self._retrievals = Retrievals(
            observations,
            repeats,
            wall_ns,
            returns,
            after_ns=int(config.unretrieved_after * 1e9),
            frames=config.stack_frames,
        )
        self._uncaught = Uncaught(self._tell_uncaught)
        self.unfinished = Unfinished(observations, repeats, wall_ns, returns)
        self._cancellations = Cancellations(self.unfinished)
        self.executors = Executors(rules.current)
        self._starvation = Starvation(
            observations,
            repeats,
            wall_ns,
            after_ns=int(config.starved_after * 1e9),
            frames=config.stack_frames,
        )
        self.locks: Locks | None = None
        # Where the stack has no witnesses, those that the hook sees have to do.
        wanted = config.lock_owners or not witnesses_can_be_seen()
        if wanted or config.lock_metrics or config.lock_held_after is not None:
            long_holds = None
            if config.lock_held_after is not None:
                after_ns = int(config.lock_held_after * 1e9)
                long_holds = LongHolds(observations, repeats, wall_ns, returns, after_ns=after_ns)
            self.locks = Locks(only=only, measure=config.lock_metrics, long_holds=long_holds)
        self._watches = Watches(observations, repeats, wall_ns, only=only)
        self._blocking: BlockingCalls | None = None
        if config.blocking_calls:
            self._blocking = BlockingCalls(
                observations, repeats, ledger_of, wall_ns, only=only, allowed=config.blocking_allowed
            )

    def attach(self) -> Detach:
        """Stand in front of everything; gives back what puts it back as it was found."""
        methods = {
            "create_task": self._tasks.in_front_of,
            "call_exception_handler": self._errors.in_front_of,
            "close": self.ledgers.closing_in_front_of,
            TRACKING: self._runs.in_front_of,
            "run_in_executor": self.executors.in_front_of,
            **({} if self._timing is None else self._timing.in_front_of(self._only)),
        }
        with ExitStack() as stack:
            stack.callback(self._errors.close)
            stack.callback(self._lives.attach())
            if self._only is not None:
                stack.callback(loops.attach_to_loop(self._only, methods))
            else:
                stack.callback(loops.attach(methods, first=frozenset({"call_exception_handler"})))
            stack.callback(self.executors.attach())
            stack.callback(threadsafe.attach(ledger_of, self._tell_lost))
            if self._timing is not None:
                stack.callback(self._timing.attach(self.ledgers.open, only=self._only))
            self._uncaught.attach()
            stack.callback(self._uncaught.detach)
            self._cancellations.attach()
            stack.callback(self._cancellations.detach)
            if self.locks is not None:
                stack.callback(self.locks.attach())
            if self._blocking is not None:
                stack.callback(self._blocking.attach())
            stack.callback(self._watches.attach())
            self._meet_running_loop()
            return stack.pop_all().close

    def _meet_running_loop(self) -> None:
        """The loop that runs here is not to be met by its next task only: it may be stuck before."""
        loop = asyncio._get_running_loop()
        if loop is not None and hasattr(loop, LEDGER) and ledger_of(loop) is None:
            self.ledgers.open(loop)

    def owners_of(self, primitive_id: int) -> tuple[tuple[int, Frame | None], ...] | None:
        """Which tasks hold this lock or semaphore, and since which line; None where that is not certain.

        On the loop's thread. Of one that was held by a task that has ended, nobody: it is not known who will
        release it.
        """
        owners = () if self.locks is None else self.locks.owners_of(primitive_id)
        if not owners:
            return None
        return tuple((owner.task_id, owner.at) for owner in owners if not owner.ended)

    def look(self) -> None:
        """See what does not make itself heard. On the pump's thread."""
        followed = self.ledgers.followed()
        self._retrievals.look(followed)
        self._lives.look(followed)
        self.unfinished.look(self.ledgers.opened())
        self.executors.look(self.ledgers.opened())
        self._starvation.look(self.executors.pools())
        if self.locks is not None:
            self.locks.look()

    def conclude(self, *, certain: bool) -> None:
        """Look for the last time, once detached; `certain` says that nothing will run any more."""
        followed = self.ledgers.followed()
        self._lives.conclude(followed, certain=certain)
        self.ledgers.close()
        self._retrievals.conclude(followed, certain=certain)

    def tell(self) -> None:
        """Tell what waits to be told."""
        self._lives.tell()

    def forget(self) -> None:
        """In a child process: what was seen is the parent's to tell."""
        self.ledgers.forget()
        self.unfinished.forget()
        self._lives.forget()
        self.executors.forget()
        self._starvation.forget()
        if self.locks is not None:
            self.locks.forget()
        self.slow.forget()

    def _opened(self, loop: Any, ledger: Ledger) -> None:
        self._uncaught.stand()
        self._on_open(loop, ledger)

    def _closes(self, loop: Any, ledger: Ledger) -> None:
        self._uncaught.stand()
        self._lives.loop_closes(loop, ledger)
        self._on_close(ledger)

    def _tell_uncaught(self, exception: BaseException, source: Source, words: str) -> bool:
        failed = None if source == "unraisable" else find(self.ledgers.followed(), exception)
        if failed is None and self._only is not None:
            return False
        self._errors.tell(exception, source, words, failed=failed, fatal=source == "main")
        return True

    def _tell_lost(self, exception: BaseException, failed: Failed | None) -> None:
        self._errors.tell(exception, "thread", LOST, failed=failed)
