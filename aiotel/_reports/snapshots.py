"""Tell a snapshot that was asked for by a signal."""

from __future__ import annotations

from .._report import Report
from .._signals import names
from ..observations import Dumped

__all__ = ["Dumps"]


class Dumps:
    """Snapshots in words: each is told."""

    def count(self, dumped: Dumped, times: int) -> None:
        """Nothing: somebody has asked."""

    def report(self, dumped: Dumped) -> Report:
        """All that fits."""
        return Report(
            name=names.SNAPSHOT,
            severity="warn",  # whoever asks wants to see it, also where no info is shown
            words=dumped.words,
            time_ns=dumped.time_ns,
            attributes={
                names.SNAPSHOT_TASKS: dumped.tasks,
                names.SNAPSHOT_COUNT: dumped.count,
                names.SNAPSHOT_LEFT_OUT: dumped.left_out,
            },
        )

    def again(self, dumped: Dumped, times: int, seconds: float) -> None:
        """Never: each is told."""
