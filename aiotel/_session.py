"""Wire everything once: hooks to mailboxes, mailboxes to the pump, the pump to signals, signals to export."""

from __future__ import annotations

import atexit
import os
import sys
import threading
import time
from asyncio import AbstractEventLoop
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from functools import partial
from types import TracebackType
from typing import Any, Final, Self, get_args

from opentelemetry import _logs, metrics

from ._borrowed import Borrowed, Returns
from ._clock import Clock
from ._complaints import complaints
from ._config import Config
from ._detectors.deadlock import check
from ._duplicates import Duplicates
from ._export.endpoint import endpoint_of
from ._export.exporters import unquieten
from ._export.providers import Providers
from ._export.readers import Readers
from ._faults import faults
from ._hooks.exceptions import facts_of
from ._hooks.executors import LEVELS
from ._hooks.hooks import Hooks
from ._hooks.loops import require_attributes
from ._inspect.facts import identified
from ._ledger import Ledger
from ._looks.deadlocks import Deadlocks
from ._looks.forsaken import Forsaken
from ._looks.hung import HungTasks
from ._looks.looks import Looks
from ._looks.snapshots import Snapshots
from ._looks.telling import Telling
from ._mailbox import Mailbox
from ._pump import Pump
from ._record import Record, take
from ._repeats import Repeats
from ._reports.redaction import redacted_cancellation, redacted_text
from ._reports.reports import Reports
from ._reports.sorts import KINDS, sorts
from ._reports.spans import note_raised
from ._signals import names
from ._signals.executors import levels_of
from ._signals.findings import findings_observed
from ._signals.instruments import instruments_of
from ._signals.logs import Logs
from ._signals.loops import loops_observed
from ._signals.metrics import Counts, Metrics
from ._signals.series import BOUNDS, description_of
from ._signals.traces.traces import Traces
from ._snapshot import Snapshot
from ._status.answers import Answers
from ._status.dumps import dumped
from ._status.places import own_directories
from ._status.signals import attach
from ._status.status import Status
from ._watch.watch import Watch
from .observations import Source, TaskFacts

__all__ = ["Session"]

_LOCK_DURATIONS: Final = (names.LOCK_WAIT_DURATION, names.LOCK_HOLD_DURATION)


class Session:
    """Everything aiotel does in this process, from `instrument` to `close`; a context manager."""

    def __init__(
        self,
        config: Config,
        *,
        version: str,
        tracer_provider: Any = None,
        meter_provider: Any = None,
        logger_provider: Any = None,
        loop: AbstractEventLoop | None = None,
    ) -> None:
        self.config = config
        self._only = loop
        self._closed = config.disabled
        self._pid = os.getpid()
        self._faults = faults.count
        self._providers: Providers | None = None
        if config.disabled:
            return
        if loop is not None:
            require_attributes(loop)
        if config.export and tracer_provider is None and not _disabled_by_environment():
            self._providers = Providers()
            self._providers.install()
        self._clock = Clock()
        self._records: Mailbox[Record] = Mailbox(config.mailbox_size)
        self._observations: Mailbox[Any] = Mailbox(config.mailbox_size)
        self._repeats: Repeats[Any] = Repeats()
        self._traces = Traces(
            provider=tracer_provider,
            clock=self._clock,
            version=version,
            running=lambda: self._ledgers.running(),  # noqa: PLW0108  # they are made below
            drain=self._drain,
            on_bound=self._be_called_at_exit,
            max_age_ns=int(config.trace_max_age * 1e9),
            max_tasks=config.trace_max_tasks,
            writes=config.task_span_writes,
        )
        self._returns = Returns()
        self._duplicates = Duplicates()
        self._watch = Watch(
            config,
            wall_ns=self._clock.wall_ns,
            observations=self._observations,
            repeats=self._repeats,
            returns=self._returns,
            on_check=lambda: self._pump.start(),  # noqa: PLW0108  # it is made below
        )
        self._hooks = Hooks(
            config,
            rules=self._traces.rules,
            wall_ns=self._clock.wall_ns,
            records=self._records,
            observations=self._observations,
            repeats=self._repeats,
            returns=self._returns,
            duplicates=self._duplicates,
            only=loop,
            facts=partial(facts_of, frames=config.stack_frames) if _wants_span_events() else None,
            on_open=self._loop_opened,
            on_turn=self._watch.turned,
            on_close=self._watch.unwatch,
        )
        self._ledgers = self._hooks.ledgers
        self._wire_looks()
        self._status = Status(
            Answers(self._snapshots.take, version=version),
            own_directories,
            serves=config.status,
            errands=bool(config.dump_signal),
        )
        self._wire_metrics(meter_provider, version)
        self._wire_logs(logger_provider, version)
        self._reports = Reports(
            sorts(self._metrics, config), self._repeats, self._logs.tell, clock_ns=self._clock.now_ns
        )
        self._pump = Pump(
            self._records,
            self._observations,
            end=self._end,
            tell=self._tell,
            look=self._look,
            room=self._traces.room,
            make_room=self._traces.make_room,
        )
        self._traces.look()
        self._be_called_at_exit()
        self._detach = self._hooks.attach()
        self._ignore_signal = self._heed_signal(config.dump_signal)
        if self._providers is not None:
            self._pump.start()

    def watches(self, loop: AbstractEventLoop | None) -> bool:
        """Whether this loop is instrumented; for None, whether all are."""
        return self._only is None or loop is self._only

    @property
    def active(self) -> bool:
        """Whether anything is instrumented: not when disabled, and not once closed."""
        return not self._closed

    def flush(self, *, timeout: float = 2.0) -> bool:
        """Hand on everything that has ended so far, and export it where aiotel built the exporters.

        `timeout` is in seconds; False says that it took longer, and that the rest follows later.
        """
        if self._closed:
            return True
        in_time = _within(partial(self._flush, timeout), timeout)
        self._returns.let_go()
        return in_time

    def snapshot(self, *, timeout: float = 2.0) -> Snapshot:
        """All tasks as they are now: what each does, waits for and holds, on which lines, for how long.

        Loops that answer look themselves, a few milliseconds at a time; those that are blocked are looked at
        from here. `timeout` is in seconds: the tasks that there was no time for are counted as `left_out`.
        """
        return (
            self._snapshots.take(timeout=timeout)
            if self.active
            else Snapshot(time_ns=time.time_ns(), now_ns=time.monotonic_ns())
        )

    def close(self, *, timeout: float = 2.0) -> bool:
        """Put everything back as it was found, and flush. Closing twice changes nothing.

        Tasks that still live end as `pending`. `timeout` is in seconds; False says that something
        could not be exported in time.
        """
        return self._close(timeout, certain=False)

    def _close(self, timeout: float, *, certain: bool) -> bool:
        """Close; `certain` says that nobody will look at any task any more."""
        if self._closed:
            return True
        self._closed = True
        atexit.unregister(self.at_exit)
        self._detach()
        self._ignore_signal()
        self._status.stop()
        self._watch.stop()
        self._watch.look(self._metrics, self._identified_task)
        self._hooks.conclude(certain=certain)
        in_time = self._pump.stop(self._last, timeout, first=self._tell_the_facts)
        self._duplicates.close()
        self._returns.let_go()
        if self._providers is not None:
            self._providers.withdraw()
            if in_time:
                unquieten()
            else:  # `unquieten` would have the exporters say what is said here
                self._providers.abandon()
                complaints.add(
                    "export",
                    f"not all telemetry could be sent to {endpoint_of(os.environ)} within {timeout:g} s "
                    f"({self._pump.waiting()} finished tasks still waited); is a collector listening there, "
                    "and fast enough? (aiotel view is one; see also flush_timeout)",
                )
        complaints.say()
        return in_time

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        exception: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close(timeout=self.config.flush_timeout)

    def _loop_opened(self, loop: AbstractEventLoop, ledger: Ledger) -> None:
        try:
            self._watch.watch(loop, ledger)
        finally:  # where no thread can be started for the one, there may be one for the other
            self._pump.start()
        self._status.start()
        self._returns.let_go()

    def _wire_looks(self) -> None:
        interval_s, owners = self.config.look_interval, self._hooks.owners_of
        telling = Telling(self._observations, self._clock.wall_ns, self._identified_task)
        deadlocks = Deadlocks(check, telling, owners, interval_ns=int(interval_s * 1e9))
        self._looks = Looks(
            deadlocks,
            HungTasks(self.config.hung_after, self._observations, self._repeats, self._clock.wall_ns),
            Forsaken(telling, owners, deadlocks.tasks),
            owners,
            self._returns,
            interval_s=interval_s,
        )
        self._snapshots = Snapshots(
            self._ledgers.opened,
            self._looks.entries,
            self._returns,
            self._clock.wall_ns,
            self._watch.health.age_ns_of,
        )

    def _heed_signal(self, name: str) -> Callable[[], None]:
        """Log a snapshot whenever this signal comes; gives what ends that."""

        def dump() -> None:
            self._observations.put(dumped(self._snapshots.take()))

        return attach(name, partial(self._status.do, dump)) if name else _nothing

    # Signals.

    def _wire_metrics(self, provider: Any, version: str) -> None:
        self._metrics = Metrics(
            Counts(
                alive=self._ledgers.alive,
                loops=self._ledgers.count,
                functions=self._ledgers.functions,
                dropped=self._count_dropped,
                overhead_ns=lambda: self._pump.cpu_ns + self._watch.cpu_ns(),
            ),
            function_limit=self.config.function_limit,
            sources=get_args(Source),
            findings=KINDS,
            observed={
                **loops_observed(self._watch.health),
                **levels_of(LEVELS, self._hooks.executors.levels),
                **findings_observed(self._looks.active),
            },
        )
        self._meter_provider = provider
        self._instruments = instruments_of(
            provider,
            lambda: metrics.get_meter(
                names.SCOPE, version, meter_provider=provider, schema_url=names.SCHEMA_URL
            ),
        )
        self._instruments.show(self._metrics.observed)
        scope = (names.SCOPE, version, names.SCHEMA_URL)
        self._readers = Readers(self._metrics.collect, BOUNDS, description_of, scope=scope)

    def _wire_logs(self, provider: Any, version: str) -> None:
        def logger() -> _logs.Logger:
            return _logs.get_logger(
                names.SCOPE, version, logger_provider=provider, schema_url=names.SCHEMA_URL
            )

        self._logs = Logs(logger, self._duplicates, clock_ns=self._clock.now_ns)

    def _count_dropped(self) -> Mapping[str, int]:
        return {
            "records": self._ledgers.dropped() + self._records.dropped + self._hooks.executors.dropped(),
            "failures": self._observations.dropped
            + self._repeats.dropped
            + self._watch.dropped()
            + self._hooks.slow.dropped
            + (0 if self._hooks.locks is None else self._hooks.locks.dropped()),
            "faults": faults.count - self._faults,
        }

    # On the pump's thread.

    def _look(self) -> None:
        """See what has changed: the clock, the providers, their readers, loops that were closed."""
        self._watch.look(self._metrics, self._identified_task)
        self._clock.adjust()
        self._traces.look()
        self._join_readers()
        self._absorb()
        self._hooks.look()
        self._looks.look(self._ledgers.opened())

    def _join_readers(self) -> None:
        provider = self._meter_provider or metrics.get_meter_provider()
        self._metrics.record_through(self._readers.join(provider, self._instruments.histogram))

    def _end(self, records: list[Record]) -> None:
        redact = self.config.redact
        for record in records:
            if record.error is not None and redact is not None:
                record.error = (record.error[0], redacted_text(record.error[1], redact))
            if record.cancellation is not None and redact is not None:
                record.note_cancellation(redacted_cancellation(record.cancellation, redact))
            note_raised(record, self._clock.wall_ns, redact)
        self._traces.end(records)

    def _tell(self, observations: list[Any]) -> None:
        try:
            self._reports.tell([self._identified(each) for each in observations])
        finally:
            contexts = [getattr(each, "context", None) for each in observations]
            self._returns.give_back(context for context in contexts if isinstance(context, Borrowed))

    def _identified(self, observation: Any) -> Any:
        """The observation with the ids of its task, which may be still to be had."""
        task = getattr(observation, "task", None)
        if task is None or task.undecided is None:
            return observation
        return replace(observation, task=self._identified_task(task))

    def _identified_task(self, task: TaskFacts) -> TaskFacts:
        record: Any = task.undecided
        if record is None:
            return task
        self._traces.decide(record)
        return identified(task)

    def _absorb(self) -> None:
        self._metrics.absorb(self._ledgers.functions())
        for ledger in self._ledgers.take_closed():
            self._metrics.absorb(ledger.every_function())
        for kind, waits in self._hooks.executors.take_waits():
            self._metrics.measure(names.EXECUTOR_QUEUE_DURATION, ((names.EXECUTOR_TYPE, kind),), waits)
        if self._hooks.locks is not None:
            for name, durations in zip(_LOCK_DURATIONS, self._hooks.locks.take(), strict=True):
                for function, values in durations.items():
                    self._metrics.measure(name, ((names.CODE_FUNCTION_NAME, function),), values)
        for ledger in self._ledgers.followed():
            for error_type in take(ledger.handled):
                self._metrics.count_handled(error_type)
        for (function, callback_type), times in self._hooks.slow.take().items():
            self._metrics.count_slow(function, callback_type, times)

    def _flush(self, timeout: float) -> bool:
        in_time = self._pump.flush(timeout)
        if self._providers is not None:
            self._providers.force_flush()
        return in_time

    def _drain(self, timeout: float) -> bool:
        """What the provider's `force_flush` does with us."""
        return self._closed or self._pump.flush(timeout)

    def _tell_the_facts(self) -> None:
        """Send failures and metrics before the spans, which may be too many for the time that is left."""
        self._hooks.tell()
        self._pump.tell_observations()
        self._reports.tell((), last=True)
        if self._providers is not None:
            self._providers.flush_facts()

    def _last(self) -> None:
        """The last thing that is done, on the pump's thread."""
        if self._providers is not None:
            self._providers.shutdown()
        self._instruments.hide(self._metrics.observed)
        self._readers.leave()
        self._traces.close()

    # The end, and the fork.

    def _be_called_at_exit(self) -> None:
        """Be called before a provider that was made after us: what is registered last is called first."""
        atexit.unregister(self.at_exit)
        atexit.register(self.at_exit)

    def at_exit(self) -> None:
        """Close, at the end of this process."""
        if self._pid == os.getpid() and not sys.is_finalizing():
            with suppress(KeyboardInterrupt):  # a second Ctrl-C: whoever presses it does not want to wait
                self._close(self.config.flush_timeout, certain=True)

    def forget(self) -> None:
        """In a child process: what is in hand is the parent's to tell."""
        if self._closed:
            return
        self._pid = os.getpid()
        self._hooks.forget()
        self._watch.forget()
        self._looks.forget()
        self._status.forget()
        self._traces.forget()
        self._faults = faults.count
        self._metrics.forget()
        self._instruments.forget()
        self._readers.forget()
        self._pump.forget()
        self._repeats.forget()
        self._returns.let_go()
        if self._providers is not None:
            self._providers.after_fork()
            self._pump.start()


def _nothing() -> None:
    """What ends what never began."""


def _disabled_by_environment() -> bool:
    return os.environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true"


def _wants_span_events() -> bool:
    """Whether exceptions are to be told as span events too: what the semantic conventions call `logs/dup`."""
    choices = os.environ.get("OTEL_SEMCONV_EXCEPTION_SIGNAL_OPT_IN", "").split(",")
    return "logs/dup" in [choice.strip() for choice in choices]


def _within(step: Callable[[], bool], timeout: float) -> bool:
    """Do something that may hang, on a thread that may be left behind; False where it took longer."""
    outcome = [False]
    worker = threading.Thread(target=lambda: outcome.__setitem__(0, step()), name="aiotel-flush", daemon=True)
    worker.start()
    worker.join(timeout)
    return outcome[0]
