"""Tell whose a file of code is: Python's own, an installed package's, or the program's."""

from __future__ import annotations

import re
import sysconfig
from os.path import sep
from typing import Final

__all__ = ["is_library", "is_package", "is_standard"]

_STANDARD: Final = (
    "<frozen ",
    *{path + sep for name, path in sysconfig.get_paths().items() if name in ("stdlib", "platstdlib")},
)
_PACKAGES: Final = (f"{sep}site-packages{sep}", f"{sep}dist-packages{sep}")
_LIBRARY: Final = re.compile(
    r"[/\\](?:site-packages|dist-packages|lib[/\\]python\d[\d.]*|Lib)[/\\]|^<frozen "
)


def is_package(file: str) -> bool:
    """Whether it belongs to an installed package."""
    return any(folder in file for folder in _PACKAGES)


def is_standard(file: str) -> bool:
    """Whether it belongs to the library of this Python; packages are below that, too."""
    return file.startswith(_STANDARD) and not is_package(file)


def is_library(file: str) -> bool:
    """Whether its path is one of a package or of some Python's library, be it on another machine."""
    return bool(_LIBRARY.search(file))
