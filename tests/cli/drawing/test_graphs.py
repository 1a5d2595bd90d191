"""Wait graphs whose syntax holds for any name."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

from hypothesis import given

from aiotel._cli.drawing.graphs import MOST, dot, mermaid
from aiotel._snapshot import Snapshot

from ...status.snapshots import abba, snapshot, snapshots, task, waiting_for
from .drawn import is_harmless, read

NAME = 'a "quoted" \\N name\n[with] {all} <b>sorts</b>; of #quot; 界'


def _dot(taken: Snapshot) -> list[str]:
    return list(dot(*read(taken)))


def _mermaid(taken: Snapshot) -> list[str]:
    return list(mermaid(*read(taken)))


def test_the_graph_for_graphviz() -> None:
    assert _dot(abba()) == [
        "digraph waits {",
        "  rankdir=LR;",
        '  node [fontname="sans-serif", shape=box, style=rounded];',
        r'  t1 [label="main\nbank.main\nwaits 2.0s\nbank.py:12"];',
        r'  t2 [label="alice\nbank.pay\nwaits 2.0s\nbank.py:12", color=red];',
        r'  t3 [label="bob\nbank.pay\nwaits 2.0s\nbank.py:12", color=red];',
        r'  t4 [label="audit\nbank.audit\nwaits 2.0s\nbank.py:12"];',
        '  p101 [label="Lock A", shape=ellipse, style=solid];',
        '  p102 [label="Lock B", shape=ellipse, style=solid];',
        '  t1 -> t2 [label="waits for", style=solid];',
        '  t1 -> t3 [label="waits for", style=solid];',
        '  t1 -> t4 [label="waits for", style=solid];',
        '  p101 -> t2 [label="held by", style=dashed];',
        '  t2 -> p102 [label="waits for", style=solid];',
        '  p102 -> t3 [label="held by", style=dashed];',
        '  t3 -> p101 [label="waits for", style=solid];',
        '  t4 -> p101 [label="waits for", style=solid];',
        "}",
    ]


def test_the_graph_for_mermaid() -> None:
    lines = _mermaid(abba())

    assert lines[0] == "flowchart LR"
    assert '  t2["alice<br>bank.pay<br>waits 2.0s<br>bank.py:12"]' in lines
    assert '  p101(["Lock A"])' in lines
    assert "  p102 -.->|held by| t3" in lines
    assert lines[-1] == "  class t2,t3 circle"


def test_an_odd_name_is_a_label_and_nothing_else() -> None:
    taken = abba(first=NAME)

    (label,) = [line for line in _dot(taken) if line.startswith("  t2 [")]
    assert r"a \"quoted\" \\N name [with] {all} <b>sorts</b>; of #quot; 界\nbank.pay" in label
    (node,) = [line for line in _mermaid(taken) if line.startswith("  t2[")]
    assert node.startswith('  t2["a #34;quoted#34; #92;N name #91;with#93; #123;all#125; #60;b#62;sorts')


def test_tasks_that_have_to_do_with_nobody_are_left_out() -> None:
    assert len(_dot(snapshot(task(1), task(2, waiting=waiting_for(kind="sleep"))))) == 4


def test_not_more_is_drawn_than_can_be_read() -> None:
    tasks = [task(number, waiting=waiting_for(number + 1)) for number in range(1, 3000)]
    nodes = [line for line in _dot(snapshot(*tasks)) if re.match(r"  t\d+ \[", line)]

    assert len(nodes) == MOST


def _tokens(line: str) -> Iterator[str]:
    """What Graphviz sees of a line: its own lexer knows a quoted string so."""
    yield from re.findall(r'"(?:[^"\\]|\\.)*"|[^"\s]+', line)


@given(snapshots)
def test_any_snapshot_is_valid_for_both(taken: Snapshot) -> None:
    taken = replace(taken, tasks=tuple({view.id: view for view in taken.tasks}.values()))
    known: set[str] = set()
    for line in _dot(taken)[3:-1]:
        assert "".join(_tokens(line)) == re.sub(r'\s(?=(?:[^"\\]|\\.|"(?:[^"\\]|\\.)*")*$)', "", line)
        plain = " ".join("S" if token.startswith('"') else token for token in _tokens(line))
        assert re.fullmatch(r"[tp]\d+( -> [tp]\d+)? \[label= S( ?, [a-z]+=[a-z]+)*( ?\];)", plain), plain
        node, _, end = plain.partition(" [")[0].partition(" -> ")
        known.add(node)
        assert not end or end in known
    for line in _mermaid(taken)[1:]:
        assert is_harmless(line)
        assert line.count('"') in (0, 2)
        label = line.partition('"')[2].rpartition('"')[0]
        assert not re.search(r"[\[\](){}|;]", re.sub(r"#\d+;", "", label))
