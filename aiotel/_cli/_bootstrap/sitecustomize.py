"""Let aiotel into every Python that a command starts, before its program begins.

`aiotel run` puts this directory first on PYTHONPATH, and each Python imports `sitecustomize` while it
starts. Any Python may: one of another virtual environment, 3.10, 2.7. So nothing newer than that here.
"""
# ruff: noqa: INP001 - a directory for PYTHONPATH, not a package

import os
import sys

_here = os.path.dirname(os.path.abspath(__file__))  # noqa: PTH100, PTH120 - no pathlib in Python 2.7
sys.path[:] = [_entry for _entry in sys.path if _entry != _here]
# Held by a name: Python 2.7 empties a module that leaves sys.modules as its last reference goes.
_this = sys.modules.pop("sitecustomize", None)
try:
    # The one that ours hides. Where there is none, the ImportError is what Python expects and passes over.
    __import__("sitecustomize")
finally:
    if sys.version_info >= (3, 11):  # noqa: UP036 - read by Pythons that aiotel does not support
        try:
            from aiotel._cli.child import start

            start()
        except Exception:  # noqa: BLE001, S110 - not installed here, or not fit to run: not this program's affair
            pass
