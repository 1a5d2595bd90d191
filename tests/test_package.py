"""The package is what its metadata, its documents and its continuous integration say."""

from __future__ import annotations

import re
import tomllib
from importlib import metadata
from pathlib import Path

import pytest

import aiotel

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def test_the_version_is_the_one_that_is_installed() -> None:
    assert metadata.version("aiotel") == aiotel.__version__


def test_type_checkers_may_read_our_annotations() -> None:
    assert (Path(aiotel.__file__).parent / "py.typed").is_file()


@pytest.mark.parametrize("script", [".ci/run", ".ci/venv"])
def test_every_python_that_is_promised_is_tested_and_set_up(script: str) -> None:
    loops = re.findall(r"^ *for version in (.+); do$", (ROOT / script).read_text(), re.MULTILINE)

    promised = [line.rpartition(" ")[2] for line in PROJECT["classifiers"] if re.search(r":: 3\.\d+$", line)]
    assert promised == sorted(" ".join(loops).split(), key=lambda version: int(version.partition(".")[2]))


def test_the_oldest_python_is_the_one_that_everything_is_checked_for() -> None:
    tool = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]

    assert PROJECT["requires-python"] == ">=3.11"
    assert tool["mypy"]["python_version"] == "3.11"
    assert tool["ruff"]["target-version"] == "py311"


def test_nothing_of_contribs_is_a_hard_dependency() -> None:
    assert [line for line in PROJECT["dependencies"] if "instrumentation" in line or "contrib" in line] == []


def test_the_readme_leads_with_the_demo_and_the_tests() -> None:
    block = re.search(r"^```\w*\n(.*?)^```", (ROOT / "README.md").read_text(), re.MULTILINE | re.DOTALL)

    assert block is not None
    assert [" ".join(line.split()[:2]) for line in block[1].splitlines()] == ["make demo", "make test"]
