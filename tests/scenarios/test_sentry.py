"""Sentry gets of a failure what it gets without aiotel: the same events, and no more of them."""

from __future__ import annotations

import sys

import pytest

from ..cli.processes import run

PROGRAM = """
import asyncio, gc, json, logging, sys
import sentry_sdk, structlog
from sentry_sdk.integrations.asyncio import AsyncioIntegration
from sentry_sdk.transport import Transport
import aiotel

loop_name, order, *options = sys.argv[1:]
events = []

class Keep(Transport):
    def capture_envelope(self, envelope):
        event = envelope.get_event()
        if event is not None:
            values = event.get("exception", {}).get("values", [])
            events.append([each["type"] for each in values] or event.get("logentry", event.get("message")))
            events.extend(each.get("message") for each in event.get("breadcrumbs", {}).get("values", []))

def ours():
    aiotel.instrument(aiotel.Config(flush_timeout=30))

async def fails():
    raise ValueError("no such order")

async def main():
    sentry_sdk.init(dsn="http://key@localhost/1", transport=Keep(), integrations=[AsyncioIntegration()])
    if order == "inside":
        ours()
    asyncio.create_task(fails())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    gc.collect()
    if order != "without":
        assert aiotel.instrument().flush(timeout=30)
    sentry_sdk.capture_message("the end")  # with the breadcrumbs of before

def alarm(logger, method, event):
    sentry_sdk.capture_message(event["event"], level=method)
    return event

if "stdlib" in options:
    logging.basicConfig(format="%(name)s|%(message)s", level=logging.INFO)
if "structlog" in options:
    structlog.configure(
        processors=[structlog.processors.JSONRenderer()],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
    )
if "processor" in options:
    structlog.configure(processors=[alarm, structlog.processors.JSONRenderer()])
if order == "before":
    ours()
factory = asyncio.new_event_loop
if loop_name == "uvloop":
    import uvloop
    factory = uvloop.new_event_loop
with asyncio.Runner(loop_factory=factory) as runner:
    runner.run(main())
aiotel.uninstrument()
print(json.dumps(events))
"""


@pytest.mark.slow
@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
@pytest.mark.parametrize("options", [(), ("stdlib",), ("structlog", "stdlib"), ("processor",)])
def test_a_failure_is_the_events_that_it_is_without_aiotel(loop: str, options: tuple[str, ...]) -> None:
    if loop == "uvloop":
        pytest.importorskip("uvloop")
    events = {}
    for order in ("without", "before", "inside"):
        outcome = run(sys.executable, "-c", PROGRAM, loop, order, *options)
        assert outcome.status == 0, outcome.stderr
        *printed, events[order] = outcome.stdout.splitlines()
        told = [line for line in (*printed, *outcome.stderr.splitlines()) if "exception was never" in line]
        assert len(told) == (1 if order == "without" else 2)

    assert '["ValueError"]' in events["without"]
    assert events == dict.fromkeys(events, events["without"])
