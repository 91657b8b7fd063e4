import hashlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ebulk.local.compare import Kind, Tally, beside, changes, classify, compare, is_changed, outer_join
from ebulk.local.index import Index, Staged, known_from
from ebulk.local.scan import Found

FOUND = Found("a", "a", 3, 10, 20, 7, "100644")
KNOWN = known_from(FOUND, hashlib.sha256(b"abc").digest(), 10, settled=True)

SETS = st.sets(st.text(max_size=2))


@given(SETS, SETS)
def test_each_path_comes_once_in_order_with_what_each_side_has(left, right):
    joined = list(outer_join([(path, 1) for path in sorted(left)], [(path, 2) for path in sorted(right)]))
    assert joined == [
        (path, 1 if path in left else None, 2 if path in right else None) for path in sorted(left | right)
    ]


@pytest.mark.parametrize(
    ("found", "known", "kind"),
    [
        (FOUND, None, Kind.NEW),
        (None, KNOWN, Kind.REMOVED),
        (FOUND, KNOWN, Kind.UNCHANGED),
        (FOUND._replace(size=4), KNOWN, Kind.MODIFIED),
        (FOUND._replace(mode="100755"), KNOWN, Kind.MODIFIED),
        (FOUND._replace(mtime_ns=11), KNOWN, Kind.SUSPECT),
        (FOUND._replace(ctime_ns=21), KNOWN, Kind.SUSPECT),
        (FOUND._replace(inode=8), KNOWN, Kind.SUSPECT),
        (FOUND, KNOWN._replace(ctime_ns=0), Kind.SUSPECT),
        (FOUND, KNOWN._replace(mtime_ns=5), Kind.UNCHANGED),
    ],
)
def test_a_file_is_classified_by_its_stamps(found, known, kind):
    assert classify(found, known) is kind


@pytest.mark.parametrize(
    ("found", "known", "changed"),
    [
        (FOUND, None, True),
        (None, KNOWN, True),
        (FOUND, KNOWN, False),
        (FOUND._replace(size=4), KNOWN, True),
        (FOUND._replace(mtime_ns=11), KNOWN, True),
        (FOUND, KNOWN._replace(ctime_ns=0), False),  # it was too young for its stamps to be trusted, and has them still
        (FOUND._replace(mtime_ns=11), KNOWN._replace(ctime_ns=0), True),
    ],
)
def test_stamps_tell_without_reading_whether_a_file_has_probably_changed(found, known, changed):
    assert is_changed(found, known) is changed


PATHS = st.text("ab/", min_size=1, max_size=3)
SIZES = st.dictionaries(PATHS, st.integers(0, 1), max_size=8)


@settings(deadline=None)  # the disk's time
@given(here=SIZES, base=SIZES, staged=st.dictionaries(PATHS, st.booleans(), max_size=3), batch=st.integers(1, 3))
def test_only_what_may_have_changed_or_is_staged_comes_and_the_rest_is_counted(
    here, base, staged, batch, tmp_path_factory
):
    found = [FOUND._replace(path=path, disk=path, size=size) for path, size in sorted(here.items())]
    known = [KNOWN._replace(path=path, size=size) for path, size in sorted(base.items())]
    marks = [Staged(path, path, removed) for path, removed in sorted(staged.items())]
    with Index(tmp_path_factory.getbasetemp() / "changes.db") as index:
        index.update(known, [row.path for row in index.known()])
        index.unstage([row.path for row in index.staged()])
        for mark in marks:  # each by itself: a file that takes the place of a folder would stage more
            index._connection.execute("INSERT INTO staged VALUES (?, ?, ?, 0)", mark)
        batches = [found[start : start + batch] for start in range(0, len(found), batch)]
        tally = Tally()
        came = list(changes("", batches, index, "", tally))
    everything = list(beside(compare("", found, known), marks))
    unchanged = [file for _, file, row, mark in everything if mark is None and classify(file, row) is Kind.UNCHANGED]
    assert came == [row for row in everything if row[1] not in unchanged or row[1] is None]
    assert (tally.files, tally.size) == (len(unchanged), sum(file.size for file in unchanged))


def test_files_that_are_not_meant_are_not_counted(tmp_path):
    with Index(tmp_path / "index.db") as index:
        index.update([KNOWN, KNOWN._replace(path="b")])
        tally = Tally(counts=lambda file: file.path == "b")
        assert list(changes("", [[FOUND, FOUND._replace(path="b", disk="b")]], index, "", tally)) == []
    assert (tally.files, tally.size) == (1, 3)
