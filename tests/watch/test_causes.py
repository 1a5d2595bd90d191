"""One cause of a closed set, from evidence made by hand."""

from __future__ import annotations

from typing import get_args

import pytest

from aiotel._inspect.stacks import Place
from aiotel._watch.causes import cause_of, crowded
from aiotel._watch.evidence import Evidence, Rival
from aiotel._watch.kernel import Call
from aiotel.observations import Cause

from .evidence import MS, Places, glimpses, samples

place = Places()
APP = place.stack("app.handle", "app.load")
IMPORTS = (*APP, place("importlib._bootstrap._find_and_load", "<frozen importlib._bootstrap>"))
WAITS = (*APP, place("threading.wait", "/usr/lib/python3/threading.py"))
SECOND = 1000 * MS


def test_the_collector_that_ran_for_half_of_the_time_is_the_cause() -> None:
    evidence = Evidence(SECOND, samples=samples(APP), cpu=1.0, collecting_ns=500 * MS)

    assert cause_of(evidence) == ("gc", "the garbage collector ran for 50% of the time")


def test_a_collector_that_ran_for_less_is_not() -> None:
    evidence = Evidence(SECOND, samples=samples(APP), cpu=1.0, collecting_ns=499 * MS)

    assert cause_of(evidence)[0] == "cpu"


def test_imports_that_were_seen_in_half_of_the_looks() -> None:
    evidence = Evidence(SECOND, samples=samples(IMPORTS, APP, IMPORTS, APP), cpu=1.0)

    assert cause_of(evidence) == ("import", "modules were being imported (2 of 4 looks)")


def test_imports_that_were_seen_less_often_are_not_the_cause() -> None:
    evidence = Evidence(SECOND, samples=samples(IMPORTS, APP, APP), cpu=1.0)

    assert cause_of(evidence)[0] == "cpu"


def test_a_collection_goes_before_an_import_and_that_before_a_crowd() -> None:
    crowd = glimpses(*[(0, waiting) for waiting in range(100, 0, -10)])
    both = Evidence(SECOND, samples=samples(IMPORTS), glimpses=crowd, collecting_ns=SECOND, cpu=1.0)

    assert [cause_of(each)[0] for each in (both, both._replace(collecting_ns=0))] == ["gc", "import"]
    assert cause_of(both._replace(collecting_ns=0, samples=samples(APP)))[0] == "crowded"


def test_many_callbacks_of_which_none_took_long_are_a_crowd() -> None:
    evidence = Evidence(SECOND, glimpses=glimpses((0, 50), (0, 40), (0, 30), (0, 20)), cpu=1.0)

    assert cause_of(evidence) == ("crowded", "at least 30 callbacks ran in one go, none of them for long")


def test_tasks_that_take_turns_are_a_crowd_where_the_queue_does_not_show() -> None:
    assert crowded(Evidence(SECOND, glimpses=glimpses(*[(task, 0) for task in range(1, 8)]))) == 6


def test_few_callbacks_are_no_crowd() -> None:
    assert crowded(Evidence(SECOND, glimpses=glimpses((0, 4), (0, 3), (0, 2), (0, 1)))) == 0


def test_many_callbacks_of_which_one_took_half_of_the_time_are_no_crowd() -> None:
    seen = glimpses((0, 50), (0, 40), (1, 30), (1, 30), (1, 30), (1, 30))

    assert crowded(Evidence(SECOND, glimpses=seen)) == 0


def test_one_task_that_runs_all_the_time_is_no_crowd() -> None:
    assert crowded(Evidence(SECOND, glimpses=glimpses(*[(1, 7)] * 20))) == 0


def test_nothing_seen_is_no_crowd() -> None:
    assert crowded(Evidence(SECOND)) == 0


def test_a_thread_that_had_to_wait_for_a_cpu_was_descheduled() -> None:
    evidence = Evidence(SECOND, samples=samples(APP), cpu=0.2, queued=0.7)

    assert cause_of(evidence) == (
        "descheduled",
        "the thread was ready and waited for a CPU for 70% of the time",
    )


def test_a_thread_that_had_a_cpu_for_half_of_the_time_was_not() -> None:
    assert cause_of(Evidence(SECOND, samples=samples(APP), cpu=0.5, queued=0.5))[0] == "cpu"


def test_native_code_that_held_the_gil_is_said_to_have() -> None:
    evidence = Evidence(SECOND, samples=samples(APP), cpu=0.9, held_ns=SECOND)

    cause, words = cause_of(evidence)

    assert cause == "cpu"
    assert words.startswith(
        "the loop's thread was on a CPU for 90% of the time, and held the GIL all the time"
    )
    assert words.endswith("in native code: seen as it was let go of, after this line or an earlier one")


def test_no_sample_is_said_where_none_could_be_had() -> None:
    cause, words = cause_of(Evidence(SECOND, cpu=0.9, held_ns=SECOND))

    assert cause == "cpu"
    assert words.endswith("in native code: no sample could be had")


def test_no_sample_and_no_cpu_time_is_the_gil_in_other_hands() -> None:
    evidence = Evidence(SECOND, cpu=0.1, others_cpu=0.8, rival=Rival("worker", "app.spin", 0.8))

    assert cause_of(evidence) == (
        "gil",
        (
            "no sample: the GIL was held (it used 10% of a CPU, other threads 80% of a CPU)"
            "; most by thread worker in app.spin, 80% of a CPU"
        ),
    )


@pytest.mark.parametrize(
    ("call", "stack", "others", "turns", "cause"),
    [
        ("sleep", APP, 0.0, 1.0, "sleep"),
        ("sleep", APP, 0.9, 1.0, "sleep"),
        ("io", APP, 0.0, 1.0, "io"),
        ("io", APP, 0.9, 200.0, "io"),
        ("futex", APP, 0.0, 1.0, "lock"),
        ("futex", APP, 0.9, 1.0, "lock"),
        ("futex", APP, 0.9, 200.0, "gil"),
        ("futex", APP, 0.9, None, "gil"),
        ("futex", WAITS, 0.9, 1.0, "lock"),
        ("futex", WAITS, 0.9, 200.0, "gil"),
        ("futex", WAITS, None, None, "lock"),
        ("running", APP, 0.9, 200.0, "gil"),
        ("running", APP, 0.0, 1.0, "cpu"),
    ],
)
def test_a_thread_off_the_cpu(
    call: Call, stack: tuple[Place, ...], others: float | None, turns: float | None, cause: Cause
) -> None:
    evidence = Evidence(SECOND, samples=samples(stack, call=call), cpu=0.1, others_cpu=others, turns=turns)

    assert cause_of(evidence)[0] == cause


def test_the_commonest_of_what_it_waited_for_counts() -> None:
    looks = [*samples(APP, call="io"), *samples(APP, APP, call="sleep")]

    assert cause_of(Evidence(SECOND, samples=looks, cpu=0.0))[0] == "sleep"


@pytest.mark.parametrize(
    ("leaf", "cause"),
    [
        (place("app.naps", body="time.sleep(1)"), "sleep"),
        (place("socket.recv", "/usr/lib/python3/socket.py"), "io"),
        (place("http.client.read", "/usr/lib/python3/http/client.py"), "io"),
        (place("queue.get", "/usr/lib/python3/queue.py"), "lock"),
        (place("app.loads"), "cpu"),
    ],
)
def test_where_the_system_does_not_tell_the_place_does(leaf: Place, cause: Cause) -> None:
    evidence = Evidence(SECOND, samples=samples((*APP, leaf), call=None))

    assert cause_of(evidence)[0] == cause


def test_the_causes_are_a_closed_set() -> None:
    assert set(get_args(Cause)) == {
        *("cpu", "sleep", "io", "lock", "gil", "gc", "descheduled", "import", "crowded"),
    }
