"""The directory of the sockets is this user's alone, or it is not used."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from aiotel._status.places import directories, is_answered, prepare, sweep


def test_the_runtime_directory_comes_first() -> None:
    environ = {"XDG_RUNTIME_DIR": "/run/user/7", "TMPDIR": "/var/tmp"}

    found = [str(path) for path in directories(environ, 7)]
    assert found == ["/run/user/7/aiotel", "/var/tmp/aiotel-7", "/tmp/aiotel-7"]


@pytest.mark.parametrize("value", ["", "relative", "./x"])
def test_a_runtime_directory_that_is_no_path_is_none(value: str) -> None:
    assert [str(path) for path in directories({"XDG_RUNTIME_DIR": value}, 7)] == ["/tmp/aiotel-7"]


def test_it_is_made_for_its_owner_alone(tmp_path: Path) -> None:
    prepare(tmp_path / "aiotel")
    prepare(tmp_path / "aiotel")

    assert (tmp_path / "aiotel").stat().st_mode & 0o7777 == 0o700


def test_one_that_is_open_to_others_is_refused(tmp_path: Path) -> None:
    (tmp_path / "aiotel").mkdir(mode=0o755)

    with pytest.raises(PermissionError, match="is open to other users"):
        prepare(tmp_path / "aiotel")


def test_a_link_to_a_directory_is_refused(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir(mode=0o700)
    (tmp_path / "aiotel").symlink_to(tmp_path / "mine")

    with pytest.raises(NotADirectoryError, match="is not a directory"):
        prepare(tmp_path / "aiotel")


def test_a_file_in_its_place_is_refused(tmp_path: Path) -> None:
    (tmp_path / "aiotel").write_text("")

    with pytest.raises(NotADirectoryError):
        prepare(tmp_path / "aiotel")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a directory away")
def test_one_of_another_user_is_refused(tmp_path: Path) -> None:
    (tmp_path / "aiotel").mkdir(mode=0o700)
    os.chown(tmp_path / "aiotel", 12345, 12345)

    with pytest.raises(PermissionError, match="belongs to another user"):
        prepare(tmp_path / "aiotel")


def test_sockets_of_the_dead_are_removed_and_nothing_else(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as answered, socket.socket(socket.AF_UNIX) as silent:
        for listener, name in ((answered, "11.sock"), (silent, "12.sock")):
            listener.bind(str(tmp_path / name))
        answered.listen()
        (tmp_path / "13.sock").symlink_to(tmp_path / "nowhere")
        (tmp_path / "14.txt").write_text("")
        (tmp_path / "x.sock").write_text("")
        (tmp_path / "15.sock").write_text("")

        sweep(tmp_path, alive=lambda pid: pid == 15)

        left = sorted(path.name for path in tmp_path.iterdir())
    assert left == ["11.sock", "14.txt", "15.sock", "x.sock"]


def test_whoever_runs_is_not_swept_away(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(str(tmp_path / f"{os.getpid()}.sock"))

    sweep(tmp_path)

    assert (tmp_path / f"{os.getpid()}.sock").exists()
    assert not is_answered(tmp_path / f"{os.getpid()}.sock")


def test_a_directory_that_is_not_there_is_swept_without_a_word(tmp_path: Path) -> None:
    sweep(tmp_path / "nowhere")
