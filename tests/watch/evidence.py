"""Hand-made evidence: stacks, samples and glimpses that no loop has seen."""

from __future__ import annotations

from types import CodeType

from aiotel._inspect.stacks import Place
from aiotel._watch.evidence import Glimpse, Sample
from aiotel._watch.kernel import Call

MS = 1_000_000


def code_of(name: str, file: str, body: str = "pass") -> CodeType:
    """The code of a function with this name, from this file."""
    namespace: dict[str, object] = {}
    exec(compile(f"def {name}():\n {body}\n {body}\n", file, "exec"), namespace)
    code: CodeType = namespace[name].__code__  # type: ignore[attr-defined]  # a function
    return code


class Places:
    """Makes places; the same function is the same code."""

    def __init__(self) -> None:
        self._codes: dict[tuple[str, str, str], CodeType] = {}

    def __call__(self, function: str, file: str = "/srv/app.py", *, body: str = "pass", at: int = 2) -> Place:
        """The place in `module.name`, at this instruction."""
        module, _, name = function.rpartition(".")
        code = self._codes.setdefault((function, file, body), code_of(name, file, body))
        return Place(code, at, module)

    def stack(self, *functions: str) -> tuple[Place, ...]:
        """Of the program's functions, outermost first."""
        return tuple(self(function) for function in functions)


def samples(
    *stacks: tuple[Place, ...], call: Call | None = "running", task_id: int = 1, apart_ns: int = 100 * MS
) -> list[Sample]:
    """Looks at these stacks, one after another."""
    return [Sample(number * apart_ns, stack, call, task_id) for number, stack in enumerate(stacks)]


def glimpses(*seen: tuple[int, int], apart_ns: int = 10 * MS) -> list[Glimpse]:
    """Which task ran and how many callbacks waited, one look after another."""
    return [Glimpse(number * apart_ns, task, waiting) for number, (task, waiting) in enumerate(seen)]
