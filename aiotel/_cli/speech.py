"""Say one line to the user, on stderr: a program's stdout is its own."""

import contextlib
import sys


def say(line: str) -> None:
    """Write one line; never fail, whatever has become of stderr."""
    if sys.stderr is None:  # closed before Python started
        return
    with contextlib.suppress(OSError, ValueError):
        sys.stderr.write(f"aiotel: {line}\n")
        sys.stderr.flush()
