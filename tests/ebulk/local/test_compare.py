import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ebulk.local.compare import Kind, classify, outer_join
from ebulk.local.index import known_from
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
