"""Tell which function blocked a loop, from the stacks that were seen meanwhile."""

from __future__ import annotations

import dis
from collections import Counter
from collections.abc import Sequence
from typing import Final, NamedTuple

from .._inspect.owners import is_package, is_standard
from .._inspect.plumbing import is_plumbing
from .._inspect.stacks import Place
from ..observations import CallbackType, Cause
from .evidence import Sample

__all__ = ["Culprit", "culprit_of", "from_callback", "imports", "innermost"]

_RESUME: Final = dis.opmap["RESUME"]
_READERS: Final = ("_read_ready", "_write_ready", "_accept_connection", "_sock_", "data_received")


class Culprit(NamedTuple):
    """The function at fault, and the stack to tell with it, outermost first."""

    place: Place | None
    stack: tuple[Place, ...]
    callback: CallbackType
    task_id: int = 0
    """Of the task that it ran in, as a rule; 0 where it was none's, or that of many."""


def from_callback(stack: Sequence[Place], base_depth: int | None) -> tuple[Place, ...]:
    """The stack (innermost first) from the callback that the loop runs, outermost first.

    `base_depth` is how many functions are below it; where that is not known, those of asyncio's loops and
    runners are looked for. Empty where there is no callback.
    """
    outermost_first = tuple(reversed(stack))
    begin = base_depth
    if begin is None:
        loops = [number for number, place in enumerate(outermost_first) if _is_loop(place)]
        begin = loops[-1] + 1 if loops else len(outermost_first)
    callback = outermost_first[begin:]
    while len(callback) > 1 and not _has_begun(callback[-1]):
        callback = callback[:-1]
    return callback


def culprit_of(samples: Sequence[Sample], cause: Cause) -> Culprit:
    """The innermost function of the program that all looks have in common, on its most frequent line.

    Of an import it is the function that imports, not what is imported.
    """
    stacks = [sample.stack for sample in samples if sample.stack]
    if cause == "import":
        stacks = [before_import(stack) for stack in stacks]
    place, stack = _blamed(stacks) if stacks else (None, ())
    task_id = 0 if cause == "crowded" else _task_of(samples, place)
    return Culprit(place, stack, _kind(task_id, stack), task_id)


def _blamed(stacks: Sequence[tuple[Place, ...]]) -> tuple[Place | None, tuple[Place, ...]]:
    """The program's own function rather than a package's that it calls, and that rather than none."""
    depth = _common(stacks)
    for is_to_blame in (_is_own, _is_packages):
        for level in range(depth - 1, -1, -1):
            if is_to_blame(stacks[0][level]):
                return _at(stacks, level)
    return _hottest(stacks)


def _task_of(samples: Sequence[Sample], place: Place | None) -> int:
    """The task that was seen most often in this function."""
    seen = Counter(
        sample.task_id
        for sample in samples
        if place is None or any(place.code is each.code for each in sample.stack)
    )
    return seen.most_common(1)[0][0] if seen else 0


def _kind(task_id: int, stack: Sequence[Place]) -> CallbackType:
    if task_id:
        return "task"
    return "reader" if any(_reads(place) for place in stack) else "callback"


def before_import(stack: tuple[Place, ...]) -> tuple[Place, ...]:
    """The stack down to what imports."""
    for number, place in enumerate(stack):
        if imports(place):
            return stack[: max(1, number)]
    return stack


def imports(place: Place) -> bool:
    """Whether this is where Python imports a module."""
    return place.code.co_filename.startswith("<frozen importlib")


def _common(stacks: Sequence[tuple[Place, ...]]) -> int:
    """How many functions, from the outermost, are the same in all."""
    depth = 0
    for places in zip(*stacks, strict=False):
        if any(place.code is not places[0].code for place in places):
            break
        depth += 1
    return depth


def _at(stacks: Sequence[tuple[Place, ...]], level: int) -> tuple[Place, tuple[Place, ...]]:
    place, _ = Counter(stack[level] for stack in stacks).most_common(1)[0]
    leaf, _ = Counter(stack for stack in stacks if stack[level] == place).most_common(1)[0]
    return place, leaf


def _hottest(stacks: Sequence[tuple[Place, ...]]) -> tuple[Place | None, tuple[Place, ...]]:
    """They have no function of the program's in common: the most frequent of all that were seen, or none."""
    found = Counter(place.code for stack in stacks if (place := innermost(stack)) is not None)
    for code, _ in found.most_common(1):
        for stack in stacks:
            place = innermost(stack)
            if place is not None and place.code is code:
                return place, stack
    return None, stacks[0]


def innermost(stack: Sequence[Place]) -> Place | None:
    """The innermost function of the program in a stack that begins with the outermost.

    Else that of a package, else of Python's library; never what runs callbacks, or watches them.
    """
    for is_to_blame in (_is_own, _is_packages, _is_librarys):
        for place in reversed(stack):
            if is_to_blame(place):
                return place
    return None


def _is_own(place: Place) -> bool:
    """Whether it is the program's own code: of no package that was installed, and not Python's library."""
    file = place.code.co_filename
    return not (is_plumbing(place.module) or is_standard(file) or is_package(file))


def _is_packages(place: Place) -> bool:
    return not is_plumbing(place.module) and is_package(place.code.co_filename)


def _is_librarys(place: Place) -> bool:
    return not is_plumbing(place.module) and place.module != "selectors" and not imports(place)


def _has_begun(place: Place) -> bool:
    """Whether the function has done anything yet: where it was entered, threads change places."""
    code = place.code.co_code
    return code[place.instruction : place.instruction + 2] != bytes((_RESUME, 0))


def _is_loop(place: Place) -> bool:
    """Whether this runs callbacks: of asyncio's loops, or what has called a loop that shows no frames."""
    if place.module in {"asyncio.events", "asyncio.base_events"}:
        return place.code.co_name in {"_run", "_run_once", "run_forever", "run_until_complete"}
    return place.module in {"asyncio.runners", "uvloop"}


def _reads(place: Place) -> bool:
    return place.module.startswith("asyncio.") and place.code.co_name.startswith(_READERS)
