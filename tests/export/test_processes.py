"""A child process has telemetry of its own, and says who it is."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from aiotel.testing import Receiver

FORKS = """
import asyncio, multiprocessing, os

async def leaf():
    await asyncio.sleep(0)

async def work():
    await asyncio.gather(leaf(), leaf())

if __name__ == "__main__":
    asyncio.run(leaf())
    {fork}
"""
BY_MULTIPROCESSING = """
    child = multiprocessing.get_context("fork").Process(target=lambda: asyncio.run(work()))
    child.start()
    child.join()
"""
BY_HAND = """
    pid = os.fork()
    asyncio.run(work()) if pid == 0 else os.waitpid(pid, 0)
"""


@pytest.mark.parametrize("fork", [BY_MULTIPROCESSING, BY_HAND])
@pytest.mark.skipif(sys.platform == "win32", reason="there is no fork")
@pytest.mark.slow
def test_a_forked_child_sends_its_own_and_nothing_twice(tmp_path: Path, fork: str) -> None:
    script = tmp_path / "forks.py"
    script.write_text(FORKS.format(fork=fork.strip()))
    with Receiver() as receiver:
        command = [sys.executable, "-m", "aiotel", "run", "--endpoint", receiver.endpoint, str(script)]
        ended = subprocess.run(command, capture_output=True, text=True, timeout=50, check=False)

        assert (ended.returncode, ended.stdout) == (0, "")
        assert sorted(trace.outline() for trace in receiver.traces()) == [
            ["leaf"],
            ["work", "  leaf", "  leaf"],
        ]
        pids = {
            span.name: span.resource["process.pid"] for span in receiver.spans if span.parent_span_id is None
        }
        assert pids["leaf"] != pids["work"]
