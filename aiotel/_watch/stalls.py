"""Make observations of stalls, once each, and have them noted on the spans of the tasks concerned."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Final, NamedTuple

from .._inspect.facts import facts_of_record
from .._inspect.glances import name_of_task
from .._inspect.stacks import Place
from .._mailbox import Mailbox
from .._record import AnyRecord, Record, take
from .._repeats import LAST_S, Repeats
from .._signals import names
from ..observations import CallbackType, Frame, Stall, StallEnded, TaskFacts
from .beats import Ended
from .causes import cause_of
from .culprits import Culprit, culprit_of
from .evidence import Evidence
from .followed import Followed
from .kernel import cpu_ns_of
from .notes import note_stall, note_waited
from .pauses import Pauses
from .watched import Watched

__all__ = ["Measured", "Stalls"]

WAITING: Final = 4096
"""How many stalls may wait to be counted."""


class Measured(NamedTuple):
    """What is counted of every stall."""

    cause: str
    function: str
    callback: CallbackType
    duration_ns: int
    task: TaskFacts | None
    end_ns: int
    exact: bool
    """Its loop is timed exactly: what was slow is counted where it ended."""


class Stalls:
    """Those of all loops."""

    def __init__(
        self,
        mailbox: Mailbox[Any],
        repeats: Repeats[Any],
        wall_ns: Callable[[int], int],
        pauses: Pauses,
        *,
        error_after_ns: int,
        frames: int,
        clock: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self._mailbox = mailbox
        self._repeats = repeats
        self._wall_ns = wall_ns
        self._pauses = pauses
        self._error_after_ns = error_after_ns
        self._frames = frames
        self._clock = clock
        self.measured: list[Measured] = []
        """Those that are over, until they are counted."""
        self.dropped = 0

    def forget(self) -> None:
        """In a child process: these are the parent's."""
        self.measured = []
        self.dropped = 0

    def settle(self, watched: Watched, now_ns: int) -> None:
        """Tell those that are over."""
        for ended in take(watched.beat.stalls):
            watched.settled_ns = max(watched.settled_ns, ended.to_ns)
            followed = _followed(watched, ended.from_ns)
            excused_ns = watched.excused_ns(ended.from_ns, ended.to_ns)
            if followed is not None and followed.debugged:
                continue
            if ended.to_ns - ended.from_ns - excused_ns >= watched.beat.threshold_ns:
                self._end(watched, ended, followed, excused_ns)

    def tell_lasting(self, watched: Watched, now_ns: int) -> None:
        """Tell one that lasts, once it is an error."""
        stuck_ns = watched.stuck_ns(now_ns)
        if (
            stuck_ns >= self._error_after_ns
            and watched.followed is not None
            and watched.followed.as_told is None
        ):
            self._begin(watched, watched.followed, stuck_ns, now_ns)

    def conclude(self, watched: Watched, now_ns: int) -> None:
        """Tell and count what is not told yet: nobody will look any more."""
        self.settle(watched, now_ns)
        stuck_ns = watched.stuck_ns(now_ns)
        if stuck_ns and watched.followed is not None:
            stall, culprit = self._begin(watched, watched.followed, stuck_ns, now_ns)
            self._measure(stall, culprit, now_ns, exact=watched.ledger.times is not None)

    def _begin(
        self, watched: Watched, followed: Followed, stuck_ns: int, now_ns: int
    ) -> tuple[Stall, Culprit]:
        stall, culprit = self._stall(watched, followed, followed.since_ns, now_ns, stuck_ns, None)
        if followed.as_told is None:
            followed.as_told = stall
            followed.announced = self._tell(stall, culprit)
            _note(stall, culprit, followed, ())
        return stall, culprit

    def _end(self, watched: Watched, ended: Ended, followed: Followed | None, excused_ns: int) -> None:
        duration_ns = ended.to_ns - ended.from_ns - excused_ns
        stall, culprit = self._stall(watched, followed, ended.from_ns, ended.to_ns, duration_ns, ended)
        told = None if followed is None else followed.as_told
        if told is None:
            self._tell(stall, culprit)
            _note(stall, culprit, followed, ended.waited)
        else:
            if followed is not None and followed.announced:
                time_ns = self._wall_ns(ended.to_ns)
                over = StallEnded(stall=told, duration_ns=duration_ns, time_ns=time_ns, task=told.task)
                self._mailbox.put(over)
            note_waited(stall, (), ended.waited)
        self._measure(stall, culprit, ended.to_ns, exact=watched.ledger.times is not None)

    def _measure(self, stall: Stall, culprit: Culprit, end_ns: int, *, exact: bool) -> None:
        if len(self.measured) >= WAITING:
            self.dropped += 1
            return
        function = stall.function or names.OTHER
        self.measured.append(
            Measured(
                stall.cause,
                function,
                culprit.callback,
                stall.duration_ns,
                stall.task,
                self._wall_ns(end_ns),
                exact,
            )
        )

    def _stall(  # noqa: PLR0917  # what is known of one
        self,
        watched: Watched,
        followed: Followed | None,
        from_ns: int,
        to_ns: int,
        duration_ns: int,
        ended: Ended | None,
    ) -> tuple[Stall, Culprit]:
        evidence = self._evidence(watched, followed, from_ns, to_ns, duration_ns, ended)
        cause, words = cause_of(evidence)
        culprit = culprit_of(evidence.samples, cause)
        record = _record_of(followed, culprit)
        waited = 0 if followed is None else len(followed.waited)
        stall = Stall(
            cause=cause,
            evidence=words,
            duration_ns=duration_ns,
            ended=ended is not None,
            time_ns=self._wall_ns(from_ns),
            function=None if culprit.place is None else culprit.place.function,
            at=None if culprit.place is None else _frame(culprit.place),
            stack=tuple(_frame(place) for place in culprit.stack[-self._frames :]),
            task=None if record is None else facts_of_record(_name_of(record), record),
            waited=waited + (0 if ended is None else len(ended.waited)),
            serious=duration_ns >= self._error_after_ns,
        )
        return stall, culprit

    def _evidence(  # noqa: PLR0917  # as above
        self,
        watched: Watched,
        followed: Followed | None,
        from_ns: int,
        to_ns: int,
        duration_ns: int,
        ended: Ended | None,
    ) -> Evidence:
        before = watched.share_at(from_ns)
        thread_ns = cpu_ns_of(watched.beat.native_id) if ended is None else ended.thread_ns
        cpu = others = None
        if before is not None and before.thread_ns is not None and thread_ns is not None:
            used_ns = thread_ns - before.thread_ns
            cpu = min(1.0, max(0.0, used_ns / duration_ns))
            all_ns = time.process_time_ns() - before.process_ns
            others = max(0.0, (all_ns - used_ns) / max(duration_ns, self._clock() - before.at_ns))
        since_first = None if followed is None else followed.since_first(self._clock())
        return Evidence(
            duration_ns,
            samples=() if followed is None else followed.samples,
            glimpses=() if followed is None else followed.glimpses,
            collecting_ns=self._pauses.within_ns(from_ns, to_ns),
            cpu=cpu,
            others_cpu=others,
            queued=None if since_first is None else min(1.0, since_first[0] / duration_ns),
            turns=None if since_first is None else since_first[1],
            held_ns=watched.held_ns if followed is None else followed.held_ns,
            rival=watched.busiest() if followed is None else followed.rival,
        )

    def _tell(self, stall: Stall, culprit: Culprit) -> bool:
        """Tell it, unless the like was told lately: for the same cause, on the same line of the same task."""
        place, task = culprit.place, None if stall.task is None else stall.task.function
        code = None if place is None else (place.code, place.line)
        repeat = self._repeats.begin((Stall, stall.cause, code, task, stall.serious), kept_s=LAST_S)
        if repeat is not None:
            repeat.first = stall
            self._mailbox.put(stall)
        return repeat is not None


def _followed(watched: Watched, since_ns: int) -> Followed | None:
    for followed in (watched.followed, watched.before):
        if followed is not None and followed.since_ns == since_ns:
            return followed
    return None


def _note(
    stall: Stall, culprit: Culprit, followed: Followed | None, waited: tuple[tuple[AnyRecord, int], ...]
) -> None:
    record = _record_of(followed, culprit)
    if record is not None:
        note_stall(stall, record)
    note_waited(stall, () if followed is None else followed.waited, waited)


def _record_of(followed: Followed | None, culprit: Culprit) -> AnyRecord | None:
    return None if followed is None else followed.records.get(culprit.task_id)


def _frame(place: Place) -> Frame:
    return Frame(file=place.code.co_filename, line=place.line, function=place.code.co_qualname)


def _name_of(record: AnyRecord) -> str:
    reference = getattr(record, "task", None) if isinstance(record, Record) else record
    name = None if reference is None else name_of_task(reference)
    return name or getattr(record, "task_name", None) or record.function.qualname
