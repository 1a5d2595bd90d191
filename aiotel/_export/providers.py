"""Build OpenTelemetry's providers from `OTEL_*`, for a program that has none."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from itertools import chain
from typing import Any, Final

from opentelemetry import trace
from opentelemetry._logs import _internal as _logs_internal
from opentelemetry.metrics import _internal as _metrics_internal
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from .exporters import SIGNALS, exporters_for, quieten

__all__ = ["Providers"]


_PID: Final = "process.pid"


class Providers:
    """A provider for each signal, with what exports it.

    They are the process's default ones, and yield: what the program itself sets takes their place.
    """

    def __init__(self, environ: Mapping[str, str] | None = None) -> None:
        environ = os.environ if environ is None else environ
        resource = Resource.create({_PID: os.getpid(), "host.name": socket.gethostname()})
        self._exporters = {signal: exporters_for(signal, environ) for signal in SIGNALS}
        self.tracer_provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        for exporter in self._exporters["traces"]:
            self.tracer_provider.add_span_processor(
                BatchSpanProcessor(exporter, schedule_delay_millis=_span_delay_ms(environ))
            )
        readers = [PeriodicExportingMetricReader(exporter) for exporter in self._exporters["metrics"]]
        self.meter_provider = MeterProvider(metric_readers=readers, resource=resource, shutdown_on_exit=False)
        self.logger_provider = LoggerProvider(resource=resource, shutdown_on_exit=False)
        for exporter in self._exporters["logs"]:
            self.logger_provider.add_log_record_processor(BatchLogRecordProcessor(exporter))
        quieten()

    def install(self) -> None:
        """Make these the default providers, where there are none."""
        if _lacks(trace, "_TRACER_PROVIDER"):
            # Not by `set_tracer_provider`: that can be done once, and is the program's to do.
            trace._TRACER_PROVIDER = self.tracer_provider
        if _lacks(_metrics_internal, "_METER_PROVIDER"):
            _metrics_internal._METER_PROVIDER = self.meter_provider
            _metrics_internal._PROXY_METER_PROVIDER.on_set_meter_provider(self.meter_provider)
        if _lacks(_logs_internal, "_LOGGER_PROVIDER"):
            _logs_internal._LOGGER_PROVIDER = self.logger_provider

    def withdraw(self) -> None:
        """Take the default providers back, where they are still ours."""
        for module, name, provider in (
            (trace, "_TRACER_PROVIDER", self.tracer_provider),
            (_metrics_internal, "_METER_PROVIDER", self.meter_provider),
            (_logs_internal, "_LOGGER_PROVIDER", self.logger_provider),
        ):
            if getattr(module, name, None) is provider:
                setattr(module, name, None)
        self._let_proxies_go()

    def _let_proxies_go(self) -> None:
        """Have meters made before there was a provider wait for the next one, not report to this dead one."""
        proxy: Any = getattr(_metrics_internal, "_PROXY_METER_PROVIDER", None)
        if getattr(proxy, "_real_meter_provider", None) is self.meter_provider:
            proxy._real_meter_provider = None
            for meter in proxy._meters:
                meter._real_meter = None

    def after_fork(self) -> None:
        """In a child process: say that it is another one."""
        own = Resource({_PID: os.getpid()})
        for provider in (self.tracer_provider, self.meter_provider, self.logger_provider):
            update: Any = getattr(provider, "_update_resource", None)  # since 1.44
            if update is not None:
                update(own)

    def flush_facts(self) -> None:
        """Export logs and metrics. Takes as long as the exporters do."""
        self.logger_provider.force_flush()
        self.meter_provider.force_flush()

    def force_flush(self) -> None:
        """Export everything that is there. Takes as long as the exporters do."""
        self.flush_facts()
        self.tracer_provider.force_flush()

    def shutdown(self) -> None:
        """Export everything and end. Takes as long as the exporters do."""
        for provider in (self.tracer_provider, self.logger_provider, self.meter_provider):
            provider.shutdown()

    def abandon(self) -> None:
        """Have exporters that still try give up: the time to close is over."""
        for exporter in chain.from_iterable(self._exporters.values()):
            exporter.shutdown()


def _span_delay_ms(environ: Mapping[str, str]) -> float | None:
    """As long as logs wait, not OpenTelemetry's 5 s: a process that a signal ends does not get to flush."""
    return None if environ.get("OTEL_BSP_SCHEDULE_DELAY", "").strip() else 1000


def _lacks(module: Any, name: str) -> bool:
    return hasattr(module, name) and getattr(module, name) is None
