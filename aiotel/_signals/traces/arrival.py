"""Be told at once when the program sets its tracer provider: tasks do not wait until somebody looks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from opentelemetry import trace

__all__ = ["on_arrival"]


def on_arrival(tell: Callable[[], None]) -> Callable[[], None]:
    """Have `tell` called whenever a global provider is set; gives back what ends that.

    There is no official way. Where OpenTelemetry's insides are not as we know them nothing is told,
    and the provider is found at the pump's next look.
    """
    once: Any = getattr(trace, "_TRACER_PROVIDER_SET_ONCE", None)
    do_once = getattr(once, "do_once", None)
    if do_once is None:
        return lambda: None

    def do_and_tell(function: Callable[[], None]) -> Any:
        done = do_once(function)
        tell()
        return done

    once.do_once = do_and_tell

    def forget() -> None:
        if vars(once).get("do_once") is do_and_tell:
            del once.do_once

    return forget
