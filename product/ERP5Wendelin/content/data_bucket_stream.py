"""Data Bucket Stream: many byte strings under keys, also numbered in the order of their arrival.

For what arrives in pieces that have names: a log a flight, a measurement a second. Keys are all text, all bytes, all
numbers or all times (`storage.bucket`); a key that is inserted again gets the next index in place of its old one, and
no index is given twice. So who remembers the last index it has handled finds all that is new behind it.

Whatever returns a sequence returns a lazy one: nothing is loaded but what is taken from it, values one at a time.

State (public format): that of `content.base`, `version` (text), how far its readers are: `int_offset_index` (int or
None), `string_offset_index` (text), `bucket` (`storage.bucket.NumberedBucket`), and `recent_chunks`
(`content.recent_chunks`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import timezone
from typing import Any, ClassVar

from AccessControl.SecurityInfo import ClassSecurityInfo
from DateTime import DateTime

from Products.ERP5Wendelin.content.base import Base
from Products.ERP5Wendelin.content.declaration import declared
from Products.ERP5Wendelin.content.recent_chunks import KnowsChunks
from Products.ERP5Wendelin.content.state import ValidationState
from Products.ERP5Wendelin.errors import NotFound
from Products.ERP5Wendelin.permissions import PushData, View
from Products.ERP5Wendelin.storage.bucket import Key, NumberedBucket
from Products.ERP5Wendelin.storage.tree_sequence import TreeSequence


def _key(key: Any) -> Any:
    """A key as storage has it: Zope's DateTime, which is what scripts have for a time, as Python's."""
    return key.utcdatetime().replace(tzinfo=timezone.utc) if isinstance(key, DateTime) else key


def _by_key(what: str, element: Callable[[Any, Key], Any]) -> Callable[..., TreeSequence]:
    """A method that returns `element(self, key)` of each bucket in the order of keys."""

    def sequence(
        self: Any,
        start_key: Any = None,
        stop_key: Any = None,
        count: int | None = None,
        exclude_start_key: bool = False,
        exclude_stop_key: bool = False,
    ) -> TreeSequence:
        return self.bucket.by_key(
            lambda key, index: element(self, key),
            _key(start_key),
            _key(stop_key),
            exclude_start=exclude_start_key,
            exclude_stop=exclude_stop_key,
            limit=count,
        )

    sequence.__doc__ = f"{what}, in the order of keys, from a key to another, `count` at the most."
    return sequence


def _by_index(what: str, element: Callable[[Any, int, Key], Any]) -> Callable[..., TreeSequence]:
    """A method that returns `element(self, index, key)` of each bucket in the order of indexes."""

    def sequence(
        self: Any,
        start_index: int | None = None,
        stop_index: int | None = None,
        count: int | None = None,
        exclude_start_index: bool = False,
        exclude_stop_index: bool = False,
    ) -> TreeSequence:
        return self.bucket.by_number(
            lambda index, key: element(self, index, key),
            start_index,
            stop_index,
            exclude_start=exclude_start_index,
            exclude_stop=exclude_stop_index,
            limit=count,
        )

    sequence.__doc__ = f"{what}, in the order of indexes, from an index to another, `count` at the most."
    return sequence


@declared
class DataBucketStream(ValidationState, KnowsChunks, Base):
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
        self.bucket.clear()

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

    # lazy sequences, see `_by_key` and `_by_index`

    getBucketKeySequenceByKey = _by_key("The keys", lambda self, key: key)
    getBucketValueSequenceByKey = _by_key("The bytes", lambda self, key: self._value(key))
    getBucketKeyItemSequenceByKey = _by_key("Pairs of key and bytes", lambda self, key: (key, self._value(key)))
    security.declareProtected(
        View, "getBucketKeySequenceByKey", "getBucketValueSequenceByKey", "getBucketKeyItemSequenceByKey"
    )

    getBucketKeySequenceByIndex = _by_index("The keys", lambda self, index, key: key)
    getBucketIndexSequenceByIndex = _by_index("The indexes", lambda self, index, key: index)
    getBucketIndexKeySequenceByIndex = _by_index("Pairs of index and key", lambda self, index, key: (index, key))
    getBucketValueSequenceByIndex = _by_index("The bytes", lambda self, index, key: self._value(key))
    getBucketIndexItemSequenceByIndex = _by_index(
        "Pairs of index and bytes", lambda self, index, key: (index, self._value(key))
    )
    getBucketIndexKeyItemSequenceByIndex = _by_index(
        "Index, key and bytes", lambda self, index, key: (index, key, self._value(key))
    )
    security.declareProtected(
        View,
        "getBucketKeySequenceByIndex",
        "getBucketIndexSequenceByIndex",
        "getBucketIndexKeySequenceByIndex",
        "getBucketValueSequenceByIndex",
        "getBucketIndexItemSequenceByIndex",
        "getBucketIndexKeyItemSequenceByIndex",
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

    def _value(self, key: Key) -> bytes:
        value = self.bucket.get(key)
        if value is None:
            raise NotFound(f"There is no {key!r} in this data bucket.")
        return value
