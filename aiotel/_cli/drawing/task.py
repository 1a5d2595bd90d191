"""One task in full: what it does, holds and waits for, who waits for it, and its stack to where it stands."""

from __future__ import annotations

from collections.abc import Iterator

from ..._receiver.terminal.text import neutral
from ..._snapshot import LoopView, TaskView
from ...observations import Frame
from .sheet import Line
from .waits import Waits
from .words import Words

__all__ = ["lines"]

_MOST = 10


def lines(view: TaskView, waits: Waits, words: Words, loops: tuple[LoopView, ...]) -> Iterator[Line]:
    """The lines of a task."""
    yield [(words.name(view), "name"), (f"  {words.function(view)}", "strong")]
    yield _field("state", _state(view, words))
    yield _field("age", words.age(view) or "older than aiotel in this process")
    if view.task.created_file is not None:
        made = Frame(
            file=view.task.created_file,
            line=view.task.created_line or 0,
            function=view.task.created_function or "?",
        )
        yield _field("created", _where(made))
    for loop in loops:
        if loop.number == view.loop:
            yield _field("loop", _loop(loop))
    if view.task.trace_id:
        yield _field("trace", f"{view.task.trace_id:032x}, span {view.task.span_id:016x}")
    yield _field("id", str(view.id))
    for held in view.holds:
        since = "" if held.at is None else f", since {_where(held.at)}"
        yield _field("holds", words.primitive(held.primitive) + since)
    if view.waiting is not None:
        yield _field("waits for", words.waits_for(view))
        yield from _waited_for(view, waits, words)
    yield from _awaited_by(view, waits, words)
    yield from _stack(view)


def _state(view: TaskView, words: Words) -> str:
    waited = words.waited(view)
    return f"{words.state(view)} for at least {waited}" if waited else words.state(view)


def _waited_for(view: TaskView, waits: Waits, words: Words) -> Iterator[Line]:
    for task in waits.targets[view.id][:_MOST]:
        other = waits.tasks[task]
        held = [each for each in other.holds if view.waiting and each.primitive == view.waiting.primitive]
        since = "".join(f", holds it since {_where(each.at)}" for each in held if each.at is not None)
        yield [("             ", ""), (words.name(other), "name"), (f"  {words.function(other)}{since}", "")]


def _awaited_by(view: TaskView, waits: Waits, words: Words) -> Iterator[Line]:
    sources = waits.sources.get(view.id, [])
    for index, task in enumerate(sources[:_MOST]):
        other = waits.tasks[task]
        line: Line = [(words.name(other), "name"), (f"  {words.function(other)}  {words.at(other)}", "")]
        yield [(f"  {'' if index else 'waited on':<11}", "dim"), *line]
    if len(sources) > _MOST:
        yield [(f"             and {len(sources) - _MOST:,} more", "dim")]


def _stack(view: TaskView) -> Iterator[Line]:
    if not view.stack:
        return
    yield [("  stack, from its coroutine to where it stands", "dim")]
    for frame in _own(view):
        here = frame == (view.waiting.at if view.waiting is not None else view.stack[-1])
        yield [(f"    {_where(frame)}", "strong" if here else "")]


def _own(view: TaskView) -> tuple[Frame, ...]:
    """The frames from the task's own coroutine on: below one that runs there are those of its loop."""
    functions = [frame.function for frame in view.stack]
    if view.state != "running" or view.task.function not in functions:
        return view.stack
    return view.stack[functions.index(view.task.function) :]


def _field(name: str, text: str) -> Line:
    return [(f"  {name:<11}", "dim"), (text, "")]


def _where(frame: Frame) -> str:
    function = neutral(frame.function.removeprefix("__main__."), limit=200)
    return f"{neutral(frame.file, limit=400)}:{frame.line} in {function}" if frame.file else function


def _loop(loop: LoopView) -> str:
    name = neutral(loop.kind.rpartition(".")[2], limit=100)
    return f"{loop.number}, {name} in {neutral(loop.thread, limit=100) or 'no thread'}"
