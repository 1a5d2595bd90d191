"""Ids are of our own making where the provider's would be random, and new in a child process."""

from __future__ import annotations

import os

import pytest
from opentelemetry.sdk.trace.id_generator import IdGenerator, RandomIdGenerator

from aiotel._signals.traces.ids import Ids


def test_ids_are_as_long_as_they_must_be_and_all_different() -> None:
    ids = Ids(RandomIdGenerator())
    traces = {ids.trace_id() for _ in range(1000)}
    spans = {ids.span_id() for _ in range(1000)}

    assert len(traces) == len(spans) == 1000
    assert 2**112 < max(traces) < 2**128
    assert 2**56 < max(spans) < 2**64


def test_only_random_ids_are_called_random() -> None:
    class Counted(IdGenerator):
        def generate_span_id(self) -> int:
            return 2

        def generate_trace_id(self) -> int:
            return 1

    ids = Ids(Counted())

    assert (ids.trace_id(), ids.span_id(), ids.random) == (1, 2, False)
    assert Ids(RandomIdGenerator()).random
    assert not Ids(None).random


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_child_process_does_not_repeat_its_parents_ids() -> None:
    ids = Ids()
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        os.write(writing, f"{ids.trace_id():x}".encode())
        os._exit(0)
    os.close(writing)
    of_child = int(os.read(reading, 100), 16)
    os.close(reading)
    os.waitpid(child, 0)

    assert of_child != ids.trace_id()
