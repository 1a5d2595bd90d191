"""See coroutines, tasks and async generators that do not live as they should: who looks when."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from .._borrowed import Returns
from .._ledger import Ledger
from .._mailbox import Mailbox
from .._repeats import Repeats
from .asyncgens import Generators
from .coroutines import Coroutines
from .destroyed import Destroyed
from .loops import Detach
from .origins import Origins
from .unstarted import Starts

__all__ = ["Lives"]


class Lives:
    """Those that look, as one."""

    def __init__(
        self,
        mailbox: Mailbox[Any],
        repeats: Repeats[Any],
        ledger_of: Callable[[Any], Ledger | None],
        wall_ns: Callable[[int], int],
        returns: Returns,
        *,
        only: Any,
        origins: bool,
    ) -> None:
        self._origins = Origins(ledger_of, returns, wanted=origins)
        self._coroutines = Coroutines(mailbox, repeats, ledger_of, wall_ns, self._origins, only=only)
        self._starts = Starts(mailbox, repeats, wall_ns)
        self._destroyed = Destroyed(
            mailbox,
            repeats,
            ledger_of,
            wall_ns,
            forgive=self._coroutines.forgive,
            was_told=self._starts.was_told,
        )
        self._generators = Generators(mailbox, repeats, wall_ns)

    def attach(self) -> Detach:
        """See coroutines go; gives back what undoes it."""
        detach_coroutines = self._coroutines.attach()

        def detach() -> None:
            detach_coroutines()
            self._origins.close()

        return detach

    def without_exception(self, loop: Any, context: Mapping[str, Any]) -> bool:
        """Look at what asyncio tells and that is no exception; False where it is not about a life."""
        return self._destroyed.observe(loop, context)

    def loop_closes(self, loop: Any, ledger: Ledger) -> None:
        """Look at all of a loop that is about to be closed, on the thread that does it."""
        self._starts.loop_closes(ledger)
        self._destroyed.loop_closes(ledger)
        self._generators.loop_closes(loop)
        self._origins.end_here()

    def look(self, ledgers: Iterable[Ledger]) -> None:
        """Look at what does not make itself heard. On the pump's thread."""
        self._starts.look(ledgers)
        self._origins.look()
        self.tell()

    def tell(self) -> None:
        """Tell what waits to be told."""
        self._coroutines.look()

    def conclude(self, ledgers: Iterable[Ledger], *, certain: bool) -> None:
        """Look for the last time; `certain` says that nothing will run any more."""
        self._starts.conclude(ledgers, certain=certain)

    def forget(self) -> None:
        """In a child process: what was seen is the parent's to tell."""
        self._coroutines.forget()
