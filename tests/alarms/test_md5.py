from __future__ import annotations

from hashlib import md5, sha256

import pytest
import transaction

from Products.ERP5Wendelin.alarms import md5 as md5_alarm
from Products.ERP5Wendelin.alarms.budget import interruptible
from Products.ERP5Wendelin.alarms.md5 import compute_md5
from support.pushes import push


@pytest.fixture
def data_sets(site):
    """Two data sets of two files each, by their ids."""
    found = [site.data_set_module.newDataSet(reference) for reference in ("one", "other")]
    transaction.commit()
    for number, data_set in enumerate(found):
        push(data_set, {"a": b"a%d" % number, "b": b"b%d" % number})
    return sorted(found, key=lambda data_set: data_set.getId())


def compute(alarm):
    text = compute_md5(alarm).text
    transaction.commit()
    return text


def missing(data_set):
    """The paths that have no md5."""
    transaction.begin()
    return [path for path, entry in data_set.manifest.items() if data_set.getMd5(entry.digest) is None]


def test_files_that_came_without_get_their_md5(alarm, data_sets):
    assert compute(alarm) == "Computed: 4 files. Data sets not done yet: 0."
    assert [missing(data_set) for data_set in data_sets] == [[], []]
    content = data_sets[0].getDataStream("a").getData()
    assert data_sets[0].getMd5(sha256(content).digest()) == md5(content).digest()


def test_a_data_set_is_looked_at_again_when_it_has_changed(alarm, data_sets, monkeypatch):
    compute(alarm)
    walked = []
    compute_missing = md5_alarm.compute_missing
    monkeypatch.setattr(
        md5_alarm, "compute_missing", lambda *found, **options: walked.append(1) or compute_missing(*found, **options)
    )
    assert compute(alarm) == "Computed: 0 files. Data sets not done yet: 0."
    assert walked == []
    push(data_sets[1], {"c": b"c"})
    assert compute(alarm) == "Computed: 1 files. Data sets not done yet: 0."
    assert walked == [1]
    assert missing(data_sets[1]) == []


def test_a_run_does_what_its_budget_allows_and_the_next_goes_on(alarm, data_sets, monkeypatch):
    monkeypatch.setattr(md5_alarm, "SIZE", 1)
    monkeypatch.setattr(md5_alarm, "STEP", 1)
    # a step is a file here, and so is the budget
    assert compute(alarm) == "Computed: 1 files. Data sets not done yet: 2."
    assert compute(alarm) == "Computed: 1 files. Data sets not done yet: 2."
    monkeypatch.setattr(md5_alarm, "SIZE", 10)
    while not compute(alarm).endswith("not done yet: 0."):
        pass
    assert [missing(data_set) for data_set in data_sets] == [[], []]


def test_a_data_set_that_takes_long_does_not_keep_others_from_their_turn(alarm, data_sets, monkeypatch):
    monkeypatch.setattr(md5_alarm, "SIZE", 1)
    monkeypatch.setattr(md5_alarm, "STEP", 1)
    compute(alarm)
    compute(alarm)
    assert [len(missing(data_set)) for data_set in data_sets] == [1, 1]


def test_a_run_that_is_asked_to_stop_computes_nothing(alarm, data_sets):
    with interruptible(lambda: True):
        assert compute(alarm) == "Computed: 0 files. Data sets not done yet: 2."


def test_a_run_that_is_asked_to_stop_does_not_read_a_large_file_to_its_end(alarm, data_sets):
    asked = iter([False] * 2)  # the second file is begun
    with interruptible(lambda: next(asked, True)):
        assert compute(alarm) == "Computed: 1 files. Data sets not done yet: 2."


def test_a_data_set_that_is_gone_is_forgotten(site, alarm, data_sets):
    compute(alarm)
    id = data_sets[0].getId()
    site.data_set_module._delObject(id)
    transaction.commit()
    assert compute(alarm) == "Computed: 0 files. Data sets not done yet: 0."
    assert id not in alarm.recall()["versions"]
