import io
import re
import sys

import pytest

from aiotel._demo.progress import progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_where_there_is_no_terminal_each_text_is_a_line() -> None:
    said: list[str] = []

    with progress(seconds=8, say=said.append, spans=lambda: 0) as tell:
        tell("the shop is open")
        tell("two tasks deadlock")

    assert ["the shop is open", "two tasks deadlock"] == [re.sub(r"^ *[\d.]+ s  ", "", line) for line in said]


def test_on_a_terminal_the_last_text_stands_beside_the_number_of_spans_and_goes_away(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    terminal, said = Terminal(), list[str]()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm-256color")

    with progress(seconds=8, say=said.append, spans=lambda: 1234) as tell:
        tell("two tasks deadlock")
    shown = terminal.getvalue()

    assert [] == said
    assert re.search(r"two tasks deadlock *\S*1,234 spans", shown)
    assert shown.rstrip().endswith("\x1b[2K")  # the line is cleared
