"""Wire everything once: hooks to mailboxes, mailboxes to the pump, the pump to signals, signals to export."""

from __future__ import annotations

import asyncio
import atexit
import os
import sys
import time
from asyncio import AbstractEventLoop
from collections.abc import Iterator, Mapping
from types import TracebackType
from typing import Any, Self, get_args

from opentelemetry import _logs, metrics

from ._clock import Clock
from ._complaints import complaints
from ._config import Config
from ._export.endpoint import endpoint_of
from ._export.providers import Providers
from ._export.readers import Readers
from ._faults import faults
from ._hooks import loops
from ._hooks.ends import done_callback, settle_all
from ._hooks.errors import Errors
from ._hooks.tasks import Tasks, eager_record
from ._ledger import Ledger
from ._mailbox import Mailbox
from ._pump import Pump
from ._record import DEFERRED, UNBOUND, AnyRecord, Function, Record
from ._reports.failures import Failures
from ._signals import names
from ._signals.instruments import instruments_of
from ._signals.logs import Logs
from ._signals.metrics import BOUNDS, Counts, Metrics, description_of
from ._signals.traces.traces import Traces
from .observations import Failure, Source

__all__ = ["Session"]


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
        self._ledgers: list[Ledger] = []
        self._dropped = 0
        self._faults = faults.count
        self._providers: Providers | None = None
        if config.disabled:
            return
        if loop is not None:
            loops.require_attributes(loop)
        if config.export and tracer_provider is None and not _disabled_by_environment():
            self._providers = Providers()
            self._providers.install()
        self._clock = Clock()
        self._records: Mailbox[Record] = Mailbox(config.mailbox_size)
        self._failures: Mailbox[Failure] = Mailbox(config.mailbox_size)
        self._traces = Traces(
            provider=tracer_provider,
            clock=self._clock,
            version=version,
            running=self._running_carrier,
            drain=self._drain,
            on_bound=self._be_called_at_exit,
            max_age_ns=int(config.trace_max_age * 1e9),
            max_tasks=config.trace_max_tasks,
            writes=config.task_span_writes,
        )
        self._tasks = Tasks(self._traces.rules, self._records, self._open_ledger, config.detach)
        self._errors = Errors(self._failures, _ledger_of, self._clock.wall_ns, frames=config.stack_frames)
        self._wire_metrics(meter_provider, version)
        self._wire_logs(logger_provider, version)
        self._pump = Pump(
            self._records,
            self._failures,
            end=self._traces.end,
            tell=Failures(self._logs.exception, self._metrics.count_failure).tell,
            look=self._look,
            room=self._traces.room,
            make_room=self._traces.make_room,
        )
        self._traces.look()
        self._be_called_at_exit()
        self._detach = self._attach()
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
        deadline = time.monotonic() + timeout
        in_time = self._pump.flush(timeout)
        if self._providers is not None:
            in_time &= _within(self._providers.force_flush, deadline)
        return in_time

    def close(self, *, timeout: float = 2.0) -> bool:
        """Put everything back as it was found, and flush. Closing twice changes nothing.

        Tasks that still live end as `pending`. `timeout` is in seconds; False says that something
        could not be exported in time.
        """
        if self._closed:
            return True
        self._closed = True
        atexit.unregister(self.at_exit)
        self._detach()
        for ledger in self._ledgers:
            settle_all(ledger, self._records)
            _forget_ledger(ledger)
        self._absorb_ended()
        in_time = self._pump.stop(self._last, timeout)
        if self._providers is not None:
            self._providers.withdraw()
            if not in_time:
                complaints.add(
                    "export",
                    f"not all telemetry could be sent to {endpoint_of(os.environ)} within {timeout:g} s; "
                    "is a collector listening there? (aiotel view is one)",
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

    # Hooks.

    def _attach(self) -> loops.Detach:
        methods = {
            "create_task": self._tasks.in_front_of,
            "call_exception_handler": self._errors.in_front_of,
            "close": self._closing_in_front_of,
        }
        return loops.attach(methods) if self._only is None else loops.attach_to_loop(self._only, methods)

    def _open_ledger(self, loop: Any) -> Ledger | None:
        """The ledger of a loop that is met for the first time; None once the session is closed."""
        if self._closed or (self._only is not None and loop is not self._only):
            return None
        ledger = Ledger(loop)
        ledger.done = done_callback(ledger, self._records, self._traces.rules)
        try:
            setattr(loop, loops.LEDGER, ledger)
        except AttributeError as error:  # a compiled loop: its tasks cannot be told
            faults.add(error)
            return None
        self._ledgers.append(ledger)
        if self._closed:  # meanwhile, by another thread, which may not have seen this ledger
            self._ledgers.remove(ledger)  # type: ignore[unreachable]  # for mypy it cannot have changed
            _forget_ledger(ledger)
            return None
        self._pump.start()
        return ledger

    def _closing_in_front_of(self, original: loops.Method) -> loops.Method:
        """A loop's `close` that also settles the tasks whose callbacks can no longer run."""

        def close(loop: Any) -> None:
            try:
                original(loop)
            finally:
                try:
                    self._close_ledger(loop)
                except Exception as error:  # noqa: BLE001  # ours, not the program's
                    faults.add(error)

        return close

    def _close_ledger(self, loop: Any) -> None:
        ledger = _ledger_of(loop)
        if ledger is not None and loop.is_closed() and not ledger.closed:
            settle_all(ledger, self._records)
            ledger.closed = True

    def _running_carrier(self) -> tuple[AnyRecord, str] | None:
        """The running task and its name, if a bare callback made it and nothing is decided about its span."""
        try:
            task: Any = asyncio.current_task()
            if task is None:
                return None
            name: str = task.get_name()
            ledger = _ledger_of(task.get_loop())
        except RuntimeError:  # no loop runs here
            return None
        if ledger is None:
            return None
        record = ledger.live.get(id(task)) or eager_record(ledger, task)
        if record is None or record.alive() is not task:
            return None
        return (record, name) if record.flags & (DEFERRED | UNBOUND) == DEFERRED else None

    # Signals.

    def _wire_metrics(self, provider: Any, version: str) -> None:
        self._metrics = Metrics(
            Counts(
                alive=lambda: sum(ledger.alive() for ledger in self._ledgers),
                loops=lambda: sum(not ledger.closed for ledger in self._ledgers),
                functions=self._functions,
                dropped=self._count_dropped,
                overhead_ns=lambda: self._pump.cpu_ns,
            ),
            function_limit=self.config.function_limit,
            sources=get_args(Source),
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

        self._logs = Logs(logger, clock_ns=self._clock.now_ns)

    def _functions(self) -> Iterator[Function]:
        for ledger in list(self._ledgers):
            yield from ledger.every_function()

    def _count_dropped(self) -> Mapping[str, int]:
        return {
            "records": self._dropped
            + sum(ledger.dropped for ledger in self._ledgers)
            + self._records.dropped,
            "failures": self._failures.dropped,
            "faults": faults.count - self._faults,
        }

    # On the pump's thread.

    def _look(self) -> None:
        """See what has changed: the clock, the providers, their readers, loops that were closed."""
        self._clock.adjust()
        self._traces.look()
        self._join_readers()
        self._absorb_ended()

    def _join_readers(self) -> None:
        provider = self._meter_provider or metrics.get_meter_provider()
        self._metrics.record_through(self._readers.join(provider, self._instruments.meter))

    def _absorb_ended(self) -> None:
        self._metrics.absorb(self._functions())
        for ledger in [ledger for ledger in self._ledgers if ledger.closed]:
            self._metrics.absorb(ledger.every_function())
            self._dropped += ledger.dropped
            self._ledgers.remove(ledger)

    def _drain(self, timeout: float) -> bool:
        """What the provider's `force_flush` does with us."""
        return self._closed or self._pump.flush(timeout)

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
            self.close(timeout=self.config.flush_timeout)

    def forget(self) -> None:
        """In a child process: what is in hand is the parent's to tell."""
        if self._closed:
            return
        self._pid = os.getpid()
        for ledger in self._ledgers:
            _forget_ledger(ledger)
        self._ledgers.clear()
        self._dropped, self._faults = 0, faults.count
        self._metrics.forget()
        self._instruments.forget()
        self._readers.forget()
        self._pump.forget()
        if self._providers is not None:
            self._providers.after_fork()
            self._pump.start()


def _ledger_of(loop: Any) -> Ledger | None:
    return getattr(loop, loops.LEDGER, None)


def _forget_ledger(ledger: Ledger) -> None:
    loop = ledger.loop()
    if loop is not None and vars(loop).get(loops.LEDGER) is ledger:
        delattr(loop, loops.LEDGER)


def _disabled_by_environment() -> bool:
    return os.environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true"


def _within(step: Any, deadline: float) -> bool:
    """Do something that may hang on a thread that may be left behind."""
    import threading

    worker = threading.Thread(target=step, name="aiotel-flush", daemon=True)
    worker.start()
    worker.join(max(0.0, deadline - time.monotonic()))
    return not worker.is_alive()
