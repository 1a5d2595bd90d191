"""Run programs as a user would, and keep what they did."""

import os
import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PROGRAMS = Path(__file__).parent / "programs"
AIOTEL = (sys.executable, "-m", "aiotel")

DEADLINE = 50.0

# Telemetry is made and goes nowhere: what the program does is looked at, not what is sent.
SENDING_NOTHING = {f"OTEL_{signal}_EXPORTER": "none" for signal in ("TRACES", "METRICS", "LOGS")}


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a process left behind; a negative status is the signal that ended it."""

    status: int
    stdout: str
    stderr: str


def run(
    *command: str | Path,
    environ: Mapping[str, str] = SENDING_NOTHING,
    directory: Path = PROGRAMS,
    stdin: str = "",
) -> Outcome:
    """Run a command to its end, in a small environment in which Python finds this aiotel."""
    with start(*command, environ=environ, directory=directory) as process:
        stdout, stderr = process.communicate(stdin.encode(), timeout=DEADLINE)
    return Outcome(status=process.returncode, stdout=_text(stdout), stderr=_text(stderr))


def start(
    *command: str | Path, environ: Mapping[str, str] = SENDING_NOTHING, directory: Path = PROGRAMS
) -> subprocess.Popen[bytes]:
    """Start a command with pipes for its three streams."""
    small = {name: os.environ[name] for name in ("PATH", "HOME", "SYSTEMROOT") if name in os.environ}
    return subprocess.Popen(
        [*map(str, command)],
        env={**small, "PYTHONPATH": str(ROOT), **environ},
        cwd=directory,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def aiotel_run(
    *program: str | Path,
    environ: Mapping[str, str] = SENDING_NOTHING,
    directory: Path = PROGRAMS,
    stdin: str = "",
) -> Outcome:
    """Run `aiotel run PROGRAM`."""
    return run(*AIOTEL, "run", *program, environ=environ, directory=directory, stdin=stdin)


def _text(output: bytes) -> str:
    """Addresses of objects are different in each run."""
    return re.sub(r"\b0x[0-9a-f]{6,}", "0x…", output.decode())
