"""See through OpenTelemetry's own wrap of a hook for exceptions: asyncio's failures have one owner.

`opentelemetry-instrumentation-exceptions` logs what passes through `call_exception_handler`,
`sys.excepthook` and `threading.excepthook`, in whatever trace happens to be current. Who calls a hook
through `beneath` leaves that out for this one call: nothing is unwrapped, so nothing has to be put back.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

__all__ = ["beneath"]

THEIRS: Final = "opentelemetry.instrumentation.exceptions"


def beneath(hook: Any) -> Callable[..., Any]:
    """What the hook would be if that instrumentation had not wrapped it; wraps of others stay."""
    while getattr(getattr(hook, "_self_wrapper", None), "__module__", None) == THEIRS:
        hook = hook.__wrapped__
    return hook  # type: ignore[no-any-return]  # a hook can be called
