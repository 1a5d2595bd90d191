"""Count every observation, and tell each sort of them in its own words: once, then as numbers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any, Protocol

from .._complaints import complaints
from .._repeats import Again, Repeats
from .._report import Report

__all__ = ["Reports", "Sort"]


class Sort(Protocol):
    """What is counted and told of one sort of observation."""

    def count(self, observation: Any, times: int) -> None:
        """Count it as having happened so many times."""

    def report(self, observation: Any) -> Report | None:
        """What is told of it; None where nothing is."""

    def again(self, observation: Any, times: int, seconds: float) -> Report | None:
        """What is told where it happened again so many times, in so many seconds."""


class Reports:
    """Tells observations; runs on the pump's thread."""

    def __init__(
        self,
        sorts: Mapping[type, Sort],
        repeats: Repeats[Any],
        log: Callable[[Report], None],
        *,
        clock_ns: Callable[[], int],
    ) -> None:
        self._sorts = sorts
        self._repeats = repeats
        self._log = log
        self._clock_ns = clock_ns

    def tell(self, observations: Iterable[Any], *, last: bool = False) -> None:
        """Count and log each one, and what came again; for the `last` time whatever is not told yet."""
        for observation in observations:
            sort = self._sorts[type(observation)]
            sort.count(observation, 1)
            self._guarded(sort.report, observation)
        for again in self._repeats.look(last=last):
            sort = self._sorts[type(again.first)]
            sort.count(again.first, again.count)
            if again.untold:
                self._guarded(self._again, sort, again)

    def _again(self, sort: Sort, again: Again[Any]) -> Report | None:
        report = sort.again(again.first, again.untold, again.seconds)
        return None if report is None else replace(report, time_ns=self._clock_ns(), context=None)

    def _guarded(self, make: Callable[..., Report | None], *arguments: Any) -> None:
        try:
            report = make(*arguments)
            if report is not None:
                self._log(report)
        except Exception as error:  # noqa: BLE001  # a sink that fails does not silence the next report
            complaints.add("reports", f"a failure could not be told: {error!r}")
