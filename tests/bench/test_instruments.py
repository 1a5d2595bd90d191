"""Each candidate accounts for all that ran, and says so where something is missing."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable

import pytest
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor

from tests.bench import workload
from tests.bench.clocks import Clock
from tests.bench.instruments import Aiotel, Contrib, Factory, Instrument
from tests.bench.sink import Sink
from tests.bench.spans import Counted, Exported, Spans, Unsampled


def run(instrument: Instrument) -> list[str]:
    """What is wrong after one main task, its tasks and a flush."""
    with instrument:
        with asyncio.Runner() as runner:
            instrument.prepare(runner.get_loop())
            runner.run(workload.tasks(Clock(), instrument.around))
        instrument.flush()
        return instrument.faults(tasks=workload.TASKS, mains=1)


MAKES: dict[str, Callable[[], Instrument]] = {
    "plain": Instrument,
    "factory": Factory,
    "aiotel, metrics": lambda: Aiotel(None),
    "aiotel, unsampled": lambda: Aiotel(Unsampled),
    "aiotel, unsampled, under a span": lambda: Aiotel(Unsampled, under_user_span=True),
    "aiotel, recorded": lambda: Aiotel(Counted),
    "aiotel, under a span": lambda: Aiotel(Counted, under_user_span=True),
    "aiotel, apart": lambda: Aiotel(Counted, trace_max_tasks=1),
    "contrib, metrics": lambda: Contrib(None),
    "contrib, spans": lambda: Contrib(Counted),
}


def contrib_is_there() -> bool:
    with contextlib.suppress(ImportError):
        import opentelemetry.instrumentation.asyncio  # noqa: F401

        return True
    return False


@pytest.mark.parametrize("name", [name for name in MAKES if contrib_is_there() or "contrib" not in name])
def test_every_task_is_accounted_for_and_nothing_is_left_behind(name: str) -> None:
    create_task = asyncio.BaseEventLoop.create_task, asyncio.create_task, asyncio.gather

    faults = run(MAKES[name]())

    assert [] == faults
    assert create_task == (asyncio.BaseEventLoop.create_task, asyncio.create_task, asyncio.gather)


@pytest.mark.slow
def test_exported_spans_are_counted_where_they_arrive() -> None:
    with Sink() as sink:
        faults = run(Aiotel(lambda: Exported(sink)))

        assert [] == faults
        assert workload.TASKS + 1 == sink.spans()


class Losing(Spans):
    """Loses every hundredth span."""

    class Processor(SpanProcessor):
        count = 0

        def on_end(self, span: ReadableSpan) -> None:
            self.count += 1

    def __init__(self) -> None:
        super().__init__(Counted().provider)
        self.losing = self.Processor()
        self.provider.add_span_processor(self.losing)

    def arrived(self, sent: int) -> tuple[int, int]:
        return self.losing.count - self.losing.count // 100, sent


def test_spans_that_do_not_arrive_are_a_fault() -> None:
    assert ["892 spans, not 901"] == run(Aiotel(Losing))


def test_what_aiotel_drops_is_a_fault() -> None:
    faults = run(Aiotel(Counted, mailbox_size=1))

    assert ["{'aiotel.dropped.kind': 'records'} dropped", "spans, not 901"] == [
        fault.split(maxsplit=1)[1] for fault in faults
    ]


def test_fewer_tasks_than_there_were_are_a_fault() -> None:
    with Aiotel(Counted) as instrument:
        with asyncio.Runner() as runner:
            runner.run(workload.tasks(Clock()))
        instrument.flush()

        assert [
            "901 started tasks, not 902",
            "901 durations, not 902",
            "901 spans, not 902",
        ] == instrument.faults(tasks=workload.TASKS, mains=2)
