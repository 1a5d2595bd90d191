"""contrib's wrap of a hook is seen through, and nobody else's; nothing is unwrapped."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest
import wrapt
from opentelemetry.instrumentation.exceptions import UnhandledExceptionInstrumentor

import aiotel
from aiotel._hooks.owners import beneath

from ..conftest import Telemetry


class BadError(Exception):
    """A failure with a module."""


@pytest.fixture
def contrib(telemetry: Telemetry) -> Iterator[Contrib]:
    """contrib's instrumentation of unhandled exceptions, not started."""
    hooks = sys.excepthook, threading.excepthook
    contrib = Contrib(telemetry)
    yield contrib
    aiotel.uninstrument()
    contrib.uninstrument()
    sys.excepthook, threading.excepthook = hooks


class Contrib:
    """Starts and stops it."""

    def __init__(self, telemetry: Telemetry) -> None:
        self._provider = telemetry.logger_provider
        self._instrumentor: Any = UnhandledExceptionInstrumentor()  # type: ignore[no-untyped-call]  # theirs

    def instrument(self) -> None:
        self._instrumentor.instrument(logger_provider=self._provider)

    def uninstrument(self) -> None:
        if self._instrumentor.is_instrumented_by_opentelemetry:
            self._instrumentor.uninstrument()


def _scopes(telemetry: Telemetry) -> list[str]:
    if telemetry.session is not None:
        telemetry.session.flush(timeout=30)
    scopes = [log.instrumentation_scope for log in telemetry.log_exporter.get_finished_logs()]
    return [scope.name.rpartition(".")[2] for scope in scopes if scope is not None]


def _fails() -> None:
    raise BadError


async def fail() -> None:
    asyncio.get_running_loop().call_soon(_fails)
    await asyncio.sleep(0)
    await asyncio.sleep(0)


def test_a_hook_is_what_it_was_before_contribs_wrap(contrib: Contrib) -> None:
    def other(wrapped: Any, instance: Any, args: Any, kwargs: Any) -> Any:
        return wrapped(*args, **kwargs)

    plain = sys.excepthook, threading.excepthook
    contrib.instrument()
    wrapped = sys.excepthook, threading.excepthook
    others: Any = wrapt.FunctionWrapper(sys.excepthook, other)

    for with_wrap, without in zip(wrapped, plain, strict=True):
        assert with_wrap is not without
        assert beneath(with_wrap) is without
    assert beneath(plain[0]) is plain[0]
    assert beneath(others) is others


@pytest.mark.parametrize("order", ["before", "after", "while the loop runs"])
def test_contribs_wrap_is_left_out_whenever_it_came(
    telemetry: Telemetry, contrib: Contrib, order: str
) -> None:
    async def main() -> None:
        if order == "while the loop runs":
            contrib.instrument()
        await fail()

    if order == "before":
        contrib.instrument()
    telemetry.start()
    if order == "after":
        contrib.instrument()
    asyncio.run(main())

    assert _scopes(telemetry) == ["aiotel"]


def test_one_loop_alone_is_told_by_aiotel_and_others_by_contrib(
    telemetry: Telemetry, contrib: Contrib
) -> None:
    contrib.instrument()
    loop = asyncio.new_event_loop()
    telemetry.start(loop=loop)
    loop.run_until_complete(fail())
    loop.close()
    asyncio.run(fail())

    assert sorted(_scopes(telemetry)) == ["aiotel", "exceptions"]


def test_a_loop_class_with_a_handler_of_its_own_above_contribs_is_told_once(
    telemetry: Telemetry, contrib: Contrib
) -> None:
    seen = []

    class OwnLoop(asyncio.SelectorEventLoop):
        def call_exception_handler(self, context: dict[str, Any]) -> None:
            seen.append(context["message"])
            super().call_exception_handler(context)

    telemetry.start()
    contrib.instrument()
    with asyncio.Runner(loop_factory=OwnLoop) as runner:
        runner.run(fail())

    assert len(seen) == 1
    assert _scopes(telemetry) == ["aiotel"]


@pytest.mark.parametrize("order", ["before", "after"])
def test_contribs_wrap_works_again_once_aiotel_is_gone(
    telemetry: Telemetry, contrib: Contrib, order: str
) -> None:
    found = vars(asyncio.BaseEventLoop)["call_exception_handler"]
    if order == "before":
        contrib.instrument()
    telemetry.start()
    if order == "after":
        contrib.instrument()
    aiotel.uninstrument()
    asyncio.run(fail())
    told = _scopes(telemetry)
    contrib.uninstrument()

    assert told == ["exceptions"]
    if order == "before":
        assert vars(asyncio.BaseEventLoop)["call_exception_handler"] is found
    assert "call_exception_handler" not in vars(asyncio.SelectorEventLoop.__mro__[1])


def test_where_somebody_has_wrapped_ours_contribs_wrap_works_again_too(
    telemetry: Telemetry, contrib: Contrib, monkeypatch: pytest.MonkeyPatch
) -> None:
    contrib.instrument()
    telemetry.start()
    ours = asyncio.BaseEventLoop.call_exception_handler

    def wrap(loop: asyncio.BaseEventLoop, context: dict[str, Any]) -> None:
        ours(loop, context)

    monkeypatch.setattr(asyncio.BaseEventLoop, "call_exception_handler", wrap)
    aiotel.uninstrument()
    asyncio.run(fail())

    assert _scopes(telemetry) == ["exceptions"]


def test_aiotel_goes_on_when_contrib_is_gone(telemetry: Telemetry, contrib: Contrib) -> None:
    telemetry.start()
    contrib.instrument()
    contrib.uninstrument()
    asyncio.run(fail())

    assert _scopes(telemetry) == ["aiotel"]
