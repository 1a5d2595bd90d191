"""Log something without Sentry taking it for an event: it has the failure from asyncio already."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

__all__ = ["unseen_by_sentry"]


@contextmanager
def unseen_by_sentry() -> Iterator[None]:
    """Have Sentry look away, where the program uses it: its events and breadcrumbs stay what they were.

    By a scope of its own for this context. To ignore a logger by its name would not do: the program's
    structlog may give ours any name, or call Sentry from a processor.
    """
    new_scope = getattr(sys.modules.get("sentry_sdk"), "new_scope", None)
    if new_scope is None:
        yield
        return
    with new_scope() as scope:
        scope.client = _deaf_client()
        yield


@cache
def _deaf_client() -> Any:
    from sentry_sdk.client import NonRecordingClient  # the program has it

    class Deaf(NonRecordingClient):
        """Drops everything. One that said that it was not active would be passed over for the next."""

        def is_active(self) -> bool:
            return True

    return Deaf()
