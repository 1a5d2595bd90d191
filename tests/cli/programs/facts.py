"""Tell everything a program can find out about how it was started."""

import asyncio
import inspect
import os
import signal
import sys
import threading
import warnings
from pathlib import Path

# What `aiotel run` sets for the program's children, and what a shell sets anew each time.
OURS = {"PYTHONPATH", "OTEL_SERVICE_NAME", "_AIOTEL_SERVICE_NAME", "_"}

STREAM_FACTS = ("name", "mode", "encoding", "errors", "line_buffering", "write_through")

main = sys.modules["__main__"]
facts = {
    "argv": sys.argv,
    "original argv": sys.orig_argv[1:],
    "path": sys.path,
    "flags": sys.flags,
    "x options": sys._xoptions,
    "warn options": sys.warnoptions,
    "warning filters": warnings.filters,
    "executable": sys.executable,
    "directory": Path.cwd(),
    "environment": {name: value for name, value in os.environ.items() if name not in OURS},
    "umask": os.umask(0o22),
    "signals": {name: signal.getsignal(name) for name in (signal.SIGINT, signal.SIGTERM, signal.SIGPIPE)},
    "signal mask": signal.pthread_sigmask(signal.SIG_BLOCK, ()),
    "stack": [frame.function for frame in inspect.stack()],
    "main": (
        vars(main) is globals(),
        __name__,
        __file__,
        __spec__,
        __package__,
        type(main.__loader__),
        type(__builtins__),
        sorted(name for name in globals() if name.startswith("__")),
    ),
    "streams": [
        [getattr(stream, fact) for fact in STREAM_FACTS] for stream in (sys.stdin, sys.stdout, sys.stderr)
    ],
    "import": (sys.meta_path, sys.path_hooks, sys.dont_write_bytecode, sys.pycache_prefix),
    "limits": (sys.getrecursionlimit(), sys.getswitchinterval()),
    "site": [name for name in sys.modules if "customize" in name],
    "asyncio": (asyncio.__spec__, asyncio.__loader__, type(asyncio.tasks.__loader__)),
    "trace": (sys.gettrace(), sys.getprofile(), threading.main_thread() is threading.current_thread()),
}
for name, fact in facts.items():
    print(f"{name}: {fact}")
