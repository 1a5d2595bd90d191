"""`make` sets up what it needs, or says in one line what is missing."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
A_PYTHON = """
case "$*" in
    *realpath*) echo "$0" ;;
    *version_info*) echo 3.12 ;;
    *sys.version*) echo 3.12.0 ;;
    "-m venv "*) mkdir -p "$3/bin" && cp "$0" "$3/bin/python" ;;
    "-m pip install "*) echo "$*" >>installed && [ ! -e out-of-reach ] ;;
esac
"""
WITHOUT_ENSUREPIP = A_PYTHON.replace('"-m venv "*)', "-m*) exit 1 ;;\n    never)")
Setup = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A clone in a place with spaces, as far as the script looks at it."""
    clone = tmp_path / "a clone"
    (clone / ".ci").mkdir(parents=True)
    for name in (".ci/venv", "pyproject.toml"):
        shutil.copy(ROOT / name, clone / name)
    return clone


@pytest.fixture
def set_up(clone: Path) -> Setup:
    """Run the script on a machine with nothing but a shell's tools, and these programs."""
    tools = clone.parent / "tools"
    tools.mkdir()
    for name in ("cat", "cksum", "cp", "dirname", "ls", "mkdir", "rm", "tr"):
        (tools / name).symlink_to(shutil.which(name) or name)

    def set_up(**programs: str) -> subprocess.CompletedProcess[str]:
        for name, text in programs.items():
            (tools / name).write_text(f"#!/bin/sh\n{text}\n")
            (tools / name).chmod(0o755)
        environment = {"PATH": os.fspath(tools), "HOME": "/nonexistent"}
        command = ["/bin/sh", ".ci/venv"]
        return subprocess.run(
            command, cwd=clone, env=environment, capture_output=True, text=True, check=False
        )

    return set_up


def test_without_a_python_one_line_says_what_to_install(set_up: Setup) -> None:
    ran = set_up()

    assert ran.returncode == 1
    assert ran.stderr.splitlines() == [
        "Found no Python that will do: install CPython 3.11 or newer (or uv, and: uv python install)."
    ]


def test_a_python_that_is_too_old_or_only_a_shim_is_not_one(set_up: Setup) -> None:
    ran = set_up(
        python3="exit 1", **{"python3.13": "echo 'pyenv: python3.13: command not found' >&2; exit 127"}
    )

    assert ran.returncode == 1
    assert ran.stderr.startswith("Found no Python that will do")


def test_a_python_that_no_environment_can_be_made_with_is_named(set_up: Setup, clone: Path) -> None:
    ran = set_up(python3=WITHOUT_ENSUREPIP)

    python = clone.parent / "tools" / "python3"
    assert ran.returncode == 1
    assert len(ran.stderr.splitlines()) == 1
    assert ran.stderr.startswith(
        f"Found Python 3.12 ({python}), but nothing to make a virtual environment with"
    )
    assert not (clone / ".venv").exists()


def test_the_newest_python_is_taken_that_an_environment_can_be_made_with(set_up: Setup) -> None:
    ran = set_up(**{"python3.11": "exit 127", "python3.12": A_PYTHON, "python3.13": WITHOUT_ENSUREPIP})

    assert ran.returncode == 0
    assert ran.stderr.startswith("Setting up .venv with Python 3.12")


def test_the_second_time_there_is_nothing_to_do(set_up: Setup, clone: Path) -> None:
    set_up(python3=A_PYTHON)

    again = set_up()

    assert (again.returncode, again.stderr) == (0, "")
    assert len((clone / "installed").read_text().splitlines()) == 1


def test_another_pyproject_is_set_up_anew(set_up: Setup, clone: Path) -> None:
    set_up(python3=A_PYTHON)
    with (clone / "pyproject.toml").open("a") as file:
        file.write("# another\n")

    set_up()

    assert len((clone / "installed").read_text().splitlines()) == 2


def test_what_could_not_be_installed_is_tried_again(set_up: Setup, clone: Path) -> None:
    (clone / "out-of-reach").touch()
    failed = set_up(python3=A_PYTHON)
    (clone / "out-of-reach").unlink()

    again = set_up()

    assert failed.returncode == 1
    assert failed.stderr.splitlines()[-1].startswith("Could not set up .venv")
    assert again.returncode == 0
    assert len((clone / "installed").read_text().splitlines()) == 2
