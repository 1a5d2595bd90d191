"""Make observations of stalls, once each, and have them noted on the spans of the tasks concerned."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Final, NamedTuple

from .._inspect.facts import facts_of_record
from .._inspect.glances import name_of_task
from .._inspect.stacks import Place
from .._mailbox import Mailbox
from .._record import AnyRecord, take
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


class _Case(NamedTuple):
    """A stall, as it is or as it was, and what was seen of it."""

    watched: Watched
    followed: Followed | None
    from_ns: int
    to_ns: int
    duration_ns: int
    """Without the time in which the process was stopped."""
    ended: Ended | None


class _Made(NamedTuple):
    """What is told of it."""

    stall: Stall
    culprit: Culprit
    record: AnyRecord | None
    """Of the task that was at fault."""


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

    def settle(self, watched: Watched) -> None:
        """Tell those that are over."""
        for ended in take(watched.beat.stalls):
            watched.settled_ns = max(watched.settled_ns, ended.to_ns)
            followed = _followed(watched, ended.from_ns)
            if followed is not None and followed.debugged:
                continue
            excused_ns = watched.excused_ns(ended.from_ns, ended.to_ns)
            duration_ns = ended.to_ns - ended.from_ns - excused_ns
            if duration_ns >= watched.beat.threshold_ns:
                self._end(_Case(watched, followed, ended.from_ns, ended.to_ns, duration_ns, ended), ended)

    def tell_lasting(self, watched: Watched, now_ns: int) -> None:
        """Tell one that lasts, once it is an error."""
        stuck_ns, followed = watched.stuck_ns(now_ns), watched.followed
        if stuck_ns >= self._error_after_ns and followed is not None and followed.as_told is None:
            self._begin(watched, followed, stuck_ns, now_ns)

    def conclude(self, watched: Watched, now_ns: int) -> None:
        """Tell and count what is not told yet: nobody will look any more."""
        self.settle(watched)
        stuck_ns = watched.stuck_ns(now_ns)
        if stuck_ns and watched.followed is not None:
            self._measure(watched, self._begin(watched, watched.followed, stuck_ns, now_ns), now_ns)

    def _begin(self, watched: Watched, followed: Followed, stuck_ns: int, now_ns: int) -> _Made:
        made = self._make(_Case(watched, followed, followed.since_ns, now_ns, stuck_ns, None))
        if followed.as_told is None:
            followed.as_told = made.stall
            followed.announced = self._tell(made)
            _note(made, followed, ())
        return made

    def _end(self, case: _Case, ended: Ended) -> None:
        made, followed = self._make(case), case.followed
        if followed is None or followed.as_told is None:
            self._tell(made)
            _note(made, followed, ended.waited)
        else:
            if followed.announced:
                told, time_ns = followed.as_told, self._wall_ns(ended.to_ns)
                self._mailbox.put(
                    StallEnded(stall=told, duration_ns=case.duration_ns, time_ns=time_ns, task=told.task)
                )
            note_waited(made.stall, (), ended.waited)
        self._measure(case.watched, made, ended.to_ns)

    def _measure(self, watched: Watched, made: _Made, end_ns: int) -> None:
        if len(self.measured) >= WAITING:
            self.dropped += 1
            return
        stall = made.stall
        self.measured.append(
            Measured(
                stall.cause,
                stall.function or names.OTHER,
                made.culprit.callback,
                stall.duration_ns,
                stall.task,
                self._wall_ns(end_ns),
                exact=watched.ledger.times is not None,
            )
        )

    def _make(self, case: _Case) -> _Made:
        evidence = self._evidence(case)
        cause, words = cause_of(evidence)
        culprit = culprit_of(evidence.samples, cause)
        followed, ended, place = case.followed, case.ended, culprit.place
        record = None if followed is None else followed.records.get(culprit.task_id)
        ready = () if followed is None else followed.waited
        late = () if ended is None else ended.waited
        stall = Stall(
            cause=cause,
            evidence=words,
            duration_ns=case.duration_ns,
            ended=ended is not None,
            time_ns=self._wall_ns(case.from_ns),
            function=None if place is None else place.function,
            at=None if place is None else _frame(place),
            stack=tuple(_frame(each) for each in culprit.stack[-self._frames :]),
            task=None if record is None else facts_of_record(_name_of(record), record),
            waited=len(ready) + len(late),
            serious=case.duration_ns >= self._error_after_ns,
        )
        return _Made(stall, culprit, record)

    def _evidence(self, case: _Case) -> Evidence:
        watched, followed, duration_ns = case.watched, case.followed, case.duration_ns
        before = watched.share_at(case.from_ns)
        thread_ns = cpu_ns_of(watched.beat.native_id) if case.ended is None else case.ended.thread_ns
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
            collecting_ns=self._pauses.within_ns(case.from_ns, case.to_ns),
            cpu=cpu,
            others_cpu=others,
            queued=None if since_first is None else min(1.0, since_first[0] / duration_ns),
            turns=None if since_first is None else since_first[1],
            held_ns=watched.held_ns if followed is None else followed.held_ns,
            rival=watched.busiest() if followed is None else followed.rival,
        )

    def _tell(self, made: _Made) -> bool:
        """Tell it, unless the like was told lately: for the same cause, on the same line of the same task."""
        stall, place = made.stall, made.culprit.place
        task = None if stall.task is None else stall.task.function
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


def _note(made: _Made, followed: Followed | None, waited: tuple[tuple[AnyRecord, int], ...]) -> None:
    if made.record is not None:
        note_stall(made.stall, made.record)
    note_waited(made.stall, () if followed is None else followed.waited, waited)


def _frame(place: Place) -> Frame:
    return Frame(file=place.code.co_filename, line=place.line, function=place.code.co_qualname)


def _name_of(record: AnyRecord) -> str:
    reference = record.reference()
    name = None if reference is None else name_of_task(reference)
    return name or getattr(record, "task_name", None) or record.function.qualname
