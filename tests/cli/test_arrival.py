"""What waits for asyncio notices it at the right moment, and does not show in the modules that it watches."""

import importlib
import importlib.util
import sys
import threading
from collections.abc import Iterator
from importlib.machinery import SourceFileLoader
from pathlib import Path

import pytest

from aiotel._cli.arrival import Arrival

PACKAGES = {"awaited", "outer"}


@pytest.fixture
def told() -> list[str]:
    return []


@pytest.fixture
def place(tmp_path: Path, told: list[str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A directory on the path; what is imported from it is forgotten at the end."""
    monkeypatch.syspath_prepend(tmp_path)
    arrival = Arrival(lambda: told.append("arrived"), packages=PACKAGES)
    monkeypatch.setattr(sys, "meta_path", [arrival, *sys.meta_path])
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        del sys.modules[name]


def test_it_is_told_once_and_then_the_finder_has_left(place: Path, told: list[str]) -> None:
    (place / "awaited").mkdir()
    (place / "awaited" / "__init__.py").touch()
    (place / "awaited" / "part.py").touch()

    importlib.import_module("awaited")
    importlib.import_module("awaited.part")

    assert told == ["arrived"]
    assert [finder for finder in sys.meta_path if isinstance(finder, Arrival)] == []


def test_other_modules_do_not_matter(place: Path, told: list[str]) -> None:
    (place / "other.py").touch()

    importlib.import_module("other")

    assert told == []


def test_a_package_that_imports_the_awaited_one_is_complete_first(place: Path, told: list[str]) -> None:
    (place / "awaited.py").touch()
    (place / "outer.py").write_text("import awaited\nraise RuntimeError('not yet')\n")
    with pytest.raises(RuntimeError, match="not yet"):
        importlib.import_module("outer")
    assert told == []

    (place / "outer.py").write_text("import awaited\ncomplete = True\n")
    importlib.import_module("outer")

    assert told == ["arrived"]


def test_the_modules_have_their_real_loaders(place: Path) -> None:
    (place / "awaited.py").write_text("during = type(__loader__), type(__spec__.loader)\n")
    assert importlib.util.find_spec("awaited") is not None

    module = importlib.import_module("awaited")

    assert (module.during, type(module.__loader__)) == (
        (SourceFileLoader, SourceFileLoader),
        SourceFileLoader,
    )


def test_a_specification_that_is_only_looked_at_serves_like_the_real_one(
    place: Path, told: list[str]
) -> None:
    (place / "awaited.py").write_text("answer = 42\n")

    spec = importlib.util.find_spec("awaited")

    assert spec is not None
    assert spec.loader.get_source("awaited") == "answer = 42\n"  # type: ignore[union-attr]  # as files have it
    assert told == []


def test_another_thread_that_is_half_way_is_waited_for(place: Path, told: list[str]) -> None:
    half_way, go_on = threading.Event(), threading.Event()
    sys.modules["events"] = module = type(sys)("events")
    vars(module).update(half_way=half_way, go_on=go_on)
    (place / "outer.py").write_text("import events\nevents.half_way.set()\nevents.go_on.wait(20)\n")
    (place / "awaited.py").touch()
    thread = threading.Thread(target=importlib.import_module, args=["outer"])
    thread.start()
    assert half_way.wait(20)

    importlib.import_module("awaited")
    told_early = list(told)
    go_on.set()
    thread.join()

    assert (told_early, told) == ([], ["arrived"])
