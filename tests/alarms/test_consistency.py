from __future__ import annotations

import pytest
import transaction
from ZODB.POSException import POSKeyError

from Products.ERP5Wendelin.alarms import consistency
from Products.ERP5Wendelin.alarms.budget import Budget, interruptible
from Products.ERP5Wendelin.alarms.consistency import check_consistency
from Products.ERP5Wendelin.errors import NotAuthorised
from Products.ERP5Wendelin.storage.block import BLOCK_SIZE
from support.pushes import push, send_large, start, stop
from support.site import as_user


@pytest.fixture
def data_set(site):
    """Two versions: a pack of small files, one of which was replaced, and a large file of three blocks."""
    data_set = site.data_set_module.newDataSet("scans")
    transaction.commit()
    push(data_set, {"a": b"first a", "b": b"first b", "empty": b""})
    ingestion = start(data_set)
    send_large(ingestion, "large", bytes(range(256)) * (2 * BLOCK_SIZE // 256) + b"and more")
    stop(ingestion)
    push(data_set, {"a": b"second a"})
    return data_set


@pytest.fixture
def log(site):
    """A stream of its own."""
    log = site.data_stream_module.newContent(portal_type="Data Stream", reference="log")
    log.appendData(b"line\n")
    transaction.commit()
    return log


def check(alarm):
    report = check_consistency(alarm)
    transaction.commit()
    return report


def problems(alarm):
    """What a whole pass finds, without the heading."""
    report = check(alarm)
    assert "Everything was checked" in report.text
    lines = report.text.splitlines()[2:]
    assert report.failed is bool(lines)
    return [line.strip() for line in lines]


def test_a_lake_without_faults_is_checked_to_its_end(alarm, data_set, log):
    report = check(alarm)
    assert not report.failed
    assert report.text.startswith("Everything was checked: 5 files and streams, 4.0 MiB, in the pass begun on 20")
    assert report.text.count("\n") == 0


def test_a_stream_whose_head_was_dropped_is_without_faults(alarm, log):
    log.appendData(bytes(3 * BLOCK_SIZE))
    log.dropData(2 * BLOCK_SIZE)
    transaction.commit()
    assert problems(alarm) == []


@pytest.mark.parametrize(
    ("lost", "found"), [([1], "2 blocks numbered 2 to 3"), ([1, 2, 3], "no blocks"), ([2], "2 blocks numbered 1 to 3")]
)
def test_a_block_that_was_not_dropped_and_is_missing_is_found(alarm, log, lost, found):
    log.appendData(bytes(3 * BLOCK_SIZE))
    log.dropData(BLOCK_SIZE)
    for number in lost:
        del log.stream.blktab[number]
    transaction.commit()
    assert problems(alarm) == [
        f"Data Stream 'log': its byte stream of {3 * BLOCK_SIZE + 5} bytes has {found}, not 3 blocks numbered 1 to 3",
    ]


def test_an_empty_lake_is_checked(alarm):
    report = check(alarm)
    assert not report.failed
    assert report.text.startswith("Everything was checked: 0 files and streams, 0.0 MiB, in the pass begun on ")


def damage(data_set, path, version=None):
    """Change a byte of a file's first block, past all that guards it."""
    stream = data_set.manifest.get(path, version).stream
    block = stream.blktab[0]
    data = bytearray(block.loadblkdata())
    offset = data_set.manifest.get(path, version).offset
    data[offset] ^= 1
    block.setblkdata(bytes(data))
    block._p_changed = True
    transaction.commit()


def test_a_byte_that_changed_is_found(alarm, data_set):
    damage(data_set, "large")
    digest = data_set.manifest.get("large").digest.hex()
    assert problems(alarm) == [
        f"Data Set 'scans': the file 'large': its content does not have the sha-256 {digest}",
    ]


def test_a_byte_that_changed_in_an_older_version_is_found(alarm, data_set):
    damage(data_set, "a", 1)
    digest = data_set.manifest.get("a", 1).digest.hex()
    assert problems(alarm) == [
        f"Data Set 'scans': the file 'a' that version 3 replaced: its content does not have the sha-256 {digest}",
    ]


def test_a_block_that_is_missing_is_found(alarm, data_set):
    del data_set.manifest.get("large").stream.blktab[1]
    transaction.commit()
    assert problems(alarm) == [
        "Data Set 'scans': the file 'large': its byte stream of 4194312 bytes has 2 blocks numbered 0 to 2, "
        "not 3 blocks numbered 0 to 2",
    ]


def test_a_record_that_is_missing_is_found(alarm, data_set):
    """A storage that has lost a block."""
    block = data_set.manifest.get("large").stream.blktab[1]
    del data_set._p_jar.db().storage._index[block._p_oid]
    assert problems(alarm) == [
        "Data Set 'scans': the file 'large': a record of it is missing in the database",
    ]


def test_a_document_that_is_missing_is_found_by_its_place(site, alarm, data_set, log, monkeypatch):
    def lost(self):
        raise POSKeyError(self._p_oid)

    monkeypatch.setattr(type(data_set.aq_base), "getReference", lost)
    assert problems(alarm) == [f"data_set_module/{data_set.getId()}: a record of it is missing in the database"]
    assert alarm.recall()["files"] == 1


def test_an_array_of_another_length_is_found(alarm, data_set):
    data_set.manifest.get("large").stream.array.resize((5,))
    transaction.commit()
    assert problems(alarm) == [
        "Data Set 'scans': the file 'large': its byte stream is said to have 4194312 bytes, and its array has 5",
    ]


def test_a_range_beyond_its_stream_is_found(alarm, data_set):
    entries = data_set.manifest._entries
    entries["b"] = (*entries["b"][:1], 10_000, *entries["b"][2:])
    entries["empty"] = (None, 0, 7, *entries["empty"][3:])
    transaction.commit()
    assert problems(alarm) == [
        "Data Set 'scans': the data set is said to have 4194327 bytes, and has 4194334",
        "Data Set 'scans': version 3 is said to have 4194327 bytes, and has 4194334",
        "Data Set 'scans': version 2 is said to have 4194326 bytes, and has 4194333",
        "Data Set 'scans': version 1 is said to have 14 bytes, and has 21",
        "Data Set 'scans': the file 'b': it ends at byte 10007 of a byte stream that has 14",
        "Data Set 'scans': the file 'empty': it is said to have 7 bytes, and has no byte stream",
    ]


def test_a_wrong_figure_is_found(alarm, data_set):
    data_set.manifest.get_version(2).file_count = 5
    transaction.commit()
    assert problems(alarm) == ["Data Set 'scans': version 2 is said to have 5 files, and has 4"]


def test_a_stream_of_its_own_is_checked(alarm, log):
    log.sha256 = b"x" * 32
    transaction.commit()
    assert problems(alarm) == [
        f"Data Stream 'log': its content does not have the sha-256 {(b'x' * 32).hex()}",
    ]
    log.stream.size = 7
    transaction.commit()
    assert problems(alarm)[0] == "Data Stream 'log': its byte stream is said to have 7 bytes, and its array has 5"


def test_a_run_does_what_its_budget_allows_and_the_next_goes_on(site, alarm, data_set, log, monkeypatch):
    monkeypatch.setattr(consistency, "SIZE", 1)
    damage(data_set, "a", 1)
    other = site.data_set_module.newContent(id=data_set.getId() + "0", reference="later")
    push(other, {"x": b"x"})
    reports = []
    while True:
        reports.append(check(alarm))
        if "Everything" in reports[-1].text:
            break
        assert alarm.recall()["count"] == 1
    # a run for each path that has bytes; 'a' is the first, and what is wrong with it is told from there on
    assert len(reports) >= 4
    assert all(report.failed for report in reports)
    assert reports[0].text.startswith("Checked so far: 1 files and streams, 0.0 MiB, in the pass begun on ")
    assert f"up to data_set_module/{data_set.getId()}.\n" in reports[0].text
    assert reports[-1].text.startswith("Everything was checked: 6 files and streams, 4.0 MiB")
    assert "Found in this pass: 1:\n" in reports[-1].text


def test_what_was_found_is_told_until_a_whole_pass_finds_nothing(alarm, data_set, monkeypatch):
    version = data_set.manifest.get_version(2)
    version.file_count = 5
    transaction.commit()
    assert problems(alarm) != []
    version.file_count = 4
    transaction.commit()
    with monkeypatch.context() as patch:
        patch.setattr(consistency, "SIZE", 1)
        report = check(alarm)
    assert report.failed
    assert report.text.splitlines()[1].startswith("Found in the pass before, begun on 20")
    assert "  Data Set 'scans': version 2 is said to have 5 files, and has 4" in report.text
    assert problems(alarm) == []


def test_many_problems_are_counted_and_the_first_are_kept(alarm, data_set, monkeypatch):
    monkeypatch.setattr(consistency, "SHOWN", 1)
    data_set.manifest.get_version(2).file_count = 5
    data_set.manifest.get_version(1).size = 0
    transaction.commit()
    report = check(alarm)
    assert report.text.splitlines()[1:] == [
        "Found in this pass: 2, of which the first 1:",
        "  Data Set 'scans': version 2 is said to have 5 files, and has 4",
    ]


def test_a_run_that_is_asked_to_stop_stops_and_the_next_goes_on(alarm, data_set):
    with interruptible(lambda: True):
        report = check(alarm)
    assert report.text.startswith("Checked so far: 0 files and streams")
    assert problems(alarm) == []
    assert alarm.recall()["files"] == 4


def test_a_content_that_was_interrupted_is_read_again(alarm, data_set):
    asked = iter([False] * 6)
    with interruptible(lambda: next(asked, True)):
        check(alarm)
    assert "large" not in (alarm.recall()["path"] or "")
    damage(data_set, "large")
    assert len(problems(alarm)) == 1


def test_a_data_set_that_is_gone_is_passed_over(site, alarm, data_set, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(consistency, "SIZE", 1)
        check(alarm)
    site.data_set_module._delObject(data_set.getId())
    transaction.commit()
    assert problems(alarm) == []


def test_nothing_is_written_but_what_the_alarm_remembers(site, alarm, data_set, log):
    last = site._p_jar.db().lastTransaction()
    check_consistency(alarm)
    changed = {type(each).__name__ for each in site._p_jar._registered_objects}
    assert changed == {"AlarmLog"}
    assert site._p_jar.db().lastTransaction() == last


@pytest.mark.parametrize("user", ["ada", "dan", "nobody"])
def test_only_managers_may_have_it_done(site, alarm, user):
    with as_user(site, user), pytest.raises(NotAuthorised, match=r"^You may not run the alarm 'under_test'\.$"):
        check_consistency(alarm)


def test_a_budget_ends_with_its_bytes_or_its_time():
    assert Budget(60, 1).is_left
    assert not Budget(60, 0).is_left
    assert not Budget(-1, 1).is_left
    budget = Budget(60, 10)
    budget.spend(10)
    assert not budget.is_left
    with interruptible(lambda: True):
        assert not Budget(60, 1).is_left
        assert Budget(60, 1).interrupted
    assert not Budget(60, 1).interrupted
