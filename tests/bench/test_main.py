from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.bench import runs
from tests.bench.__main__ import main, report
from tests.bench.progress import Progress
from tests.bench.samples import Plan, Sample
from tests.bench.sink import ROOT


def task(candidate: str, us: float, *, faults: tuple[str, ...] = ()) -> Sample:
    return Sample(
        measure="task",
        loop="asyncio",
        round=0,
        candidate=candidate,
        thread_us=None if faults else us,
        process_us=None if faults else us,
        tasks=900,
        faults=faults,
    )


PLAIN = task("plain", 4.0)
FACTORY = task("factory", 5.0)


@pytest.mark.slow
def test_a_whole_run_prints_a_table_and_writes_what_it_measured(tmp_path: Path) -> None:
    file = tmp_path / "bench.json"
    options = ["--quick", "--rounds", "1", "--loop", "asyncio", "--only", "aiotel-exported"]

    ran = subprocess.run(
        [sys.executable, "-m", "tests.bench", *options, "--json", file],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )

    assert (0, "round 1 of 1\nlive tasks\n") == (ran.returncode, ran.stderr)
    assert "aiotel, recorded and exported" in ran.stdout
    samples = [Sample(**each) for each in json.loads(file.read_text())["samples"]]
    assert {"plain", "factory", "aiotel-exported"} == {each.candidate for each in samples}
    assert all(each.thread_us for each in samples if each.measure == "task")


def test_a_fault_fails_the_run(capsys: pytest.CaptureFixture[str]) -> None:
    status = report([PLAIN, FACTORY, task("aiotel-metrics", 6.0, faults=("3 drops, not 0",))], ["asyncio"])

    assert 1 == status
    assert "asyncio: aiotel, metrics only: 3 drops, not 0\n" == capsys.readouterr().err


def test_a_slow_machine_fails_the_run_only_where_it_is_to_be_checked() -> None:
    samples = [PLAIN, FACTORY, task("aiotel-metrics", 9.0)]

    assert 0 == report(samples, ["asyncio"])
    assert 1 == report(samples, ["asyncio"], check=True)
    assert 0 == report([PLAIN, FACTORY, task("aiotel-metrics", 6.0)], ["asyncio"], check=True)


def test_a_name_that_no_candidate_has_is_bad_use(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exited:
        main(["--only", "aiotl"])

    assert 2 == exited.value.code
    assert "aiotel-metrics" in capsys.readouterr().err


def test_help_says_what_every_option_does(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exited:
        main(["--help"])

    assert 0 == exited.value.code
    assert "more than 10%, which may be noise" in " ".join(capsys.readouterr().out.split())


def test_rounds_are_spread_over_processes_and_the_last_one_weighs() -> None:
    plans = runs.plans(loops=("asyncio",), candidates=("plain",), rounds=7, visit_ms=1)

    assert [(0, 3, False), (3, 3, False), (6, 1, True)] == [
        (plan.first_round, plan.rounds, plan.live) for plan in plans
    ]


def test_a_plan_and_a_sample_survive_their_way_between_processes() -> None:
    plan = runs.plans(loops=("asyncio", "uvloop"), candidates=("plain",), rounds=1, visit_ms=1)[0]
    sample = task("plain", 4.0, faults=("one", "two"))

    assert plan == Plan.from_json(plan.to_json())
    assert sample == Sample.from_json(sample.to_json())


@pytest.mark.slow
def test_a_process_that_dies_is_said_and_not_passed_over() -> None:
    plan = runs.plans(loops=("asyncio",), candidates=("unheard of",), rounds=1, visit_ms=1)[0]

    with pytest.raises(runs.WorkerError, match="status 1"):
        list(runs.carry_out(plan, lambda sample: None))


def test_progress_ends_at_a_hundred_per_cent_and_leaves_a_terminal_clean() -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    stream = Terminal()
    plans = runs.plans(loops=("asyncio",), candidates=("plain",), rounds=1, visit_ms=1)
    progress = Progress(plans, stream)
    for measure in ("task", "step", "live"):
        progress.tell(Sample(measure=measure, loop="asyncio", round=0, candidate="plain"))
    progress.end()

    said = stream.getvalue().split("\r")
    assert [" 33 %  ", " 66 %  ", "100 %  ", "\x1b[K"] == [part[:7] for part in said[1:]]


def test_it_says_how_it_is_used(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--help"])

    assert ended.value.code == 0
    assert "fail where a ratio is over its budget by more than" in " ".join(capsys.readouterr().out.split())
