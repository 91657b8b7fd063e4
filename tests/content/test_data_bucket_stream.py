from __future__ import annotations

from datetime import datetime, timezone

import pytest
import transaction
from AccessControl.unauthorized import Unauthorized
from DateTime import DateTime
from persistent import GHOST
from Products.PythonScripts.PythonScript import PythonScript
from ZODB.POSException import ConflictError

from Products.ERP5Wendelin.content.data_bucket_stream import DataBucketStream
from Products.ERP5Wendelin.errors import BadInput, NotFound
from support.site import as_user


@pytest.fixture
def buckets(site):
    """Buckets b, a, c, inserted in this order."""
    buckets = site.data_stream_module.newContent("Data Bucket Stream", reference="flights")
    for key in "bac":
        buckets.insertBucket(key, key.encode() * 3)
    return buckets


def test_it_lives_among_the_data_streams_as_a_draft(buckets):
    assert (buckets.getPortalType(), buckets.getReference()) == ("Data Bucket Stream", "flights")
    assert buckets.getRelativeUrl() == f"data_stream_module/{buckets.getId()}"
    assert buckets.getValidationState() == "draft"
    buckets.validate()
    assert buckets.getValidationState() == "validated"


def test_chunks_that_were_noted_are_known(buckets):
    assert not buckets.hasChunk(b"id")
    buckets.noteChunk(b"id")
    assert [buckets.hasChunk(id) for id in (b"id", b"other")] == [True, False]


def test_buckets_are_found_by_key_and_by_index(buckets):
    assert buckets.getBucketCount() == 3
    assert (buckets.getBucketByKey("a"), buckets.getBucketByIndex(0), buckets.getKeyByIndex(0)) == (b"aaa", b"bbb", "b")
    assert (buckets.hasBucketKey("a"), buckets.hasBucketKey("x")) == (True, False)
    assert (buckets.hasBucketIndex(2), buckets.hasBucketIndex(3)) == (True, False)
    assert buckets.getMd5sum("a") == "47bce5c74f589f4867dbd57e9ca9f808"


def test_what_is_not_there_is_not_found(buckets):
    for call in (buckets.getBucketByKey, buckets.delBucketByKey, buckets.getMd5sum):
        with pytest.raises(NotFound, match=r"^There is no 'x' in this data bucket\.$"):
            call("x")
    for call in (buckets.getBucketByIndex, buckets.getKeyByIndex, buckets.delBucketByIndex):
        with pytest.raises(NotFound, match=r"^There is no number 3 in this data bucket\.$"):
            call(3)


def test_ends_are_found_of_all_and_within_a_bound(buckets):
    assert (buckets.getMinKey(), buckets.getMaxKey(), buckets.getMinIndex(), buckets.getMaxIndex()) == ("a", "c", 0, 2)
    assert (buckets.getMinKey("aa"), buckets.getMaxKey("bb"), buckets.getMinIndex(1), buckets.getMaxIndex(1)) == (
        *("b", "b", 1, 1),
    )
    buckets.initBucketTree()
    assert [end() for end in (buckets.getMinKey, buckets.getMaxKey, buckets.getMinIndex, buckets.getMaxIndex)] == [
        None
    ] * 4


def test_sequences_by_key_are_in_the_order_of_keys(buckets):
    assert list(buckets.getBucketKeySequenceByKey()) == ["a", "b", "c"]
    assert list(buckets.getBucketValueSequenceByKey("b")) == [b"bbb", b"ccc"]
    assert list(buckets.getBucketKeyItemSequenceByKey("a", "b")) == [("a", b"aaa"), ("b", b"bbb")]
    assert list(buckets.getBucketKeySequenceByKey(start_key="a", stop_key="c", exclude_start_key=True)) == ["b", "c"]
    assert list(buckets.getBucketKeySequenceByKey(stop_key="c", exclude_stop_key=True, count=1)) == ["a"]


def test_sequences_by_index_are_in_the_order_of_insertion(buckets):
    assert list(buckets.getBucketKeySequenceByIndex()) == ["b", "a", "c"]
    assert list(buckets.getBucketIndexSequenceByIndex(1)) == [1, 2]
    assert list(buckets.getBucketIndexKeySequenceByIndex(0, 1)) == [(0, "b"), (1, "a")]
    assert list(buckets.getBucketValueSequenceByIndex(start_index=0, count=2)) == [b"bbb", b"aaa"]
    assert list(buckets.getBucketIndexItemSequenceByIndex(0, 2, exclude_start_index=True)) == [(1, b"aaa"), (2, b"ccc")]
    assert list(buckets.getBucketIndexKeyItemSequenceByIndex(1, 2, exclude_stop_index=True)) == [(1, "a", b"aaa")]


def test_lists_have_all(buckets):
    assert buckets.getKeyList() == ["a", "b", "c"]
    assert buckets.getItemList() == [("a", b"aaa"), ("b", b"bbb"), ("c", b"ccc")]
    assert buckets.getIndexList() == [0, 1, 2]
    assert buckets.getIndexKeyTupleList() == [(0, "b"), (1, "a"), (2, "c")]


def test_who_remembers_the_last_index_finds_all_that_is_new(buckets):
    seen = buckets.getMaxIndex()
    buckets.insertBucket("b", b"again")
    buckets.delBucketByIndex(seen)
    buckets.insertBucket("d", b"new")
    new = buckets.getBucketIndexKeyItemSequenceByIndex(seen, exclude_start_index=True)
    assert list(new) == [(3, "b", b"again"), (4, "d", b"new")]


def test_removed_buckets_are_gone_with_key_and_index(buckets):
    buckets.delBucketByKey("b")
    buckets.delBucketByIndex(1)
    assert (buckets.getItemList(), buckets.getIndexKeyTupleList()) == ([("c", b"ccc")], [(2, "c")])
    assert buckets.getBucketCount() == 1


def test_indexes_are_rebuilt_in_the_order_of_keys(buckets):
    buckets.rebuildIndexTreeByKeyOrder()
    assert buckets.getIndexKeyTupleList() == [(0, "a"), (1, "b"), (2, "c")]


def test_it_is_emptied(buckets):
    buckets.initBucketTree()
    assert (buckets.getBucketCount(), buckets.getKeyList(), buckets.getIndexList()) == (0, [], [])
    buckets.insertBucket(1, b"numbers now")
    assert buckets.getIndexKeyTupleList() == [(0, 1)]


def test_keys_may_be_dates_of_zope(buckets):
    buckets.initBucketTree()
    date = DateTime("2026/05/01 12:00:00 GMT+2")
    buckets.insertBucket(date, b"noon")
    assert buckets.getKeyList() == [datetime(2026, 5, 1, 10, tzinfo=timezone.utc)]
    assert (buckets.getBucketByKey(date), buckets.hasBucketKey(date + 1)) == (b"noon", False)
    assert len(buckets.getBucketKeySequenceByKey(stop_key=date)) == 1


def test_keys_of_another_kind_and_values_that_are_text_are_refused(buckets):
    with pytest.raises(BadInput, match=r"^The keys of this data bucket are text: 1 cannot be among them\.$"):
        buckets.insertBucket(1, b"")
    with pytest.raises(BadInput, match=r"^A value in a data bucket is bytes, not str: encode it\.$"):
        buckets.insertBucket("a", "text")
    assert buckets.getBucketByKey("a") == b"aaa"


@pytest.fixture
def many(site):
    """2,000 buckets, committed, and nothing of them in memory."""
    many = site.data_stream_module.newContent("Data Bucket Stream", reference="many")
    for index in range(2000):
        many.insertBucket(index, b"%d" % index)
    transaction.commit()
    site._p_jar.cacheMinimize()
    return many


def loaded_values(site):
    """How many values are in memory."""
    return sum(1 for _, value in site._p_jar._cache.lru_items() if type(value).__name__ == "Value")


def test_length_and_slices_of_a_sequence_load_no_value(site, many, monkeypatch):
    read = []
    value = DataBucketStream._value
    monkeypatch.setattr(DataBucketStream, "_value", lambda self, key: read.append(key) or value(self, key))
    for sequence in (many.getBucketKeyItemSequenceByKey(), many.getBucketIndexItemSequenceByIndex()):
        loads = site._p_jar.getTransferCounts(clear=True)[0]
        part = sequence[500:1500]
        assert (len(sequence), len(part), bool(part)) == (2000, 1000, True)
        loads = site._p_jar.getTransferCounts(clear=True)[0]
        assert loads < 2000 / 20
        assert read == []
        assert part[7] == (507, b"507")
        assert read == [507]
        assert loaded_values(site) == 0
        read.clear()


def test_walking_over_values_holds_one_at_a_time(site, many):
    for index, value in enumerate(many.getBucketValueSequenceByIndex()):
        assert value == b"%d" % index
        assert loaded_values(site) == 0
    ghosts = [value._p_state for value in many.bucket._values.values()]
    assert set(ghosts) == {GHOST}


def test_two_who_insert_at_the_same_time_conflict_and_the_second_comes_after(lake, buckets):
    transaction.commit()
    path = buckets.getRelativeUrl()
    buckets.insertBucket("mine", b"1")
    other = lake.db.open(transaction.TransactionManager())
    theirs = other.root()["Application"].erp5.unrestrictedTraverse(path)
    theirs.bucket.set("theirs", b"2")
    other.transaction_manager.commit()
    other.close()
    with pytest.raises(ConflictError):
        transaction.commit()
    transaction.abort()
    buckets.insertBucket("mine", b"1")
    transaction.commit()
    assert buckets.getIndexKeyTupleList()[3:] == [(3, "theirs"), (4, "mine")]


def test_a_script_walks_over_a_sequence(site, buckets):
    script = PythonScript("walk")
    script.ZPythonScript_edit(
        "buckets",
        "pairs = [pair for pair in buckets.getBucketKeyItemSequenceByKey()]\n"
        "sequence = buckets.getBucketIndexKeySequenceByIndex()\n"
        "return pairs, len(sequence), sequence[0], list(sequence[1:])\n",
    )
    pairs = [("a", b"aaa"), ("b", b"bbb"), ("c", b"ccc")]
    assert script.__of__(site)(buckets) == (pairs, 3, (0, "b"), [(1, "a"), (2, "c")])


@pytest.mark.parametrize(
    "change", ["insertBucket('d', b'')", "delBucketByKey('a')", "delBucketByIndex(0)", "initBucketTree()", "bucket"]
)
def test_a_script_of_a_downloader_reads_buckets_and_changes_none(site, buckets, change):
    buckets.validate()
    script = PythonScript("change")
    with as_user(site, "dan"):
        script.ZPythonScript_edit("buckets", "return buckets.getBucketByKey('a')")
        assert script.__of__(site)(buckets) == b"aaa"
        script.ZPythonScript_edit("buckets", f"return buckets.{change}")
        with pytest.raises(Unauthorized):
            script.__of__(site)(buckets)
    assert buckets.getBucketCount() == 3
