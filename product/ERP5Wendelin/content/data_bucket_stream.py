"""Data Bucket Stream: many byte strings under keys, also numbered in the order of their arrival.

For what arrives in pieces that have names: a log a flight, a measurement a second. Keys are all text, all bytes, all
numbers or all times (`storage.bucket`); a key that is inserted again gets the next index in place of its old one, and
no index is given twice. So who remembers the last index it has handled finds all that is new behind it.

Whatever returns a sequence returns a lazy one: nothing is loaded but what is taken from it, values one at a time.

State (public format): that of `content.base`, `version` (text), how far its readers are: `int_offset_index` (int or
None), `string_offset_index` (text), and `bucket` (`storage.bucket.NumberedBucket`).
"""

from __future__ import annotations

import hashlib
from datetime import timezone
from typing import Any, ClassVar

from AccessControl.SecurityInfo import ClassSecurityInfo
from DateTime import DateTime

from Products.ERP5Wendelin.content.base import Base
from Products.ERP5Wendelin.content.declaration import declared
from Products.ERP5Wendelin.content.state import ValidationState
from Products.ERP5Wendelin.errors import NotFound
from Products.ERP5Wendelin.permissions import PushData, View
from Products.ERP5Wendelin.storage.bucket import Key, NumberedBucket
from Products.ERP5Wendelin.storage.tree_sequence import TreeSequence


@declared
class DataBucketStream(ValidationState, Base):
    """Buckets by key and by index, with ERP5's methods. Bounds are inclusive unless they are excluded."""

    security = ClassSecurityInfo()
    security.declarePrivate("bucket")

    portal_type = meta_type = "Data Bucket Stream"

    properties: ClassVar[dict[str, str]] = {
        "version": "text",
        "int_offset_index": "int",
        "string_offset_index": "text",
    }

    def __init__(self, id: str, **properties: Any) -> None:
        super().__init__(id, **properties)
        self.bucket = NumberedBucket()

    # what is changed

    @security.protected(PushData)
    def insertBucket(self, key: Any, value: bytes) -> None:
        """Store bytes under a key as the newest bucket. BadInput: a key of another kind, a value that is no bytes."""
        self.bucket.set(_key(key), value)

    @security.protected(PushData)
    def delBucketByKey(self, key: Any) -> None:
        """Remove the bucket of a key, and its index. NotFound when there is none."""
        self.bucket.delete(_key(key))

    @security.protected(PushData)
    def delBucketByIndex(self, index: int) -> None:
        """Remove the bucket of an index, and its key. NotFound when there is none."""
        self.bucket.delete(self.getKeyByIndex(index))

    @security.protected(PushData)
    def initBucketTree(self) -> None:
        """Make it empty; indexes begin at 0 again."""
        self.bucket = NumberedBucket()

    @security.protected(PushData)
    def rebuildIndexTreeByKeyOrder(self) -> None:
        """Number all buckets anew in the order of their keys, from 0 on."""
        self.bucket.renumber()

    # one bucket

    @security.protected(View)
    def getBucketCount(self) -> int:
        """How many buckets there are."""
        return len(self.bucket)

    @security.protected(View)
    def hasBucketKey(self, key: Any) -> bool:
        """Whether there is a bucket of this key."""
        return _key(key) in self.bucket

    @security.protected(View)
    def hasBucketIndex(self, index: int) -> bool:
        """Whether there is a bucket of this index."""
        return self.bucket.has_number(index)

    @security.protected(View)
    def getBucketByKey(self, key: Any) -> bytes:
        """The bytes of a key. NotFound when there is none."""
        return self._value(_key(key))

    @security.protected(View)
    def getBucketByIndex(self, index: int) -> bytes:
        """The bytes of an index. NotFound when there is none."""
        return self._value(self.getKeyByIndex(index))

    @security.protected(View)
    def getKeyByIndex(self, index: int) -> Key:
        """The key of an index. NotFound when there is none."""
        return self.bucket.key_of(index)

    @security.protected(View)
    def getMd5sum(self, key: Any) -> str:
        """The MD5 of a key's bytes, in hexadecimal. NotFound when there is none."""
        return hashlib.md5(self.getBucketByKey(key), usedforsecurity=False).hexdigest()

    @security.protected(View)
    def getMinKey(self, key: Any = None) -> Key | None:
        """The first key, or the first from `key` on; None where there is none."""
        return self.bucket.first_key(_key(key))

    @security.protected(View)
    def getMaxKey(self, key: Any = None) -> Key | None:
        """The last key, or the last up to `key`; None where there is none."""
        return self.bucket.last_key(_key(key))

    @security.protected(View)
    def getMinIndex(self, index: int | None = None) -> int | None:
        """The first index, or the first from `index` on; None where there is none."""
        return self.bucket.first_number(index)

    @security.protected(View)
    def getMaxIndex(self, index: int | None = None) -> int | None:
        """The last index, or the last up to `index`; None where there is none."""
        return self.bucket.last_number(index)

    # lazy sequences in the order of keys, from a key to another, `count` at the most

    @security.protected(View)
    def getBucketKeySequenceByKey(
        self,
        start_key: Any = None,
        stop_key: Any = None,
        count: int | None = None,
        exclude_start_key: bool = False,
        exclude_stop_key: bool = False,
    ) -> TreeSequence:
        """The keys."""
        return self._by_key(lambda key, index: key, start_key, stop_key, count, exclude_start_key, exclude_stop_key)

    @security.protected(View)
    def getBucketValueSequenceByKey(
        self,
        start_key: Any = None,
        stop_key: Any = None,
        count: int | None = None,
        exclude_start_key: bool = False,
        exclude_stop_key: bool = False,
    ) -> TreeSequence:
        """The bytes."""
        return self._by_key(
            lambda key, index: self._value(key), start_key, stop_key, count, exclude_start_key, exclude_stop_key
        )

    @security.protected(View)
    def getBucketKeyItemSequenceByKey(
        self,
        start_key: Any = None,
        stop_key: Any = None,
        count: int | None = None,
        exclude_start_key: bool = False,
        exclude_stop_key: bool = False,
    ) -> TreeSequence:
        """Pairs of key and bytes."""
        return self._by_key(
            lambda key, index: (key, self._value(key)), start_key, stop_key, count, exclude_start_key, exclude_stop_key
        )

    # lazy sequences in the order of indexes, from an index to another, `count` at the most

    @security.protected(View)
    def getBucketKeySequenceByIndex(
        self,
        start_index: int | None = None,
        stop_index: int | None = None,
        count: int | None = None,
        exclude_start_index: bool = False,
        exclude_stop_index: bool = False,
    ) -> TreeSequence:
        """The keys."""
        return self._by_index(
            lambda index, key: key, start_index, stop_index, count, exclude_start_index, exclude_stop_index
        )

    @security.protected(View)
    def getBucketIndexSequenceByIndex(
        self,
        start_index: int | None = None,
        stop_index: int | None = None,
        count: int | None = None,
        exclude_start_index: bool = False,
        exclude_stop_index: bool = False,
    ) -> TreeSequence:
        """The indexes."""
        return self._by_index(
            lambda index, key: index, start_index, stop_index, count, exclude_start_index, exclude_stop_index
        )

    @security.protected(View)
    def getBucketIndexKeySequenceByIndex(
        self,
        start_index: int | None = None,
        stop_index: int | None = None,
        count: int | None = None,
        exclude_start_index: bool = False,
        exclude_stop_index: bool = False,
    ) -> TreeSequence:
        """Pairs of index and key."""
        return self._by_index(
            lambda index, key: (index, key), start_index, stop_index, count, exclude_start_index, exclude_stop_index
        )

    @security.protected(View)
    def getBucketValueSequenceByIndex(
        self,
        start_index: int | None = None,
        stop_index: int | None = None,
        count: int | None = None,
        exclude_start_index: bool = False,
        exclude_stop_index: bool = False,
    ) -> TreeSequence:
        """The bytes."""
        return self._by_index(
            lambda index, key: self._value(key), start_index, stop_index, count, exclude_start_index, exclude_stop_index
        )

    @security.protected(View)
    def getBucketIndexItemSequenceByIndex(
        self,
        start_index: int | None = None,
        stop_index: int | None = None,
        count: int | None = None,
        exclude_start_index: bool = False,
        exclude_stop_index: bool = False,
    ) -> TreeSequence:
        """Pairs of index and bytes."""
        return self._by_index(
            lambda index, key: (index, self._value(key)),
            start_index,
            stop_index,
            count,
            exclude_start_index,
            exclude_stop_index,
        )

    @security.protected(View)
    def getBucketIndexKeyItemSequenceByIndex(
        self,
        start_index: int | None = None,
        stop_index: int | None = None,
        count: int | None = None,
        exclude_start_index: bool = False,
        exclude_stop_index: bool = False,
    ) -> TreeSequence:
        """Index, key and bytes."""
        return self._by_index(
            lambda index, key: (index, key, self._value(key)),
            start_index,
            stop_index,
            count,
            exclude_start_index,
            exclude_stop_index,
        )

    # lists, in memory

    @security.protected(View)
    def getKeyList(self) -> list[Key]:
        """All keys, in their order."""
        return list(self.getBucketKeySequenceByKey())

    @security.protected(View)
    def getItemList(self) -> list[tuple[Key, bytes]]:
        """All pairs of key and bytes, in the order of keys."""
        return list(self.getBucketKeyItemSequenceByKey())

    @security.protected(View)
    def getIndexList(self) -> list[int]:
        """All indexes, in their order."""
        return list(self.getBucketIndexSequenceByIndex())

    @security.protected(View)
    def getIndexKeyTupleList(self) -> list[tuple[int, Key]]:
        """All pairs of index and key, in the order of indexes."""
        return list(self.getBucketIndexKeySequenceByIndex())

    def _by_key(
        self, element: Any, start: Any, stop: Any, count: int | None, exclude_start: bool, exclude_stop: bool
    ) -> TreeSequence:
        return self.bucket.by_key(
            element, _key(start), _key(stop), exclude_start=exclude_start, exclude_stop=exclude_stop, limit=count
        )

    def _by_index(
        self, element: Any, start: Any, stop: Any, count: int | None, exclude_start: bool, exclude_stop: bool
    ) -> TreeSequence:
        return self.bucket.by_number(
            element, start, stop, exclude_start=exclude_start, exclude_stop=exclude_stop, limit=count
        )

    def _value(self, key: Key) -> bytes:
        value = self.bucket.get(key)
        if value is None:
            raise NotFound(f"There is no {key!r} in this data bucket.")
        return value


def _key(key: Any) -> Any:
    """A key as storage has it: Zope's DateTime, which is what scripts have for a time, as Python's."""
    return key.utcdatetime().replace(tzinfo=timezone.utc) if isinstance(key, DateTime) else key
