from dataclasses import replace

import pytest

from ebulk.cli.output import Output
from ebulk.cli.report import report_pull, report_push
from ebulk.local.index import Totals
from ebulk.verbs.pull import PullReport
from ebulk.verbs.push import PushReport

NOTHING = Totals(0, 0)
PUSH = PushReport(
    reference="brain_mri",
    version=2,
    new=1_236,
    modified=1,
    removed=3,
    renamed=2,
    unchanged=17,
    sent=Totals(1_234, 5 << 30),
    present=Totals(1, 3),
    total=Totals(20_000, 50 << 30),
    resumed=True,
    others=True,
    unstaged=4,
    left_out=3,
    reused=1 << 20,
    travelled=5 << 30,
)
PULL = PullReport(
    reference="brain_mri",
    version=3,
    previous=2,
    new=1,
    modified=1,
    removed=1,
    moved=1,
    adopted=1,
    unchanged=0,
    kept=2,
    received=Totals(2, 10 << 20),
    total=Totals(9, 1 << 30),
    reused=90 << 20,
    travelled=11 << 20,
    left_out=5,
)


@pytest.fixture
def people():
    return Output(json=False, quiet=False)


def test_a_push_is_told_as_a_table(people, capsys):
    report_push(PUSH, 512.0, people)
    assert capsys.readouterr().out.splitlines() == [
        "Pushed 'brain_mri': version 2, resumed",
        "                                      files      size",
        "  new                                 1,234",
        "  modified                                1",
        "  renamed                                 2",
        "  removed                                 1",
        "  already in the lake, not sent           1   3 bytes",
        "  parts that the lake had, not sent           1.0 MiB",
        "  sent                                1,234   5.0 GiB",
        "  in the data set                    20,000  50.0 GiB",
        "  in 8 min 32 s (10.0 MiB/s)",
        "  Somebody else pushed since your last pull: `ebulk pull` gets it.",
        "  not staged, and so not pushed: 4 changes (see `ebulk status`)",
        "  left out, as you asked: 3 changes",
    ]


def test_what_is_not_there_has_no_row_and_nothing_sent_no_rate(people, capsys):
    report = replace(
        PUSH,
        new=2,
        modified=0,
        removed=2,
        sent=NOTHING,
        present=NOTHING,
        resumed=False,
        others=False,
        unstaged=0,
        left_out=0,
        reused=0,
    )
    report_push(report, 0.04, people)
    assert capsys.readouterr().out.splitlines() == [
        "Pushed 'brain_mri': version 2",
        "                    files      size",
        "  renamed               2",
        "  sent                  0   0 bytes",
        "  in the data set  20,000  50.0 GiB",
        "  in 0.0 s",
    ]


def test_a_pull_is_told_as_a_table(people, capsys):
    report_pull(PULL, 2.0, people)
    assert capsys.readouterr().out.splitlines() == [
        "Pulled 'brain_mri': version 3",
        "                                      files      size",
        "  new                                     1",
        "  modified                                1",
        "  renamed                                 1",
        "  removed                                 1",
        "  parts that were here, not received         90.0 MiB",
        "  received                                2  10.0 MiB",
        "  in the folder                           9   1.0 GiB",
        "  in 2.0 s (5.0 MiB/s)",
        "  already here and the same: 1 file",
        "  left out, as you asked: 5 files",
        "  your changes are kept: 2 files (see `ebulk status`)",
    ]


def test_what_travelled_is_told_where_compression_or_trouble_made_it_another_number(people, capsys):
    report_push(replace(PUSH, travelled=1 << 30), 512.0, people)
    report_pull(replace(PULL, travelled=20 << 20), 512.0, people)
    lines = [line.split() for line in capsys.readouterr().out.splitlines() if "on the wire" in line]
    assert lines == [["on", "the", "wire", "1.0", "GiB"], ["on", "the", "wire", "20.0", "MiB"]]
