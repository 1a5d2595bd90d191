"""A real OTLP receiver in a child process, where its own CPU time is nobody's cost."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Self

from aiotel.testing import Receiver

__all__ = ["Sink"]

ROOT = Path(__file__).parents[2]


class Sink:
    """The child process, and how many spans have arrived there."""

    def __init__(self) -> None:
        self._child = subprocess.Popen(
            [sys.executable, "-m", "tests.bench.sink"],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.endpoint = self._read()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._child.communicate(timeout=60)

    def spans(self) -> int:
        """How many spans have arrived since the child started."""
        assert self._child.stdin is not None
        self._child.stdin.write("\n")
        self._child.stdin.flush()
        return int(self._read())

    def _read(self) -> str:
        assert self._child.stdout is not None
        return self._child.stdout.readline().strip()


def serve() -> None:
    """Say the endpoint, then the number of spans for each line that comes, until there are no more."""
    with Receiver(limit=1) as receiver:
        print(receiver.endpoint, flush=True)
        for _ in sys.stdin:
            print(receiver.counts.spans, flush=True)


if __name__ == "__main__":
    serve()
