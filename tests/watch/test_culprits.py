"""The function at fault, from stacks made by hand."""

from __future__ import annotations

import asyncio
import dis
import json
import selectors

from aiotel._inspect.stacks import Place
from aiotel._watch.culprits import culprit_of, from_callback

from .evidence import Places, samples

place = Places()
HANDLE, LOAD, PARSE, SAVE = place.stack("app.handle", "app.load", "app.parse", "app.save")
DUMPS = Place(json.dumps.__code__, 2, "json")
PACKAGE = place("lib.work", "/venv/lib/python3/site-packages/lib.py")
GATHER = Place(asyncio.gather.__code__, 2, "asyncio.tasks")
IMPORT = place("importlib._bootstrap._find_and_load", "<frozen importlib._bootstrap>")
SLOW = place("slow.load", "/srv/slow.py")


def at_fault(*stacks: tuple[Place, ...]) -> Place | None:
    """The place of the culprit of these looks."""
    return culprit_of(samples(*stacks), "cpu").place


def test_the_innermost_function_that_all_looks_have_in_common() -> None:
    assert at_fault((HANDLE, LOAD, PARSE), (HANDLE, LOAD, SAVE), (HANDLE, LOAD)) == LOAD


def test_one_look_blames_the_innermost_function() -> None:
    assert at_fault((HANDLE, LOAD, PARSE)) == PARSE


def test_pythons_library_is_not_to_blame_but_who_calls_it() -> None:
    assert at_fault((HANDLE, LOAD, DUMPS), (HANDLE, LOAD, DUMPS)) == LOAD


def test_a_package_that_the_program_uses_is_not_to_blame_but_who_calls_it() -> None:
    assert at_fault((PACKAGE, HANDLE, PACKAGE, DUMPS)) == HANDLE


def test_a_package_may_be_where_there_is_nothing_of_the_program() -> None:
    assert at_fault((GATHER, PACKAGE, DUMPS)) == PACKAGE


def test_what_watches_is_never_to_blame() -> None:
    ours = place("aiotel._signals.traces.span.TaskSpan.get_span_context")
    polls = Place(selectors.SelectSelector.select.__code__, 2, "selectors")

    assert at_fault((GATHER, ours)) is None
    assert at_fault((HANDLE, ours)) == HANDLE
    assert at_fault((polls,)) is None


def test_a_function_that_was_only_entered_has_done_nothing() -> None:
    def innocent() -> None:
        """Threads change places where it begins."""

    resume = next(each.offset for each in dis.get_instructions(innocent) if each.opname == "RESUME")
    run = Place(asyncio.Handle._run.__code__, 2, "asyncio.events")

    entered = Place(innocent.__code__, resume, "app")
    assert from_callback([entered, HANDLE, run], None) == (HANDLE,)
    assert from_callback([entered, run], None) == (entered,)


def test_what_works_for_others_is_not() -> None:
    assert at_fault((HANDLE, GATHER)) == HANDLE


def test_the_line_is_the_one_that_was_seen_most_often() -> None:
    first, second = place("app.loop", at=2), place("app.loop", at=4)

    assert at_fault((HANDLE, first), (HANDLE, second), (HANDLE, second)) == second


def test_the_stack_is_that_of_the_line() -> None:
    culprit = culprit_of(samples((HANDLE, LOAD, PARSE), (HANDLE, LOAD, SAVE), (HANDLE, LOAD, SAVE)), "cpu")

    assert culprit.stack == (HANDLE, LOAD, SAVE)


def test_looks_with_nothing_in_common_blame_the_function_seen_most_often() -> None:
    assert at_fault((HANDLE,), (SAVE, PARSE), (LOAD, PARSE)) == PARSE


def test_where_all_is_the_librarys_the_innermost_is_told() -> None:
    assert at_fault((DUMPS,)) == DUMPS


def test_nothing_seen_blames_nobody() -> None:
    culprit = culprit_of([], "gil")

    assert (culprit.place, culprit.stack, culprit.callback, culprit.task_id) == (None, (), "callback", 0)


def test_of_an_import_who_imports_is_to_blame() -> None:
    looks = samples((HANDLE, LOAD, IMPORT, SLOW), (HANDLE, LOAD, IMPORT, SLOW, IMPORT))

    assert culprit_of(looks, "import").place == LOAD


def test_the_task_is_the_one_that_was_seen_most_often_in_that_function() -> None:
    looks = [
        *samples((HANDLE, LOAD), task_id=1),
        *samples((SAVE, PARSE), (SAVE, PARSE), task_id=2),
        *samples((SAVE, PARSE), task_id=3),
        *samples((HANDLE, LOAD), task_id=3),
    ]

    culprit = culprit_of(looks, "cpu")

    assert (culprit.place, culprit.task_id, culprit.callback) == (PARSE, 2, "task")


def test_a_crowd_is_no_task() -> None:
    culprit = culprit_of(samples((HANDLE, LOAD)), "crowded")

    assert (culprit.place, culprit.task_id) == (LOAD, 0)


def test_what_a_transport_calls_is_a_reader() -> None:
    reads = place("asyncio.selector_events._SelectorSocketTransport", "/usr/lib/python3/asyncio/s.py")
    reads = Place(reads.code.replace(co_name="_read_ready__data_received"), 0, "asyncio.selector_events")

    assert culprit_of(samples((reads, LOAD), task_id=0), "cpu").callback == "reader"
    assert culprit_of(samples((LOAD,), task_id=0), "cpu").callback == "callback"


def test_a_stack_begins_at_the_callback_that_the_loop_runs() -> None:
    run = Place(asyncio.Handle._run.__code__, 0, "asyncio.events")
    main = place("__main__.main")

    assert from_callback([LOAD, HANDLE, run, main], None) == (HANDLE, LOAD)


def test_the_innermost_loop_counts_where_one_runs_inside_another() -> None:
    run = Place(asyncio.Handle._run.__code__, 0, "asyncio.events")

    assert from_callback([LOAD, run, HANDLE, run], None) == (LOAD,)


def test_a_depth_that_is_known_is_taken_instead() -> None:
    assert from_callback([LOAD, HANDLE, SAVE, PARSE], 2) == (HANDLE, LOAD)


def test_a_stack_without_a_loop_has_no_callback() -> None:
    assert from_callback([LOAD, HANDLE], None) == ()
