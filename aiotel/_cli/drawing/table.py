"""All tasks as a table: those that run, then those that wait, the longest first; many alike are one row."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import takewhile
from typing import Final, NamedTuple

from ..._snapshot import TaskView
from .sheet import Line, cells, cut
from .words import Words

__all__ = ["lines"]

HEADS: Final = ("STATE", "FOR", "AGE", "TASK", "FUNCTION", "AT", "WAITS FOR")
RIGHT: Final = frozenset({"FOR", "AGE"})
FIXED: Final = frozenset({"STATE", "FOR", "AGE"})
LEAST: Final = 9
"""No column that can be cut gets narrower."""
ALIKE: Final = 4
"""So many tasks that do the same are one row."""
_WEIGHTS: Final = {"WAITS FOR": 2.0, "AT": 1.5}
"""Who has more to say than others is cut later."""
_GAP: Final = "  "
_ORDER: Final = {"running": 0, "ready": 1, "not started": 2, "waiting": 3}
_STYLES: Final = {"running": "busy", "ready": "good", "new": "good"}


class _Row(NamedTuple):
    cells: tuple[str, ...]
    is_marked: bool


def lines(
    tasks: Iterable[TaskView],
    words: Words,
    *,
    width: int | None,
    more: str,
    marked: frozenset[int] = frozenset(),
    every: bool = False,
) -> Iterator[Line]:
    """The lines of the table; `marked` are tasks that are to stand out, `every` has a row for each task."""
    rows = [_row(group, words, marked) for group in _groups(sorted(tasks, key=_order(words)), words, every)]
    widths = _widths([HEADS, *(row.cells for row in rows)], width)
    yield [(_laid_out(HEADS, widths, more), "head")]
    for row in rows:
        state, *rest = _laid_out_cells(row.cells, widths, more)
        style = "bad" if row.is_marked else _STYLES.get(row.cells[0], "")
        yield [(state + _GAP, style), *_styled(rest, is_marked=row.is_marked)]


def _styled(columns: Sequence[str], *, is_marked: bool) -> Iterator[tuple[str, str]]:
    for head, text in zip(HEADS[1:], columns, strict=True):
        style = "bad" if is_marked and head == "WAITS FOR" else {"TASK": "name", "AGE": "dim"}.get(head, "")
        yield text + _GAP, style


def _order(words: Words) -> Callable[[TaskView], tuple[int, ...]]:
    return lambda view: (_ORDER.get(view.state, 4), -words.waited_ns(view), view.created_ns, view.id)


def _groups(tasks: Sequence[TaskView], words: Words, every: bool) -> Iterator[list[TaskView]]:  # noqa: FBT001
    """Those that do the same at the same line together, where they are many; in the order of the first."""
    alike: dict[object, list[TaskView]] = {}
    for view in tasks:
        key = (view.state, words.function(view), words.at(view), _kind(view))
        alike.setdefault(view.id if every or view.holds else key, []).append(view)
    for group in alike.values():
        if len(group) < ALIKE:
            yield from ([view] for view in group)
        else:
            yield group


def _kind(view: TaskView) -> object:
    waiting = view.waiting
    if waiting is None:
        return None
    primitive = waiting.primitive
    return (waiting.kind, waiting.what, primitive.id if primitive is not None else waiting.tasks)


def _row(group: Sequence[TaskView], words: Words, marked: frozenset[int]) -> _Row:
    first = group[0]
    return _Row(
        (
            words.state(first),
            words.waited(first),
            words.age(min(group, key=lambda view: view.created_ns)),
            words.name(first) if len(group) == 1 else f"{len(group)}x {_common(map(words.name, group))}",
            words.function(first),
            words.at(first),
            words.waits_for(first),
        ),
        any(view.id in marked for view in group),
    )


def _common(names: Iterable[str]) -> str:
    """What the names have in common at their beginnings."""
    first, last = min(names := list(names)), max(names)
    if first == last:
        return first
    same = takewhile(lambda pair: pair[0] == pair[1], zip(first, last, strict=False))
    return "".join(char for char, _ in same) + "*"


def _widths(rows: Sequence[Sequence[str]], width: int | None) -> list[int]:
    """As wide as what is in them; where that is too much, the widest are cut."""
    widths = [max(map(cells, column)) for column in zip(*rows, strict=True)]
    if width is None:
        return widths
    over = sum(widths) + len(_GAP) * (len(widths) - 1) - width
    can = [index for index, head in enumerate(HEADS) if head not in FIXED]
    while over > 0:
        widest = max(can, key=lambda index: widths[index] / _WEIGHTS.get(HEADS[index], 1))
        if widths[widest] <= LEAST:
            break
        widths[widest] -= 1
        over -= 1
    return widths


def _laid_out(columns: Sequence[str], widths: Sequence[int], more: str) -> str:
    return _GAP.join(_laid_out_cells(columns, widths, more))


def _laid_out_cells(columns: Sequence[str], widths: Sequence[int], more: str) -> list[str]:
    laid_out = []
    for head, text, width in zip(HEADS, columns, widths, strict=True):
        shown = cut(text, width, more=more)
        blank = " " * (width - cells(shown))
        laid_out.append(blank + shown if head in RIGHT else shown + blank)
    return laid_out
