"""Make ids as the provider would, without drawing from the program's own random numbers."""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from functools import partial
from typing import Any

from opentelemetry.sdk.trace.id_generator import RandomIdGenerator

__all__ = ["Ids"]

# A generator of our own: the SDK's draws from the global one, which changes what a seeded program does.
_random = random.Random(os.urandom(16))  # noqa: S311  # identifiers, not secrets
_bits = _random.getrandbits
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=lambda: _random.seed(os.urandom(16)))


# All bits zero would be no id; that happens once in 2**64 times, and is then one span that is not kept.
random_trace_id: Callable[[], int] = partial(_bits, 128)
random_span_id: Callable[[], int] = partial(_bits, 64)


class Ids:
    """Where trace and span ids come from, and whether trace ids are random in W3C's sense."""

    __slots__ = ("random", "span_id", "trace_id")

    def __init__(self, generator: Any = None) -> None:
        own = generator is None or type(generator) is RandomIdGenerator
        self.trace_id: Callable[[], int] = random_trace_id if own else generator.generate_trace_id
        self.span_id: Callable[[], int] = random_span_id if own else generator.generate_span_id
        is_random = getattr(generator, "is_trace_id_random", None)
        self.random = bool(is_random is not None and is_random())
