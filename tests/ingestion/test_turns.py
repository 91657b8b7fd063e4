"""Turns: one at a time, early ones wait, and nobody waits for ever."""

from __future__ import annotations

import threading
from contextlib import ExitStack

from Products.ERP5Wendelin.ingestion.turns import WAITING, Turns
from Products.ERP5Wendelin.portal.instance import THREADS

LONG = 60.0


def never() -> bool:
    return False


def always() -> bool:
    return True


def test_no_more_may_wait_than_leave_half_of_a_servers_threads():
    assert WAITING * 2 == THREADS


def test_one_that_is_early_while_nobody_writes_waits_for_the_grace_only():
    with Turns(patience=LONG, grace=0.05).turn("a", always):
        pass


def test_one_that_is_early_while_another_writes_waits_for_the_patience_only():
    turns = Turns(patience=0.05, grace=LONG)
    with turns.turn("a", never), turns.turn("a", always):
        pass


def test_where_nobody_may_wait_the_turn_is_now():
    turns = Turns(waiting=0, patience=LONG, grace=LONG)
    with turns.turn("a", never), turns.turn("a", never), turns.turn("b", always):
        pass


def test_uploads_do_not_wait_for_each_other():
    turns = Turns(patience=LONG, grace=LONG)
    with ExitStack() as stack:
        for key in "abc":
            stack.enter_context(turns.turn(key, never))


def test_one_that_waits_gives_its_seat_back():
    turns = Turns(waiting=1, patience=LONG, grace=0.01)
    for _ in range(3):
        with turns.turn("a", always):
            pass


def test_many_that_come_in_any_order_go_on_in_theirs():
    turns = Turns(patience=LONG, grace=LONG)
    written: list[int] = []
    together = threading.Barrier(8)

    def write(number: int) -> None:
        together.wait()
        with turns.turn("a", lambda: len(written) < number):
            written.append(number)

    threads = [threading.Thread(target=write, args=(number,)) for number in reversed(range(8))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert written == list(range(8))
