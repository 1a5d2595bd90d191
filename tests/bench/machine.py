"""Say where and when it was measured: figures without that are worth nothing."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

import aiotel

__all__ = ["describe"]

_PACKAGES = {
    "OpenTelemetry": "opentelemetry-sdk",
    "opentelemetry-instrumentation-asyncio": "opentelemetry-instrumentation-asyncio",
    "uvloop": "uvloop",
}


def describe() -> dict[str, str]:
    """The machine, the interpreter, the versions and the date, each in words."""
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "cpu": _cpu(),
        "cores": str(os.cpu_count()),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "python": f"{platform.python_implementation()} {sys.version.split()[0]}",
        "aiotel": aiotel.__version__,
        **{name: _version(package) for name, package in _PACKAGES.items()},
    }


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not installed"


def _cpu() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:  # not Linux
        pass
    if sys.platform == "darwin":
        asked = ["sysctl", "-n", "machdep.cpu.brand_string"]
        return subprocess.run(asked, capture_output=True, text=True, check=False).stdout.strip()
    return platform.processor() or platform.machine()
