"""Know what a sampler will say without asking it, where that is certain."""

from __future__ import annotations

from typing import Any, Final

from opentelemetry.sdk.trace import sampling

from ..._record import RECORDED, SAMPLED

__all__ = ["children_follow", "fixed_flags", "flags_of", "parent_based"]

_DELEGATES: Final = {
    "_remote_parent_sampled": sampling.ALWAYS_ON,
    "_remote_parent_not_sampled": sampling.ALWAYS_OFF,
    "_local_parent_sampled": sampling.ALWAYS_ON,
    "_local_parent_not_sampled": sampling.ALWAYS_OFF,
}


def children_follow(sampler: Any) -> bool:
    """Whether this sampler gives every child its parent's sampled flag, and nothing else.

    True only for the SDK's own `ParentBased` and only with the delegates that it has by default.
    """
    asks = getattr(type(sampler), "should_sample", None)
    return asks is sampling.ParentBased.should_sample and all(
        getattr(sampler, name, None) is delegate for name, delegate in _DELEGATES.items()
    )


def fixed_flags(sampler: Any) -> int | None:
    """The flags of every root span, where the sampler always says the same."""
    root = getattr(sampler, "_root", None) if children_follow(sampler) else sampler
    if root is sampling.ALWAYS_ON:
        return RECORDED | SAMPLED
    if root is sampling.ALWAYS_OFF:
        return 0
    return None


def parent_based(sampler: Any) -> bool:
    """Whether this sampler lets the span above decide."""
    return isinstance(sampler, sampling.ParentBased)


def flags_of(decision: Any) -> int:
    """A sampler's decision as flags of a record."""
    flags = RECORDED if decision.is_recording() else 0
    return flags | SAMPLED if decision.is_sampled() else flags
