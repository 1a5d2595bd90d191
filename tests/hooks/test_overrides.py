"""Loop classes, coroutines and exceptions of every kind keep working as they did."""

from __future__ import annotations

import asyncio
import gc
import weakref
from typing import Any

import pytest
from opentelemetry.sdk.trace import Span, SpanProcessor

from ..conftest import Loops, Telemetry


async def leaf() -> None:
    await asyncio.sleep(0)


def test_a_class_whose_create_task_takes_no_context_works_under_a_span(telemetry: Telemetry) -> None:
    class Plain(asyncio.SelectorEventLoop):
        def create_task(self, coro: Any, *, name: Any = None) -> Any:  # type: ignore[override]  # that is the point
            return super().create_task(coro, name=name)

    tracer = telemetry.tracer_provider.get_tracer("user")

    async def main() -> None:
        with tracer.start_as_current_span("request"):
            await asyncio.create_task(leaf())

    telemetry.start()
    loop = Plain()
    loop.run_until_complete(main())
    loop.close()

    assert telemetry.parents() == {"main": None, "request": None, "leaf": "request"}


class _Listener(SpanProcessor):
    def __init__(self) -> None:
        self.open: set[int] = set()

    def on_start(self, span: Span, parent_context: Any = None) -> None:
        self.open.add(span.get_span_context().span_id)

    def on_end(self, span: Any) -> None:
        self.open.discard(span.get_span_context().span_id)


def test_a_class_that_wraps_coroutines_leaves_no_span_open(telemetry: Telemetry) -> None:
    class Wraps(asyncio.SelectorEventLoop):
        def create_task(self, coro: Any, **kwargs: Any) -> Any:
            async def wrapped() -> Any:
                return await coro

            return super().create_task(wrapped(), **kwargs)

    listener = _Listener()
    telemetry.tracer_provider.add_span_processor(listener)
    telemetry.start()
    loop = Wraps()
    loop.run_until_complete(leaf())
    loop.close()

    assert "leaf" in [span.name for span in telemetry.spans]
    assert listener.open == set()


def test_what_cannot_be_a_task_leaves_no_span_open_and_no_cycle(loops: Loops, telemetry: Telemetry) -> None:
    alive: list[bool] = []

    async def fails() -> None:
        asyncio.get_running_loop().create_task(42)  # type: ignore[arg-type,unused-awaitable]  # that is the fault

    async def main() -> None:
        task = asyncio.ensure_future(fails())
        gone = weakref.ref(task)
        with pytest.raises(TypeError):
            await task
        del task
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        alive.append(gone() is not None)

    listener = _Listener()
    telemetry.tracer_provider.add_span_processor(listener)
    gc.disable()
    try:
        loops.run(main())
        telemetry.start()
        loops.run(main())
    finally:
        gc.enable()

    without, with_aiotel = alive
    assert with_aiotel is without
    assert telemetry.spans
    assert listener.open == set()


@pytest.mark.parametrize("kind", [asyncio.CancelledError, RecursionError, GeneratorExit])
def test_a_text_that_raises_stays_with_the_exception_it_is_of(
    loops: Loops, telemetry: Telemetry, kind: type[BaseException]
) -> None:
    class Hostile(Exception):  # noqa: N818  # its name is not the point
        def __str__(self) -> str:
            raise kind

    async def fails() -> None:
        raise Hostile

    async def main() -> str:
        try:
            await asyncio.create_task(fails())
        except Hostile:
            await asyncio.sleep(0)
        return "lived"

    telemetry.start()

    assert loops.run(main()) == "lived"
    assert f"its __str__ raised {kind.__name__}" in str(telemetry.span("fails").status.description)


def test_a_flush_keeps_its_time_whatever_an_exporter_does(telemetry: Telemetry) -> None:
    import threading

    released = threading.Event()

    class Blocks(SpanProcessor):
        def on_end(self, span: Any) -> None:
            released.wait(30)

    telemetry.tracer_provider.add_span_processor(Blocks())
    session = telemetry.start()
    asyncio.run(leaf())
    in_time = session.flush(timeout=0.05)
    released.set()

    assert not in_time
    assert session.flush(timeout=30)


def test_what_overrides_of_close_and_of_the_handler_take_and_give_is_theirs(telemetry: Telemetry) -> None:
    class Own(asyncio.SelectorEventLoop):
        def close(self, *, wait: bool = True) -> str:  # type: ignore[override]  # that is the point
            super().close()
            return f"closed {wait}"

        def call_exception_handler(self, context: Any, extra: int = 0) -> int:  # type: ignore[override]  # as above
            return extra

    telemetry.start()
    loop = Own()
    loop.run_until_complete(asyncio.sleep(0))

    assert loop.call_exception_handler({"message": "lost"}, extra=3) == 3
    assert loop.close(wait=False) == "closed False"
