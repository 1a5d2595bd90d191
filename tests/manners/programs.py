"""Random programs of tasks, and everything that can be seen of one that runs.

A program is a tree of statements; nothing in it depends on time, addresses or chance, so that two
runs of it on the same kind of loop can be compared word by word.
"""

from __future__ import annotations

import asyncio
import contextvars
import gc
import logging
import re
import sys
import warnings
import weakref
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from opentelemetry import trace

from ..conftest import Loops

ROUNDS = 60
"""How many times the main task lets the others run before it cancels what is left."""

_variables = [contextvars.ContextVar(f"variable{number}", default="unset") for number in range(2)]


class Oops(Exception):  # noqa: N818  # as programs have them
    """An exception with an argument."""


class Quit(BaseException):
    """One that `except Exception` does not catch."""


# Statements.


@dataclass(frozen=True)
class Step:
    """Let the others run."""


@dataclass(frozen=True)
class Note:
    """Tell who runs, and what it sees."""


@dataclass(frozen=True)
class Assign:
    variable: int
    value: int


@dataclass(frozen=True)
class Raise:
    kind: Literal["oops", "cause", "notes", "group", "cancelled", "quit"]


@dataclass(frozen=True)
class Return:
    value: int


@dataclass(frozen=True)
class Spawn:
    """Create a task; `hold` keeps it where `Await` and the like find it."""

    body: Block
    by: Literal["create_task", "ensure_future", "loop", "callback", "eager", "lazy"] = "create_task"
    named: bool = False
    context: Literal["inherited", "copied", "empty"] = "inherited"
    hold: bool = True


@dataclass(frozen=True)
class Await:
    """Wait for the task that was held so many tasks ago."""

    back: int
    shielded: bool = False


@dataclass(frozen=True)
class Cancel:
    back: int
    message: str | None = None


@dataclass(frozen=True)
class CancelMe:
    uncancel: bool


@dataclass(frozen=True)
class Rename:
    back: int


@dataclass(frozen=True)
class WhenDone:
    """Add a done callback to a held task; one that raises goes to the loop's exception handler."""

    back: int
    raises: bool = False


@dataclass(frozen=True)
class Peek:
    """Look at a held task as a program may: its state, its result, its exception."""

    back: int


@dataclass(frozen=True)
class Forget:
    """Let go of the tasks that are held."""


@dataclass(frozen=True)
class CallSoon:
    """A bare callback."""

    raises: bool = False


@dataclass(frozen=True)
class LoseFuture:
    """A future with an exception that nobody looks at."""


@dataclass(frozen=True)
class LoseTask:
    """A task that waits for what will never come, and that nobody holds."""


@dataclass(frozen=True)
class NeverAwait:
    """A coroutine that is made and dropped."""


@dataclass(frozen=True)
class Collect:
    """Have the garbage collected now."""


@dataclass(frozen=True)
class Signal:
    event: int


@dataclass(frozen=True)
class WaitFor:
    event: int


@dataclass(frozen=True)
class Write:
    """Write to whatever span is current."""


@dataclass(frozen=True)
class Try:
    body: Block
    catch: Literal["exception", "cancelled", "cancelled and go on", "finally"]
    handler: Block


@dataclass(frozen=True)
class Gather:
    bodies: tuple[Block, ...]
    return_exceptions: bool


@dataclass(frozen=True)
class Group:
    bodies: tuple[Block, ...]
    own: Block


@dataclass(frozen=True)
class Wait:
    bodies: tuple[Block, ...]
    until: Literal["FIRST_COMPLETED", "FIRST_EXCEPTION", "ALL_COMPLETED"]


@dataclass(frozen=True)
class AsCompleted:
    bodies: tuple[Block, ...]


@dataclass(frozen=True)
class Timeout:
    body: Block
    after: Literal["at once", "never"]
    by: Literal["timeout", "wait_for"]


@dataclass(frozen=True)
class Locked:
    body: Block


@dataclass(frozen=True)
class Generate:
    """Run through an async generator; `leave` drops it half-way, for the loop's hooks to close."""

    body: Block
    leave: bool


@dataclass(frozen=True)
class Spanned:
    """Do something in a span of the program's own."""

    body: Block


Block = tuple[Any, ...]
"""Statements, one after the other."""


# What is seen of a run.


@dataclass
class Seen:
    """Everything that two runs of one program must agree on."""

    outcome: Any = None
    events: list[Any] = field(default_factory=list)
    reports: list[Any] = field(default_factory=list)
    logged: list[str] = field(default_factory=list)
    warned: list[tuple[str, str, str, int]] = field(default_factory=list)
    unraisable: list[Any] = field(default_factory=list)
    variables: list[Any] = field(default_factory=list)
    tasks: int = 0
    """How many tasks the loop was asked for, its own two at the end left out."""


def describe(exception: BaseException | None, seen: frozenset[int] = frozenset()) -> Any:
    """All that can be seen of an exception, its traceback included."""
    if exception is None or id(exception) in seen:
        return None
    seen |= {id(exception)}
    frames = []
    traceback = exception.__traceback__
    while traceback is not None:
        code = traceback.tb_frame.f_code
        frames.append(f"{code.co_filename}:{traceback.tb_lineno} {code.co_qualname}")
        traceback = traceback.tb_next
    leaves = exception.exceptions if isinstance(exception, BaseExceptionGroup) else ()
    return {
        "type": type(exception).__qualname__,
        "text": str(exception),
        "notes": getattr(exception, "__notes__", []),
        "frames": frames,
        "cause": describe(exception.__cause__, seen),
        "context": describe(exception.__context__, seen),
        "suppressed": exception.__suppress_context__,
        "leaves": [describe(leaf, seen) for leaf in leaves],
    }


# Running one.


class _Ordered(dict[Any, None]):
    """A set that is iterated in order: a TaskGroup cancels its tasks in the order of their addresses."""

    def add(self, item: Any) -> None:
        self[item] = None

    def discard(self, item: Any) -> None:
        self.pop(item, None)

    remove = discard


class _Run:
    """One run of a program: what its tasks share."""

    def __init__(self, tracer: trace.Tracer) -> None:
        self.seen = Seen()
        self.tracer = tracer
        self.numbers = _Numbers()
        self.first = self.numbers.next()
        self.named = 0
        self.labels: weakref.WeakKeyDictionary[Any, str] = weakref.WeakKeyDictionary()
        self.spawned = 0
        self.stopping = False
        self.events: list[asyncio.Event] = []
        self.lock: Any = None

    def note(self, *words: Any) -> None:
        self.seen.events.append(words)

    def plain(self, text: str) -> str:
        """The text without addresses, and with the tasks' numbers counted from the first one."""
        text = re.sub(r"Task-(\d+)", lambda match: f"Task-<{int(match[1]) - self.first}>", text)
        text = re.sub(r"0x[0-9a-f]+", "0x…", text)
        # What the manners cannot hide: a task's end is a done callback of it, and shows in its repr.
        text = re.sub(r" cb=\[aiotel\(\) at [^], ]*\]", "", text)
        return re.sub(r"aiotel\(\) at [^], ]*(, )?", "", text)

    def me(self) -> Any:
        task = asyncio.current_task()
        return None if task is None else self.plain(task.get_name())


@dataclass
class _Scope:
    """What one task knows: the tasks it holds."""

    label: str
    held: list[Any]
    children: int = 0
    from_callback: bool = False
    """A bare callback made the task: one that then starts a span of the program's has none itself."""


async def _run_block(run: _Run, scope: _Scope, block: Block) -> Any:
    for statement in block:
        result = await _PERFORM[type(statement)](run, scope, statement)
        if result is not None:
            return result
    return None


async def _task(run: _Run, scope: _Scope, block: Block) -> Any:
    run.note(scope.label, "begins", run.me())
    try:
        result = await _run_block(run, scope, block)
    except BaseException as error:
        run.note(scope.label, "fails", describe(error))
        raise
    run.note(scope.label, "ends", result)
    return result


def _new_task(
    run: _Run, scope: _Scope, block: Block, *, from_callback: bool = False
) -> tuple[str, Coroutine[Any, Any, Any]]:
    scope.children += 1
    label = f"{scope.label}.{scope.children}"
    return label, _task(run, _Scope(label, list(scope.held), from_callback=from_callback), block)


def _create(run: _Run, scope: _Scope, block: Block, **options: Any) -> Any:
    label, coro = _new_task(run, scope, block)
    task = asyncio.create_task(coro, **options)
    run.labels[task] = label
    return task


def _create_all(run: _Run, scope: _Scope, blocks: Iterable[Block]) -> list[Any]:
    return [_create(run, scope, block) for block in blocks]


def _held(scope: _Scope, back: int) -> Any:
    return scope.held[-1 - back % len(scope.held)] if scope.held else None


# One function for each kind of statement.


async def _step(run: _Run, scope: _Scope, step: Step) -> None:
    await asyncio.sleep(0)


async def _note(run: _Run, scope: _Scope, note: Note) -> None:
    task: Any = asyncio.current_task()
    run.note(scope.label, run.me(), task.cancelling(), *(variable.get() for variable in _variables))


async def _assign(run: _Run, scope: _Scope, assign: Assign) -> None:
    _variables[assign.variable].set(f"{scope.label} {assign.value}")


async def _raise(run: _Run, scope: _Scope, how: Raise) -> None:
    if how.kind == "cancelled":
        raise asyncio.CancelledError(scope.label)
    if how.kind == "quit" and sys.version_info >= (3, 12):  # 3.11 leaves the main task hanging
        raise Quit(scope.label)
    if how.kind == "group":
        raise ExceptionGroup("two", [Oops(1), ExceptionGroup("one", [ValueError(scope.label)])])
    if how.kind == "notes":
        error = Oops(scope.label)
        error.add_note("a note")
        raise error
    if how.kind == "cause":
        try:
            raise KeyError(scope.label)  # noqa: TRY301  # the cause of the next
        except KeyError as error:
            raise Oops("because of a key") from error
    raise Oops(scope.label, how.kind)


async def _return(run: _Run, scope: _Scope, what: Return) -> int:
    return what.value


async def _spawn(run: _Run, scope: _Scope, spawn: Spawn) -> None:
    label, coro = _new_task(run, scope, spawn.body, from_callback=spawn.by == "callback")
    options: dict[str, Any] = {"name": label} if spawn.named else {}
    number = run.numbers.next()
    if spawn.context != "inherited":
        copied = spawn.context == "copied"
        options["context"] = contextvars.copy_context() if copied else contextvars.Context()
    loop = asyncio.get_running_loop()
    task: Any = None
    if spawn.by in {"eager", "lazy"} and sys.version_info >= (3, 14) and not loop.get_debug():
        task = loop.create_task(coro, **options, eager_start=spawn.by == "eager")
    elif spawn.by in {"ensure_future", "eager", "lazy"}:
        task = asyncio.ensure_future(coro)
    elif spawn.by == "callback":
        loop.call_soon(asyncio.ensure_future, coro)
    elif spawn.by == "loop":
        task = loop.create_task(coro, **options)
    else:
        task = asyncio.create_task(coro, **options)
    if task is not None and run.numbers.next() == number + 1:
        run.named += 1  # it had a name before it took a number
    if task is not None:
        run.labels[task] = label
        if spawn.hold:
            scope.held.append(task)


async def _await(run: _Run, scope: _Scope, what: Await) -> None:
    task = _held(scope, what.back)
    if task is not None and not run.stopping:
        run.note(scope.label, "got", await (asyncio.shield(task) if what.shielded else task))


async def _cancel(run: _Run, scope: _Scope, cancel: Cancel) -> None:
    task = _held(scope, cancel.back)
    if task is not None:
        run.note(scope.label, "cancels", task.cancel(cancel.message), task.cancelling())


async def _cancel_me(run: _Run, scope: _Scope, cancel: CancelMe) -> None:
    task: Any = asyncio.current_task()
    task.cancel(scope.label)
    if cancel.uncancel:
        run.note(scope.label, "uncancels", task.uncancel())


async def _rename(run: _Run, scope: _Scope, rename: Rename) -> None:
    task = _held(scope, rename.back)
    if task is not None:
        task.set_name(f"renamed by {scope.label}")


async def _when_done(run: _Run, scope: _Scope, when: WhenDone) -> None:
    label = scope.label

    def done(task: Any) -> None:
        run.note(label, "sees the end of", run.plain(task.get_name()), run.me(), _variables[0].get())
        if when.raises:
            raise Oops("in a done callback")

    task = _held(scope, when.back)
    if task is not None:
        task.add_done_callback(done)


async def _peek(run: _Run, scope: _Scope, peek: Peek) -> None:
    task = _held(scope, peek.back)
    if task is None or not task.done():
        return
    run.note(scope.label, "peeks", run.plain(task.get_name()), task.cancelled())
    if not task.cancelled():
        run.note(scope.label, "sees", describe(task.exception()))


async def _forget(run: _Run, scope: _Scope, forget: Forget) -> None:
    scope.held.clear()


async def _call_soon(run: _Run, scope: _Scope, call: CallSoon) -> None:
    label = scope.label

    def callback() -> None:
        run.note(label, "called back", run.me(), _variables[0].get())
        if call.raises:
            raise Oops("in a callback")

    asyncio.get_running_loop().call_soon(callback)


async def _lose_future(run: _Run, scope: _Scope, lose: LoseFuture) -> None:
    asyncio.get_running_loop().create_future().set_exception(Oops("in a future"))


async def _lose_task(run: _Run, scope: _Scope, lose: LoseTask) -> None:
    async def forever() -> None:
        await asyncio.get_running_loop().create_future()

    asyncio.ensure_future(forever())  # type: ignore[unused-awaitable]  # noqa: RUF006  # the point of it
    await asyncio.sleep(0)


async def _never_await(run: _Run, scope: _Scope, never: NeverAwait) -> None:
    _step(run, scope, Step())  # type: ignore[unused-coroutine]  # the point of it


async def _collect(run: _Run, scope: _Scope, collect: Collect) -> None:
    gc.collect()


async def _signal(run: _Run, scope: _Scope, signal: Signal) -> None:
    run.events[signal.event].set()


async def _wait_for(run: _Run, scope: _Scope, wait: WaitFor) -> None:
    if not run.stopping:
        await run.events[wait.event].wait()
        run.note(scope.label, "was told")


async def _write(run: _Run, scope: _Scope, write: Write) -> None:
    span = trace.get_current_span()
    span.set_attribute(scope.label, "was here")
    run.note(scope.label, "in a span", span.get_span_context().is_valid)


async def _try(run: _Run, scope: _Scope, attempt: Try) -> Any:
    try:
        return await _run_block(run, scope, attempt.body)
    except asyncio.CancelledError as error:
        if attempt.catch == "exception":
            raise
        run.note(scope.label, "was cancelled", describe(error))
        if attempt.catch == "cancelled":
            raise
    except Exception as error:
        if attempt.catch != "exception":
            raise
        run.note(scope.label, "catches", describe(error))
    finally:
        if attempt.catch == "finally":
            await _run_block(run, scope, attempt.handler)
    return await _run_block(run, scope, attempt.handler)


async def _gather(run: _Run, scope: _Scope, gather: Gather) -> None:
    tasks = _create_all(run, scope, gather.bodies)
    results = await asyncio.gather(*tasks, return_exceptions=gather.return_exceptions)
    run.note(
        scope.label,
        "gathers",
        [describe(result) if isinstance(result, BaseException) else result for result in results],
    )


async def _group(run: _Run, scope: _Scope, group: Group) -> Any:
    async with asyncio.TaskGroup() as tasks:
        tasks._tasks = _Ordered()  # type: ignore[assignment]
        for body in group.bodies:
            label, coro = _new_task(run, scope, body)
            task = tasks.create_task(coro)
            run.labels[task] = label
            del task
        return await _run_block(run, scope, group.own)


# In the next two a step comes first: asyncio looks at tasks that are done already in the order of addresses.


async def _wait(run: _Run, scope: _Scope, wait: Wait) -> None:
    tasks = _create_all(run, scope, [(Step(), *body) for body in wait.bodies])
    done, _ = await asyncio.wait(tasks, return_when=wait.until)
    run.note(scope.label, "waited", [task in done for task in tasks])


async def _as_completed(run: _Run, scope: _Scope, completed: AsCompleted) -> None:
    tasks = _create_all(run, scope, [(Step(), *body) for body in completed.bodies])
    for next_one in asyncio.as_completed(tasks):
        run.note(scope.label, "next", await next_one)


async def _limited(run: _Run, scope: _Scope, limit: Timeout) -> Any:
    seconds = 0 if limit.after == "at once" else 1000
    if limit.by == "wait_for":
        return await asyncio.wait_for(_run_block(run, scope, limit.body), seconds)
    async with asyncio.timeout(seconds):
        return await _run_block(run, scope, limit.body)


async def _locked(run: _Run, scope: _Scope, locked: Locked) -> Any:
    async with run.lock:
        run.note(scope.label, "has the lock")
        return await _run_block(run, scope, locked.body)


async def _generate(run: _Run, scope: _Scope, generate: Generate) -> None:
    async def generator() -> AsyncIterator[int]:
        try:
            for number in range(3):
                yield number
                await _run_block(run, scope, generate.body)
        finally:
            run.note(scope.label, "closes the generator", run.me())
            await asyncio.sleep(0)

    async for number in generator():
        if generate.leave and number == 1:
            break


async def _spanned(run: _Run, scope: _Scope, spanned: Spanned) -> Any:
    if scope.from_callback:
        return await _run_block(run, scope, spanned.body)
    with run.tracer.start_as_current_span(scope.label):
        return await _run_block(run, scope, spanned.body)


_PERFORM: dict[type, Callable[[_Run, _Scope, Any], Coroutine[Any, Any, Any]]] = {
    Step: _step,
    Note: _note,
    Assign: _assign,
    Raise: _raise,
    Return: _return,
    Spawn: _spawn,
    Await: _await,
    Cancel: _cancel,
    CancelMe: _cancel_me,
    Rename: _rename,
    WhenDone: _when_done,
    Peek: _peek,
    Forget: _forget,
    CallSoon: _call_soon,
    LoseFuture: _lose_future,
    LoseTask: _lose_task,
    NeverAwait: _never_await,
    Collect: _collect,
    Signal: _signal,
    WaitFor: _wait_for,
    Write: _write,
    Try: _try,
    Gather: _gather,
    Group: _group,
    Wait: _wait,
    AsCompleted: _as_completed,
    Timeout: _limited,
    Locked: _locked,
    Generate: _generate,
    Spanned: _spanned,
}


async def _main(run: _Run, block: Block) -> Any:
    run.events = [asyncio.Event() for _ in range(2)]
    run.lock = asyncio.Lock()
    root = _create(run, _Scope("0", []), block)
    for _ in range(ROUNDS):
        await asyncio.sleep(0)
    run.stopping = True
    for _ in range(ROUNDS):
        left = asyncio.all_tasks() - {asyncio.current_task()}
        for task in sorted(left, key=lambda task: (run.labels.get(task, ""), run.plain(task.get_name()))):
            run.note("left over", run.plain(task.get_name()), task.cancel())
        del left
        await asyncio.sleep(0)
    return await root


def observe(
    block: Block, loops: Loops, *, tracer: trace.Tracer, debug: bool = False, handler: bool = False
) -> Seen:
    """Run the program on a loop of its own, and tell all that can be seen of it.

    Not in debug mode where tasks start eagerly: their first step has `create_task`, and so ours, in the
    stacks that are kept.
    """
    debug = debug and not loops.eager
    run = _Run(tracer)
    seen = run.seen

    def handle(loop: Any, context: dict[str, Any]) -> None:
        seen.reports.append(
            (run.plain(context["message"]), sorted(context), describe(context.get("exception")))
        )

    def new_loop() -> asyncio.AbstractEventLoop:
        loop = loops.new()
        loop.slow_callback_duration = 1e6
        if handler:
            loop.set_exception_handler(handle)
        return loop

    def see() -> None:
        with asyncio.Runner(debug=debug, loop_factory=new_loop) as runner:
            try:
                seen.outcome = runner.run(_main(run, block))
            except BaseException as error:  # noqa: BLE001  # whatever it is, both runs have to end like this
                seen.outcome = describe(error)
        gc.collect()
        seen.variables = [variable.get() for variable in _variables]

    with _Logged(run), warnings.catch_warnings(record=True) as warned, _Unraisable(run):
        warnings.simplefilter("always")
        contextvars.Context().run(see)
    seen.warned = [
        (str(each.category), run.plain(str(each.message)), each.filename, each.lineno) for each in warned
    ]
    # Two tasks are those with which a Runner closes its loop.
    seen.tasks = run.numbers.next() - run.first - (run.numbers.asked - 1) - 2 + run.named
    run.numbers.close()
    # Sorted: a task that nobody holds lives until its done callbacks have run, and it has one of ours. So
    # what is told at its death may come after what other callbacks of the same tick tell.
    for told in (seen.reports, seen.logged, seen.warned, seen.unraisable):
        told.sort(key=str)
    return seen


class _Numbers:
    """The numbers of tasks, told by tasks that never run, on a loop that never does."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self.asked = 0

    def next(self) -> int:
        """The number that the next task gets; this one takes it."""
        self.asked += 1
        coro = asyncio.sleep(0)
        task: Any = asyncio.Task(coro, loop=self._loop)
        task._log_destroy_pending = False
        coro.close()
        return int(task.get_name().rpartition("-")[2])

    def close(self) -> None:
        self._loop.close()


class _Logged(logging.Handler):
    """What asyncio logs, for as long as this is entered."""

    def __init__(self, run: _Run) -> None:
        super().__init__()
        self._run = run

    def emit(self, record: logging.LogRecord) -> None:
        self._run.seen.logged.append(self._run.plain(self.format(record)))

    def __enter__(self) -> None:
        logger = logging.getLogger("asyncio")
        logger.addHandler(self)
        logger.propagate = False

    def __exit__(self, *exception: object) -> None:
        logger = logging.getLogger("asyncio")
        logger.removeHandler(self)
        logger.propagate = True


class _Unraisable:
    """What reaches `sys.unraisablehook`, for as long as this is entered."""

    def __init__(self, run: _Run) -> None:
        self._run = run

    def __enter__(self) -> None:
        self._found = sys.unraisablehook
        sys.unraisablehook = lambda args: self._run.seen.unraisable.append(describe(args.exc_value))

    def __exit__(self, *exception: object) -> None:
        sys.unraisablehook = self._found


def statements() -> Sequence[type]:
    """Every kind of statement there is."""
    return list(_PERFORM)
