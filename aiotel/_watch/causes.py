"""Tell why a loop was blocked: one cause of a closed set, and the evidence in words.

Not its business: which function was to blame.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Final

from .._inspect.stacks import Place
from ..observations import Cause
from .culprits import imports
from .evidence import Evidence, Sample

__all__ = ["cause_of", "crowded"]

HALF: Final = 0.5
"""What took so much of the time is the cause."""
RIVAL: Final = 0.01
"""A thread that used so much of a CPU lately is named; there may be several."""
CROWD: Final = 5
"""So many callbacks in one iteration are many."""
TURNS: Final = 0.25
"""Who waits for the GIL wakes at so much of all switch intervals at least."""
BUSY: Final = 0.3
"""Other threads that used so much of a CPU had the GIL."""

_LOCKS: Final = ("threading", "queue", "concurrent.futures", "multiprocessing")
_IO: Final = ("subprocess", "socket", "ssl", "selectors", "sqlite3", "http", "urllib", "tempfile", "shutil")


def cause_of(evidence: Evidence) -> tuple[Cause, str]:
    """The cause, and what it was told from."""
    for cause, judge in _JUDGES:
        words = judge(evidence)
        if words is not None:
            return cause, words
    return _by_stack(evidence)


def crowded(evidence: Evidence) -> int:
    """How many callbacks were seen to be over, where they were many, and none of them took long; else 0."""
    glimpses = evidence.glimpses
    longest = ran = 0
    began_ns = glimpses[0].at_ns if glimpses else 0
    for before, after in pairwise(glimpses):
        over = max(before.waiting - after.waiting, int(after.task_id != before.task_id))
        if over > 0:
            ran += over
            began_ns = after.at_ns
        longest = max(longest, after.at_ns - began_ns)
    if ran < CROWD or longest >= HALF * (glimpses[-1].at_ns - glimpses[0].at_ns):
        return 0
    return ran


def _collecting(evidence: Evidence) -> str | None:
    share = evidence.collecting_ns / max(1, evidence.duration_ns)
    return f"the garbage collector ran for {share:.0%} of the time" if share >= HALF else None


def _importing(evidence: Evidence) -> str | None:
    stacks = [sample.stack for sample in evidence.samples]
    importing = sum(any(imports(place) for place in stack) for stack in stacks)
    if not stacks or importing < HALF * len(stacks):
        return None
    return f"modules were being imported ({importing} of {len(stacks)} looks)"


def _crowding(evidence: Evidence) -> str | None:
    ran = crowded(evidence)
    return f"at least {ran} callbacks ran in one go, none of them for long" if ran else None


def _queueing(evidence: Evidence) -> str | None:
    if evidence.queued is None or evidence.queued < HALF or (evidence.cpu or 0) >= HALF:
        return None
    return f"the thread was ready and waited for a CPU for {evidence.queued:.0%} of the time"


def _computing(evidence: Evidence) -> str | None:
    held_gil = evidence.held_ns >= HALF * evidence.duration_ns and (evidence.others_cpu or 0) < BUSY
    if evidence.cpu is None or evidence.cpu < (HALF / 2 if held_gil else HALF):
        return None
    held = ""
    if held_gil:
        held = ", and held the GIL all the time, in native code"
        seen = any(sample.stack for sample in evidence.samples)
        held += (
            ": seen as it was let go of, after this line or an earlier one"
            if seen
            else ": no sample could be had"
        )
    return f"the loop's thread was on a CPU for {evidence.cpu:.0%} of the time{held}"


_JUDGES: Final[Sequence[tuple[Cause, Callable[[Evidence], str | None]]]] = (
    ("gc", _collecting),
    ("import", _importing),
    ("crowded", _crowding),
    ("descheduled", _queueing),
    ("cpu", _computing),
)


def _by_stack(evidence: Evidence) -> tuple[Cause, str]:
    """It was off the CPU: by what the system said that it waited for, else by where it was."""
    calls = Counter(_waits_for(sample, evidence) for sample in evidence.samples)
    if not calls:
        return _unseen(evidence)
    cause, _ = calls.most_common(1)[0]
    return cause, _WORDS[cause] + _shares(evidence) + (_rival(evidence) if cause == "gil" else "")


def _unseen(evidence: Evidence) -> tuple[Cause, str]:
    """No look fell into it: by who has used the CPU meanwhile."""
    cpu, others = evidence.cpu or 0, evidence.others_cpu or 0
    if others >= BUSY:
        return "gil", "no sample: the GIL was held" + _shares(evidence) + _rival(evidence)
    if cpu >= HALF / 2:
        return "cpu", "no sample: nobody could look" + _shares(evidence)
    late = evidence.held_ns >= HALF * evidence.duration_ns
    return "descheduled" if late else "io", "no sample: no look fell into it" + _shares(evidence)


def _waits_for(sample: Sample, evidence: Evidence) -> Cause:
    leaf = sample.stack[-1] if sample.stack else None
    if sample.call in ("sleep", "io"):
        return sample.call
    held_by_others = (evidence.others_cpu or 0) >= BUSY and evidence.held_ns >= HALF * evidence.duration_ns
    if sample.call == "futex":
        return "gil" if held_by_others or _wakes_for_the_gil(evidence) else "lock"
    if leaf is not None and _is_in(leaf, _LOCKS) and not held_by_others:
        return "lock"
    if (evidence.others_cpu or 0) >= BUSY:
        return "gil"
    if sample.call is None and leaf is not None:
        return "sleep" if "sleep" in leaf.code.co_names else ("io" if _is_in(leaf, _IO) else "cpu")
    return "cpu"


def _wakes_for_the_gil(evidence: Evidence) -> bool:
    """Whether it was not a lock of the program's: who waits for one sleeps until it is free."""
    if (evidence.others_cpu or 0) < BUSY:
        return False
    return evidence.turns is None or evidence.turns * sys.getswitchinterval() >= TURNS


_WORDS: Final[dict[Cause, str]] = {
    "sleep": "the thread slept",
    "io": "the thread waited in a call to the system",
    "lock": "the thread waited for a lock",
    "gil": "the thread waited for the GIL",
    "cpu": "the thread ran",
}


def _shares(evidence: Evidence) -> str:
    parts = [
        f"{words} {share:.0%} of a CPU"
        for words, share in (("it used", evidence.cpu), ("other threads", evidence.others_cpu))
        if share is not None
    ]
    return f" ({', '.join(parts)})" if parts else ""


def _rival(evidence: Evidence) -> str:
    rival = evidence.rival
    if rival is None or rival.share < RIVAL:
        return ""
    inside = "" if rival.function is None else f" in {rival.function}"
    return f"; most by thread {rival.name}{inside}, {rival.share:.0%} of a CPU"


def _is_in(place: Place, modules: tuple[str, ...]) -> bool:
    return any(place.module == module or place.module.startswith(f"{module}.") for module in modules)
