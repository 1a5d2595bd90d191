"""Snapshots that never were: small ones to be told apart, and as large as is wanted."""

from __future__ import annotations

from hypothesis import strategies as st

from aiotel._snapshot import Held, LoopView, Primitive, Snapshot, State, TaskView, Waiting
from aiotel.observations import Frame, TaskFacts

NOW_NS = 100_000_000_000


def frame(line: int = 1, file: str = "/srv/bank.py", function: str = "bank.pay") -> Frame:
    return Frame(file=file, line=line, function=function)


def lock(number: int) -> Primitive:
    return Primitive(id=number, kind="lock", name="Lock", limit=1)


def task(
    number: int,
    *,
    name: str | None = None,
    function: str = "bank.pay",
    state: State = "waiting",
    waiting: Waiting | None = None,
    holds: tuple[Primitive, ...] = (),
    stack: tuple[Frame, ...] = (),
) -> TaskView:
    return TaskView(
        id=number,
        loop=0,
        task=TaskFacts(name=f"Task-{number}" if name is None else name, function=function),
        state=state,
        created_ns=number,
        waiting=waiting,
        holds=tuple(Held(primitive=each, at=frame(number)) for each in holds),
        stack=stack,
    )


def waiting_for(*tasks: int, kind: str = "task", primitive: Primitive | None = None) -> Waiting:
    kind = kind if primitive is None else primitive.kind
    return Waiting(
        kind=kind,  # type: ignore[arg-type]  # one of them
        since_ns=NOW_NS - 2_000_000_000,
        at=frame(12),
        tasks=tasks,
        primitive=primitive,
    )


def snapshot(*tasks: TaskView, left_out: int = 0, stuck_ns: int = 0) -> Snapshot:
    loop = LoopView(
        number=0,
        kind="asyncio.unix_events._UnixSelectorEventLoop",
        thread="MainThread",
        running=True,
        stuck_ns=stuck_ns,
        tasks=len(tasks) + left_out,
    )
    return Snapshot(
        time_ns=1_800_000_000_000_000_000, now_ns=NOW_NS, loops=(loop,), tasks=tasks, left_out=left_out
    )


def abba(first: str = "alice", second: str = "bob") -> Snapshot:
    """Two that wait for each other's lock, one behind them, and who waits for all of them."""
    a, b = lock(101), lock(102)
    return snapshot(
        task(1, name="main", function="bank.main", waiting=waiting_for(2, 3, 4, kind="task group")),
        task(2, name=first, waiting=waiting_for(primitive=b), holds=(a,)),
        task(3, name=second, waiting=waiting_for(primitive=a), holds=(b,)),
        task(4, name="audit", function="bank.audit", waiting=waiting_for(primitive=a)),
    )


def _snapshots() -> st.SearchStrategy[Snapshot]:
    names = st.text(max_size=20)
    numbers = st.integers(0, 2**63 - 1)
    frames = st.builds(Frame, file=names, line=st.integers(0, 10**6), function=names)
    primitives = st.builds(
        Primitive,
        id=st.integers(1, 6),
        kind=st.sampled_from(["lock", "semaphore", "queue"]),
        name=names,
        limit=st.none() | st.integers(1, 9),
        exact=st.booleans(),
    )
    waits = st.builds(
        Waiting,
        kind=st.sampled_from(["task", "gather", "lock", "sleep", "io", "unknown"]),
        since_ns=numbers,
        at=st.none() | frames,
        tasks=st.lists(st.integers(1, 6), max_size=3).map(tuple),
        primitive=st.none() | primitives,
        deadline_ns=st.none() | numbers,
        what=names,
        complete=st.booleans(),
    )
    facts = st.builds(
        TaskFacts,
        name=names,
        function=names,
        trace_id=st.integers(0, 2**128 - 1),
        span_id=st.integers(0, 2**64 - 1),
        sampled=st.booleans(),
        created_file=st.none() | names,
        created_line=st.none() | st.integers(0, 10**6),
        created_function=st.none() | names,
    )
    helds = st.builds(Held, primitive=primitives, at=st.none() | frames, certain=st.booleans())
    views = st.builds(
        TaskView,
        id=st.integers(1, 6),
        loop=st.integers(0, 2),
        task=facts,
        state=st.sampled_from(["running", "ready", "waiting", "not started"]),
        created_ns=numbers,
        waiting=st.none() | waits,
        holds=st.lists(helds, max_size=2).map(tuple),
        stack=st.lists(frames, max_size=3).map(tuple),
    )
    loops = st.builds(
        LoopView,
        number=st.integers(0, 2),
        kind=names,
        thread=names,
        running=st.booleans(),
        stuck_ns=numbers,
        tasks=st.integers(0, 100),
    )
    return st.builds(
        Snapshot,
        time_ns=numbers,
        now_ns=numbers,
        loops=st.lists(loops, max_size=2).map(tuple),
        tasks=st.lists(views, max_size=6).map(tuple),
        left_out=st.integers(0, 100),
    )


snapshots = _snapshots()
"""Any snapshot, also those that make no sense."""
