"""Lines of the log: one a minute of a kind."""

from __future__ import annotations

import logging

from Products.ERP5Wendelin.ingestion.forward.notices import INTERVAL, KINDS, LINES, Notices
from support.clock import Clock


def test_a_kind_is_logged_once_a_minute_and_then_says_how_many_were_left_out(caplog):
    clock = Clock(1000.0)
    notices = Notices(clock)
    for _ in range(3):
        notices.warn("a", "first")
    notices.warn("b", "other")
    clock.now += INTERVAL - 0.1
    notices.warn("a", "too early")
    clock.now += 0.1
    notices.warn("a", "again")
    clock.now += INTERVAL
    notices.warn("a", "alone")
    assert [(record.name, record.levelno, record.getMessage()) for record in caplog.records] == [
        ("wendelin.fluentd", logging.WARNING, "first"),
        ("wendelin.fluentd", logging.WARNING, "other"),
        ("wendelin.fluentd", logging.WARNING, "again (3 more like this since the last line)"),
        ("wendelin.fluentd", logging.WARNING, "alone"),
    ]


def test_what_others_have_written_stays_on_the_line(caplog):
    Notices().warn("a", "ü: a\nWARNING all is well\r\x1b[2J\x9b\u2028")
    assert [record.getMessage() for record in caplog.records] == [r"ü: a\nWARNING all is well\r\x1b[2J\x9b\u2028"]


def test_only_so_many_lines_are_logged_a_minute_whoever_makes_up_kinds(caplog):
    clock = Clock(1000.0)
    notices = Notices(clock)
    for kind in range(LINES + 7):
        notices.warn(kind, f"{kind}")
    assert [record.getMessage() for record in caplog.records] == [f"{kind}" for kind in range(LINES)]
    caplog.clear()
    clock.now += INTERVAL
    notices.warn(LINES, "later")
    notices.warn(0, "again")
    assert [record.getMessage() for record in caplog.records] == [
        "7 warnings were left out, beyond the 100 that are logged in a minute",
        "later",
        "again",
    ]


def test_only_so_many_kinds_are_remembered_and_the_oldest_is_forgotten_first(caplog):
    clock = Clock(1000.0)
    notices = Notices(clock)
    for kind in range(KINDS + 1):
        notices.warn(kind, "new")
        notices.warn(kind, "the same")
        clock.now += INTERVAL
    caplog.clear()
    notices.warn(1, "remembered")
    notices.warn(0, "forgotten")
    assert [record.getMessage() for record in caplog.records] == [
        "remembered (1 more like this since the last line)",
        "forgotten",
    ]
