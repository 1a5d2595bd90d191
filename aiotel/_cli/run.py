"""Run a program with telemetry: `aiotel run script.py`, `aiotel run -m module`, `aiotel run -- command`.

This process becomes the program's (`exec`), and a directory put first on PYTHONPATH lets aiotel into
each Python while it starts (`_bootstrap`). Running the script in here with `runpy` was tried. It shows:
its frames stand in tracebacks, `inspect.stack()` and the place of warnings, syntax errors come with a
traceback, `__loader__`, `__builtins__`, `sys.orig_argv` and the name in `ps` are other ones, and child
processes go without telemetry. What exec costs instead: the start of a second interpreter (40 ms with
our imports), an entry in PYTHONPATH that the program and its children can see, and no telemetry where
Python ignores PYTHONPATH.
"""

import argparse
import os
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NoReturn

from .._config import Config
from .environment import BadUseError, with_options
from .speech import say

HELP = "run a program with telemetry, without changing it"

USAGE = """\
aiotel run [OPTIONS] script.py [ARGUMENT ...]
       aiotel run [OPTIONS] -m MODULE [ARGUMENT ...]
       aiotel run [OPTIONS] -- COMMAND [ARGUMENT ...]"""

EPILOG = """\
Every OTEL_* variable of OpenTelemetry works as usual; options go before the program.
AIOTEL_DISABLED=true runs the program without telemetry.

examples:
  aiotel run script.py --its --own=options
  aiotel run --endpoint http://collector:4318 -m shop.server
  aiotel run --config stack_frames=20 -- gunicorn shop:app
"""

PACKAGE = Path(__file__).parent.parent
BOOTSTRAP = str(PACKAGE / "_cli" / "_bootstrap")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options, and the program as whatever follows them."""
    parser.usage = USAGE
    parser.epilog = EPILOG
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--service-name", metavar="NAME", help="how backends call it (the program's name)")
    parser.add_argument("--endpoint", metavar="URL", help="where telemetry goes (http://localhost:4318)")
    parser.add_argument(
        "--config", metavar="FIELD=VALUE", action="append", default=[], help="a setting of aiotel.Config"
    )
    parser.add_argument("-m", dest="module", nargs=argparse.REMAINDER, help="a module, as for python -m")
    parser.add_argument("program", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)
    parser.set_defaults(refuse=parser.error)


def run(arguments: argparse.Namespace) -> int:
    """Become the program; what is returned is the status for a program that cannot be started."""
    try:
        command = _command(arguments)
        environ = with_options(
            os.environ,
            service_name=arguments.service_name,
            endpoint=arguments.endpoint,
            config=arguments.config,
        )
    except BadUseError as error:
        refuse: Callable[[str], NoReturn] = arguments.refuse
        refuse(str(error))
    if not Config.from_env(environ).disabled:
        environ["PYTHONPATH"] = os.pathsep.join(_python_path(environ.get("PYTHONPATH")))
    return _become(command, environ)


def _command(arguments: argparse.Namespace) -> list[str]:
    module: list[str] | None = arguments.module
    program: list[str] = arguments.program
    if module:
        return [*_python(), "-m", *module, *program]  # `-mshop serve` leaves "serve" to the program
    if module is not None:
        raise BadUseError("-m needs the name of a module")
    if program[:1] == ["--"] and program[1:]:
        return program[1:]
    if program in ([], ["--"]):
        raise BadUseError("there is no program to run")
    _check_script(program)
    return [*_python(), *program]


def _check_script(program: list[str]) -> None:
    try:
        Path(program[0]).stat()
    except OSError as error:
        hint = f"; for a command: aiotel run -- {shlex.join(program)}" if shutil.which(program[0]) else ""
        raise BadUseError(f"cannot open {program[0]!r}: {_reason(error)}{hint}") from None


def _python() -> list[str]:
    """This interpreter, with the flags that `python FLAGS -m aiotel` was given."""
    # Not with those of a `#!` line: the packager of the `aiotel` script chose them, for that script.
    given = sys.orig_argv[1 : len(sys.orig_argv) - len(sys.argv) + 1]
    if len(given) < 2 or given[-1] != PACKAGE.name or not given[-2].endswith("m"):
        return [sys.executable]
    if sys.flags.ignore_environment:
        say("running without telemetry: with -E or -I, Python does not look at PYTHONPATH")
    *flags, last = given[:-1]
    joined = [] if last == "-m" else [last.removesuffix("m")]  # "-Pm" is "-P -m"
    return [sys.executable, *flags, *joined]


def _python_path(given: str | None) -> list[str]:
    entries = [BOOTSTRAP]
    if given:
        entries += [entry for entry in given.split(os.pathsep) if entry != BOOTSTRAP]
    home = str(PACKAGE.parent)
    # Found by `python -m aiotel` in a clone only: the script's own Python would look elsewhere.
    if home not in sys.path[1:]:
        entries.append(home)
    return entries


def _become(command: list[str], environ: Mapping[str, str]) -> int:
    if sys.platform == "win32":  # exec there starts a second process and ends the first at once
        return subprocess.call(command, env=environ)
    # Python ignores these for itself, and exec hands that down: `yes | head` would complain.
    for ignored in (signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(ignored, signal.SIG_DFL)
    try:
        os.execvpe(command[0], command, environ)  # noqa: S606 - a shell is what it must not be
    except FileNotFoundError:
        say(f"command not found: {command[0]}")
        return 127
    except OSError as error:
        say(f"cannot run {command[0]}: {_reason(error)}")
        return 126


def _reason(error: OSError) -> str:
    return (error.strerror or str(error)).lower()
