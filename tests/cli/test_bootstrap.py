"""aiotel gets into every Python that a command starts, and disturbs none."""

import os
import sys
import venv
from pathlib import Path

import pytest

from aiotel._cli.run import BOOTSTRAP

from .processes import PROGRAMS, ROOT, SENDING_NOTHING, Outcome, aiotel_run, run


def with_and_without(site: Path, *command: str) -> tuple[Outcome, Outcome]:
    # Not by `aiotel run`: its own Python has the same sitecustomize, and would tell of it once more.
    outcomes = [
        run(*command, environ={**SENDING_NOTHING, "PYTHONPATH": os.pathsep.join(path)})
        for path in ([BOOTSTRAP, str(site), str(ROOT)], [str(site), str(ROOT)])
    ]
    return outcomes[0], outcomes[1]


def test_the_sitecustomize_that_it_hides_runs_as_if_it_were_alone(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text("print('customized', __name__, __file__)\n")
    look = "import sys; print(sys.modules['sitecustomize'], sys.path)"

    outcome, plain = with_and_without(tmp_path, sys.executable, "-c", look)

    assert plain == outcome
    assert outcome.stdout.startswith("customized sitecustomize ")


def test_a_sitecustomize_that_fails_is_reported_as_without_aiotel(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text("raise ValueError('broken')\n")
    look = "import sys; print('sitecustomize' in sys.modules, sys.path)"

    outcome, plain = with_and_without(tmp_path, sys.executable, "-c", look)

    assert plain == outcome
    assert "ValueError: broken" in outcome.stderr


def test_a_python_that_has_no_aiotel_is_left_alone(tmp_path: Path) -> None:
    venv.create(tmp_path, symlinks=True)
    look = "import sys; print([name for name in sys.modules if 'aiotel' in name], sys.path[0])"

    outcome = run(tmp_path / "bin" / "python", "-c", look, environ={"PYTHONPATH": BOOTSTRAP})

    assert outcome == Outcome(status=0, stdout="[] \n", stderr="")


@pytest.mark.parametrize(
    ("program", "name"),
    [
        (["variables.py"], ["variables"]),
        (["-m", "variables"], ["variables"]),
        (["-m", "tests.cli.programs.variables", "x"], ["tests.cli.programs.variables"]),
        (["--", sys.executable, "-W", "ignore", "variables.py", "x"], ["variables"]),
        (["--", sys.executable, "-c", "import variables"], []),
        (["starts.py", "variables.py"], ["variables"]),
        (["starts.py", "-c", "import variables"], ["starts"]),
    ],
)
def test_a_service_without_a_name_has_the_name_of_its_program(program: list[str], name: list[str]) -> None:
    outcome = aiotel_run(*program, environ={"AIOTEL_EXPORT": "false"})

    expected = ["AIOTEL_EXPORT=false", *(f"OTEL_SERVICE_NAME={each}" for each in name)]
    assert outcome == Outcome(status=0, stdout=f"{expected}\n", stderr="")


@pytest.mark.parametrize(
    "variable", ["OTEL_SERVICE_NAME=shop", "OTEL_RESOURCE_ATTRIBUTES=team=a,service.name=shop"]
)
def test_a_service_with_a_name_keeps_it(variable: str) -> None:
    name, _, value = variable.partition("=")
    outcome = aiotel_run("variables.py", environ={"AIOTEL_EXPORT": "false", name: value})

    expected = ["AIOTEL_EXPORT=false", variable]
    assert outcome == Outcome(status=0, stdout=f"{expected}\n", stderr="")


@pytest.mark.parametrize("program", [["shop"], ["shop/__main__.py"], ["-m", "shop"]])
def test_a_service_has_the_name_of_its_package(program: list[str], tmp_path: Path) -> None:
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "__main__.py").symlink_to(PROGRAMS / "variables.py")

    outcome = aiotel_run(*program, environ={"AIOTEL_EXPORT": "false"}, directory=tmp_path)

    expected = ["AIOTEL_EXPORT=false", "OTEL_SERVICE_NAME=shop"]
    assert outcome == Outcome(status=0, stdout=f"{expected}\n", stderr="")


def test_a_program_without_asyncio_pays_for_nothing() -> None:
    costly = {"asyncio", "dataclasses", "opentelemetry", "pathlib", "threading", "typing"}
    look = f"import sys; print({costly} & sys.modules.keys())"

    outcome = aiotel_run("--", sys.executable, "-c", look)

    assert outcome == Outcome(status=0, stdout="set()\n", stderr="")


def test_a_setting_that_cannot_be_used_in_a_child_is_told_there() -> None:
    outcome = aiotel_run("--", "env", "AIOTEL_STACK_FRAMES=x", sys.executable, "tasks.py")

    complaint = "aiotel: AIOTEL_STACK_FRAMES is ignored: stack_frames must be a whole number, not 'x'\n"
    assert (outcome.status, outcome.stderr) == (0, complaint)


def test_a_program_runs_although_its_telemetry_cannot_be_set_up() -> None:
    outcome = aiotel_run("tasks.py", environ={"OTEL_BSP_MAX_QUEUE_SIZE": "-1"})

    assert (outcome.status, outcome.stdout) == (0, "[0, 1, ValueError('no such order')] []\n")
    assert (
        outcome.stderr
        == "aiotel: running without telemetry: ValueError: max_queue_size must be a positive integer.\n"
    )
