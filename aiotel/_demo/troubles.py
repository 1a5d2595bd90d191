"""The four mistakes that the shop is built with, and whether what was received shows them.

What was received alone decides: a trouble is seen if a log of its name came. So what no detector looks for
yet is said to be missing, and is shown from the day that a log tells of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .._receiver.received import ReceivedLog, ReceivedSpan
from .._receiver.store import Contents
from .._signals import names

__all__ = ["TROUBLES", "Trouble", "Verdict", "judge"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """A mistake in the shop: a part of the requests that meet it, and the name of the log that tells of it.

    `function` is given where other things have logs of that name, too: the one that ours is about.
    """

    title: str
    built_in: str
    request: str
    event: str
    function: str = ""


TROUBLES = (
    Trouble(
        title="a coroutine is never awaited",
        built_in="Orders.pay() calls redeem_voucher() without await",
        request="voucher=",
        event=names.NEVER_AWAITED,
    ),
    Trouble(
        title="a background task fails",
        built_in="nobody awaits Orders.send_receipt(), which raises",
        request="customer=eve",
        event=names.EXCEPTION,
        function="Orders.send_receipt",
    ),
    Trouble(
        title="a handler blocks the loop",
        built_in="Orders.export() makes a PDF with time.sleep(0.4)",
        request="format=pdf",
        event="asyncio.stall",
    ),
    Trouble(
        title="two tasks deadlock",
        built_in="two Stock.move() take two locks in opposite order",
        request="/stock/move",
        event="asyncio.deadlock",
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What was received of a trouble: the logs that tell of it, and the spans of the requests that met it."""

    trouble: Trouble
    logs: Sequence[ReceivedLog] = ()
    requests: Sequence[ReceivedSpan] = ()

    @property
    def is_seen(self) -> bool:
        """Whether telemetry says it in so many words."""
        return bool(self.logs)

    @property
    def is_missing(self) -> bool:
        """Whether requests met it and no telemetry says so."""
        return bool(self.requests) and not self.logs


def judge(trouble: Trouble, contents: Contents) -> Verdict:
    """Look for a trouble in what was received."""
    return Verdict(
        trouble=trouble,
        logs=[log for log in contents.logs if _tells_of(log, trouble)],
        requests=[
            span for span in contents.spans if trouble.request in str(span.attributes.get(names.TASK_NAME))
        ],
    )


def _tells_of(log: ReceivedLog, trouble: Trouble) -> bool:
    function = str(log.attributes.get(names.CODE_FUNCTION_NAME))
    return log.event_name == trouble.event and function.endswith(trouble.function)
