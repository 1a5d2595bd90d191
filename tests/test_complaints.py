"""Trouble around aiotel is told seldom."""

from __future__ import annotations

import pytest

from aiotel._complaints import Complaints


def test_a_kind_of_trouble_is_told_once_a_minute_and_the_latest_of_it(
    caplog: pytest.LogCaptureFixture,
) -> None:
    now = [1000.0]
    complaints = Complaints(clock=lambda: now[0])
    for moment, text in ((0, "first"), (10, "second"), (20, "third"), (61, None)):
        now[0] = 1000.0 + moment
        if text is not None:
            complaints.add("export", text)
        complaints.say()

    assert caplog.messages == ["aiotel: first", "aiotel: third"]


def test_kinds_do_not_silence_each_other(caplog: pytest.LogCaptureFixture) -> None:
    complaints = Complaints(clock=lambda: 0.0)
    complaints.add("export", "one")
    complaints.add("log", "two")
    complaints.say()

    assert caplog.messages == ["aiotel: one", "aiotel: two"]
