"""What the README shows is so."""

from __future__ import annotations

import dataclasses
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from aiotel import Config
from aiotel.testing import Receiver

README = (Path(__file__).parent.parent / "README.md").read_text()


def _block(language: str) -> str:
    found = re.search(rf"^```{language}\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
    assert found is not None
    return found[1]


@pytest.mark.slow
def test_the_example_gives_the_trace_that_is_shown(tmp_path: Path) -> None:
    script = tmp_path / "example.py"
    script.write_text(_block("python"))
    with Receiver() as receiver:
        environ = {**os.environ, "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.endpoint}
        subprocess.run([sys.executable, str(script)], env=environ, check=True, timeout=50)

        shown = [line for line in _block("text").splitlines() if "✓" in line]
        outlines = [line for trace in receiver.traces() for line in trace.outline()]
    assert [line.strip() for line in outlines] == [
        re.split(r"\s{2,}", line.partition("✓ ")[2])[0] for line in shown
    ]
    assert outlines == ["main", "  fetch", "  fetch", "  fetch"]


def test_the_settings_are_all_there() -> None:
    table = (Path(__file__).parents[1] / "docs/settings.md").read_text()
    rows = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `")]
    named = [name for row in rows for name in re.findall(r"`(\w+)`", row)]

    assert named == [field.name for field in dataclasses.fields(Config)]


@pytest.mark.parametrize("page", re.findall(r"\]\(([\w./-]+\.md)\)", README))
def test_pages_that_are_linked_are_there(page: str) -> None:
    assert (Path(__file__).parents[1] / page).is_file()


def test_the_readme_is_short() -> None:
    assert len(README.splitlines()) <= 150
