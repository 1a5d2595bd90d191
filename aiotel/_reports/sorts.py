"""Every sort of observation, and who counts it and says it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, Protocol

from .._config import Config
from .._measured import Attributes
from ..observations import (
    BlockingCall,
    Deadlocked,
    DeadlockResolved,
    DestroyedPending,
    Dumped,
    Failure,
    Hung,
    LongHold,
    LostUpdate,
    NeverAwaited,
    NeverStarted,
    NotClosed,
    Recovered,
    Retrieved,
    Stall,
    StallEnded,
    Starved,
    UnfinishedCancellation,
    Unretrieved,
)
from .blocking import BlockingCalls
from .cancellations import CANCELLATION_KINDS, UnfinishedCancellations
from .coroutines import NeverAwaiteds
from .deadlocks import DEADLOCK_KINDS, DeadlockResolveds, Deadlocks
from .executors import EXECUTOR_KINDS, Recovereds, Starveds
from .failures import Failures
from .holds import HOLD_KINDS, LongHolds
from .hung import HUNG_KINDS, Hungs
from .lives import FINDINGS, Destroyeds, NotCloseds, Unstarteds
from .races import RACE_KINDS, LostUpdates
from .reports import Sort
from .retrievals import Retrievals, Unretrieveds
from .snapshots import Dumps
from .stalls import StallEnds, Stalls

__all__ = ["KINDS", "Counters", "sorts"]

KINDS: Final = (
    *FINDINGS,
    *CANCELLATION_KINDS,
    *EXECUTOR_KINDS,
    *HUNG_KINDS,
    *DEADLOCK_KINDS,
    *HOLD_KINDS,
    *RACE_KINDS,
)
"""The kinds of findings, which are counted from the start."""


class Counters(Protocol):
    """Where observations are counted."""

    @property
    def count(self) -> Callable[[str, Attributes, int], None]:
        """Anything, by the name of its counter and its attributes, so many times."""

    @property
    def count_failure(self) -> Callable[[str, str, int], None]:
        """An unhandled exception, by source and type, so many times."""

    @property
    def count_never_awaited(self) -> Callable[[str, int], None]:
        """A coroutine that never ran, by function, so many times."""

    @property
    def count_finding(self) -> Callable[[str, int], None]:
        """A finding, by kind, so many times."""


def sorts(counters: Counters, config: Config) -> Mapping[type, Sort]:
    """Who counts and says which observation."""
    return {
        Failure: Failures(counters.count_failure, redact=config.redact, judge=config.severity),
        Unretrieved: Unretrieveds(counters.count_failure, config.redact),
        Retrieved: Retrievals(),
        UnfinishedCancellation: UnfinishedCancellations(counters.count_finding, config.redact),
        NeverAwaited: NeverAwaiteds(counters.count_never_awaited),
        DestroyedPending: Destroyeds(counters.count_finding),
        NeverStarted: Unstarteds(counters.count_finding),
        NotClosed: NotCloseds(counters.count_finding),
        Starved: Starveds(counters.count_finding),
        Recovered: Recovereds(),
        LostUpdate: LostUpdates(counters.count_finding),
        Hung: Hungs(counters.count_finding),
        LongHold: LongHolds(counters.count_finding),
        Deadlocked: Deadlocks(counters.count_finding),
        DeadlockResolved: DeadlockResolveds(),
        Dumped: Dumps(),
        Stall: Stalls(),
        StallEnded: StallEnds(),
        BlockingCall: BlockingCalls(counters.count),
    }
