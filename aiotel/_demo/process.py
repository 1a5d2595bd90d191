"""Run the shop in a process of its own, as a user would, and listen to what it says."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from typing import IO, Self

from .destination import SERVICE

__all__ = ["ShopProcess"]

_GRACE_SECONDS = 20.0
_MAX_LINES = 2000


class ShopProcess:
    """`aiotel run -m aiotel._demo.shop`, which does not survive the `with` block.

    `tell` is called with each line of its stdout, on a thread.
    """

    def __init__(
        self, *, seconds: float, endpoint: str, environ: Mapping[str, str], tell: Callable[[str], None]
    ) -> None:
        self._seconds = seconds
        self._is_stopping = False
        self._stderr: deque[str] = deque(maxlen=_MAX_LINES)
        name = environ.get("OTEL_SERVICE_NAME") or SERVICE
        command = [sys.executable, "-m", "aiotel", "run", "--service-name", name, "--endpoint", endpoint]
        self._process = subprocess.Popen(
            [*command, "-m", f"{__package__}.shop", f"{seconds:g}"],
            env=dict(environ),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            errors="replace",
            # A Ctrl-C in the terminal reaches us alone, and we hand it on, once.
            start_new_session=True,
        )
        self._readers = [
            _reader(self._process.stdout, tell),
            _reader(self._process.stderr, self._stderr.append),
        ]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.poll() is None:
            self._process.kill()
            self.wait()

    def stop(self) -> None:
        """Press Ctrl-C for it; a second time, end it at once."""
        if self._is_stopping:
            self._process.kill()
        self._is_stopping = True
        self._process.send_signal(signal.SIGINT if os.name == "posix" else signal.SIGTERM)

    def wait(self) -> int:
        """Wait for its end; its exit status."""
        try:
            status = self._process.wait(self._seconds + _GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            status = self._process.wait()
        for reader in self._readers:
            reader.join()
        return status

    @property
    def stderr(self) -> list[str]:
        """What it wrote to stderr so far, by lines; of very many the last."""
        return list(self._stderr)


def _reader(stream: IO[str] | None, tell: Callable[[str], None]) -> threading.Thread:
    def read() -> None:
        with stream or nullcontext(()) as lines:
            for line in lines:
                tell(line.rstrip("\n"))

    thread = threading.Thread(name="aiotel-demo-reader", target=read, daemon=True)
    thread.start()
    return thread
