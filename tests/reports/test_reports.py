"""Every observation is counted; one that cannot be told does not silence the rest; floods are numbers."""

from __future__ import annotations

from dataclasses import dataclass, field

from aiotel._repeats import Repeats
from aiotel._report import Report
from aiotel._reports.reports import Reports


@dataclass
class Fact:
    name: str


@dataclass
class Facts:
    """Counts and tells facts, and has written down what."""

    counted: list[tuple[str, int]] = field(default_factory=list)

    def count(self, fact: Fact, times: int) -> None:
        self.counted.append((fact.name, times))

    def report(self, fact: Fact) -> Report:
        return Report(name="fact", severity="error", words=fact.name, time_ns=1, attributes={})

    def again(self, fact: Fact, times: int, seconds: float) -> Report:
        words = f"{fact.name}, {times} more in {seconds:g} s"
        return Report(name="fact", severity="error", words=words, time_ns=1, attributes={})


def test_a_sink_that_fails_does_not_silence_the_counter_or_the_next_report() -> None:
    facts = Facts()
    logged: list[str] = []

    def log(report: Report) -> None:
        logged.append(report.words)
        raise OSError("disk full")

    Reports({Fact: facts}, Repeats(), log, clock_ns=lambda: 7).tell([Fact("a"), Fact("b")])

    assert (logged, facts.counted) == (["a", "b"], [("a", 1), ("b", 1)])


def test_a_flood_is_one_report_and_then_numbers_at_growing_distances() -> None:
    now_ns = 0
    facts = Facts()
    logged: list[tuple[float, str]] = []
    repeats: Repeats[Fact] = Repeats(clock=lambda: now_ns)
    reports = Reports(
        {Fact: facts}, repeats, lambda report: logged.append((now_ns / 1e9, report.words)), clock_ns=lambda: 7
    )

    for tick in range(100):
        now_ns = tick * 100_000_000
        new = []
        for _ in range(10):
            repeat = repeats.begin("key")
            if repeat is not None:
                repeat.first = Fact("a")
                new.append(repeat.first)
        reports.tell(new)
    reports.tell((), last=True)

    assert logged == [
        (0.0, "a"),
        (1.0, "a, 109 more in 1 s"),
        (3.0, "a, 200 more in 2 s"),
        (7.0, "a, 400 more in 4 s"),
        (9.9, "a, 290 more in 2.9 s"),
    ]
    assert sum(times for _, times in facts.counted) == 1000


def test_a_fact_that_could_not_be_made_does_not_silence_the_next() -> None:
    now_ns = 0
    repeats: Repeats[Fact] = Repeats(clock=lambda: now_ns)
    repeats.begin("key")  # and nothing comes of it
    now_ns = 2_000_000_000
    list(repeats.look())

    assert repeats.begin("key") is not None


def test_a_fact_that_is_kept_is_a_number_though_it_comes_seldom() -> None:
    now_ns = 0
    repeats: Repeats[Fact] = Repeats(clock=lambda: now_ns)
    told = 0
    for second in range(0, 60, 3):
        now_ns = second * 1_000_000_000
        repeat = repeats.begin("seldom", kept_s=60)
        if repeat is not None:
            told += 1
            repeat.first = Fact("seldom")
        now_ns += 1_500_000_000
        list(repeats.look())
    assert told == 1
    for _ in range(3):  # what came again is told once more, and from then on it is quiet
        now_ns += 100 * 1_000_000_000
        list(repeats.look())

    assert repeats.begin("seldom", kept_s=60) is not None
