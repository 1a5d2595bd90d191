"""A mailbox is bounded, keeps order, and counts what it had no place for."""

from __future__ import annotations

from aiotel._mailbox import Mailbox


def test_letters_come_out_in_order() -> None:
    box: Mailbox[int] = Mailbox(10)
    for letter in range(5):
        box.put(letter)

    assert (box.take(3), box.take(3), box.take(3)) == ([0, 1, 2], [3, 4], [])


def test_what_does_not_fit_is_counted() -> None:
    box: Mailbox[int] = Mailbox(2)
    for letter in range(5):
        box.put(letter)

    assert (box.take(9), box.dropped) == ([0, 1], 3)
