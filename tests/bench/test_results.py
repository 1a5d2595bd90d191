from __future__ import annotations

from tests.bench.candidates import FACTORY, PLAIN
from tests.bench.results import Figures, Row, figures_of
from tests.bench.samples import Sample


def task(candidate: str, number: int, us: float, *, faults: tuple[str, ...] = ()) -> Sample:
    return Sample(
        measure="task",
        loop="asyncio",
        round=number,
        candidate=candidate,
        thread_us=None if faults else us,
        process_us=None if faults else us + 1,
        tasks=900,
        faults=faults,
    )


def step(candidate: str, us: float) -> Sample:
    return Sample(measure="step", loop="asyncio", round=0, candidate=candidate, thread_us=us)


def live(candidate: str, size: float) -> Sample:
    return Sample(measure="live", loop="asyncio", round=0, candidate=candidate, bytes=size)


def row_of(figures: Figures, name: str) -> Row:
    return next(row for row in figures.rows if row.name == name)


def test_a_cost_is_what_a_round_says_over_plain_in_units_of_the_empty_factory() -> None:
    figures = figures_of(
        [
            *[task(PLAIN, number, 4.0) for number in range(3)],
            *[task(FACTORY, number, 5.0) for number in range(3)],
            *[task("aiotel-metrics", number, 6.0) for number in range(3)],
        ],
        "asyncio",
    )
    row = row_of(figures, "aiotel-metrics")

    assert (6.0, 2.0, 2.0) == (row.thread_us, row.over_us, row.units)
    assert "met" == row.verdict


def test_a_round_in_which_the_machine_was_slow_does_not_move_the_difference() -> None:
    slow = {0: 1.0, 1: 3.0, 2: 1.0, 3: 1.5}
    figures = figures_of(
        [
            *[task(PLAIN, number, 4.0 + more) for number, more in slow.items()],
            *[task(FACTORY, number, 5.0 + more) for number, more in slow.items()],
            *[task("aiotel-recorded", number, 9.0 + more) for number, more in slow.items()],
        ],
        "asyncio",
    )
    row = row_of(figures, "aiotel-recorded")

    assert (5.0, 0.0, 5.0) == (row.over_us, row.spread_us, row.units)
    assert "over" == row.verdict


def test_a_round_that_lacks_plain_is_not_compared() -> None:
    figures = figures_of(
        [task(PLAIN, 0, 4.0), task("aiotel-metrics", 0, 6.0), task("aiotel-metrics", 1, 90.0)], "asyncio"
    )

    assert 2.0 == row_of(figures, "aiotel-metrics").over_us


def test_a_fault_in_one_round_takes_every_figure_from_that_candidate() -> None:
    figures = figures_of(
        [
            task(PLAIN, 0, 4.0),
            task("aiotel-recorded", 0, 8.0),
            task("aiotel-recorded", 1, 8.0, faults=("899 spans, not 900",)),
        ],
        "asyncio",
    )
    row = row_of(figures, "aiotel-recorded")

    assert ("899 spans, not 900",) == row.faults
    assert [None] * 4 == [row.thread_us, row.over_us, row.units, row.process_us]
    assert ["aiotel, recorded, in a tree of tasks: 899 spans, not 900"] == figures.faults


def test_a_budget_that_is_missed_by_no_more_than_noise_is_over_but_does_not_fail_a_check() -> None:
    def over_budget(units: float) -> tuple[str, list[str]]:
        figures = figures_of(
            [task(PLAIN, 0, 4.0), task(FACTORY, 0, 5.0), task("aiotel-metrics", 0, 4.0 + units)], "asyncio"
        )
        return row_of(figures, "aiotel-metrics").verdict, figures.over_budget

    assert ("over", []) == over_budget(2.6)
    assert ("over", ["aiotel, metrics only: 3.00 times the empty factory, budget 2.5"]) == over_budget(3.0)


def test_samples_of_another_loop_are_left_alone() -> None:
    elsewhere = Sample(measure="task", loop="uvloop", round=0, candidate=PLAIN, thread_us=1.0, tasks=900)

    figures = figures_of([task(PLAIN, 0, 4.0), elsewhere], "asyncio")

    assert 4.0 == row_of(figures, PLAIN).thread_us


def test_a_step_that_costs_as_much_as_without_aiotel_is_within_its_budget_of_nothing() -> None:
    same = figures_of([step(PLAIN, 1.00), step("aiotel-recorded", 1.03)], "asyncio").step
    more = figures_of([step(PLAIN, 1.00), step("aiotel-recorded", 1.20)], "asyncio").step

    assert same is not None
    assert more is not None
    assert ("met", "over") == (same.verdict, more.verdict)


def test_a_live_task_weighs_what_it_has_more_than_a_plain_one() -> None:
    figures = figures_of(
        [task("aiotel-metrics", 0, 6.0), live(PLAIN, 800.0), live("aiotel-metrics", 1200.0)], "asyncio"
    )

    assert (800.0, 400.0) == (figures.live_plain_bytes, row_of(figures, "aiotel-metrics").live_bytes)


def test_a_step_with_exact_timing_has_a_budget_of_its_own() -> None:
    within = figures_of([step(PLAIN, 1.00), step("aiotel-exact", 2.00)], "asyncio").exact
    beyond = figures_of([step(PLAIN, 1.00), step("aiotel-exact", 2.20)], "asyncio").exact

    assert ("met", "over") == (within and within.verdict, beyond and beyond.verdict)
