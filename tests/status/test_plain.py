"""A snapshot goes through JSON and is the same."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiotel._snapshot import Snapshot
from aiotel._status.plain import from_plain, to_plain

from .snapshots import abba, snapshots

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=20,
)


@given(snapshots)
def test_it_is_the_same_afterwards(snapshot: Snapshot) -> None:
    assert from_plain(Snapshot, json.loads(json.dumps(to_plain(snapshot)))) == snapshot


def test_what_has_its_default_is_not_said() -> None:
    plain = to_plain(abba())

    assert plain["tasks"][3] == {
        "id": 4,
        "loop": 0,
        "task": {"name": "audit", "function": "bank.audit"},
        "state": "waiting",
        "created_ns": 4,
        "waiting": {
            "kind": "lock",
            "since_ns": 98_000_000_000,
            "at": {"file": "/srv/bank.py", "line": 12, "function": "bank.pay"},
            "primitive": {"id": 101, "kind": "lock", "name": "Lock", "limit": 1},
        },
    }


def test_what_makes_a_task_known_to_us_alone_is_not_said() -> None:
    (first, *_) = abba().tasks
    facts = replace(first.task, undecided=object(), trace_id=10, span_id=11)

    assert to_plain(facts) == {
        "name": "main",
        "function": "bank.main",
        "trace_id": "0000000000000000000000000000000a",
        "span_id": "000000000000000b",
    }


def test_what_a_newer_aiotel_adds_is_skipped() -> None:
    plain = to_plain(abba())
    plain["weather"] = "fine"
    plain["tasks"][0]["mood"] = ["good"]
    plain["tasks"][0]["waiting"]["kind"] = "moon"

    read = from_plain(Snapshot, plain)

    assert [view.waiting and view.waiting.kind for view in read.tasks] == ["moon", "lock", "lock", "lock"]


@given(JSON)
def test_what_is_no_snapshot_is_said_to_be_none(plain: object) -> None:
    try:
        read = from_plain(Snapshot, plain)
    except ValueError:
        return
    assert isinstance(read, Snapshot)


@pytest.mark.parametrize("place", ["id", "task", "state", "waiting", "holds"])
@given(wrong=JSON)
def test_a_wrong_field_of_a_task_is_a_value_error_or_harmless(place: str, wrong: object) -> None:
    plain = to_plain(abba())
    plain["tasks"][1][place] = wrong
    try:
        read = from_plain(Snapshot, plain)
    except ValueError:
        return
    assert len(read.tasks) == 4
