"""DataBucket: an ordered mapping from keys to byte strings, each value in a record of its own.

The keys of a bucket are all text (in the order of code points), all bytes, all numbers or all times. Values are read
one by one, so that walking over a bucket of any size takes the memory of one value.

NumberedBucket also numbers its keys in the order of their commits, so that who remembers the last number it has seen
finds what is new. Two transactions that add at the same time conflict, and one of them is repeated: were numbers given
out without, a reader could pass a number that is yet to be committed, and never see it. For the same reason no number
is given twice.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from datetime import datetime, timezone
from numbers import Integral, Real
from typing import Any

from BTrees.Length import Length
from BTrees.LOBTree import LOBTree
from BTrees.OLBTree import OLBTree
from BTrees.OOBTree import OOBTree
from persistent import Persistent
from zope.interface import implementer

from .. import errors
from ..interfaces import IDataBucket
from ..protocol import MIB, SLICE_SIZE
from .tree_sequence import TreeSequence

Key = str | bytes | int | float | datetime

KINDS: dict[str, Any] = {"text": str, "bytes": bytes, "numbers": (int, float), "times": datetime}
"""What the keys of one bucket may be: their order is defined among their kind only."""


class Value(Persistent):
    """The bytes of one key, `data`."""

    def __init__(self, data: bytes) -> None:
        """Hold `data`."""
        self.data = data


@implementer(IDataBucket)
class DataBucket(Persistent):
    """`_values`: OOBTree from key to Value; `_length`: their number, by which two additions don't conflict."""

    def __init__(self) -> None:
        """Make an empty bucket."""
        self._values = OOBTree()
        self._length = Length()

    def get(self, key: Key, default: bytes | None = None) -> bytes | None:
        """The bytes of a key, or `default`."""
        value = self._values.get(self._checked(key))
        return default if value is None else _data(value)

    def set(self, key: Key, data: bytes) -> None:
        """Store bytes under a key, in place of those it had.

        TooLarge beyond what one transaction may write; BadInput for a key of another kind than the others.
        """
        key = self._checked(key)
        if not isinstance(data, (bytes, bytearray, memoryview)):
            raise errors.BadInput(f"A value in a data bucket is bytes, not {type(data).__name__}: encode it.")
        if len(data) > SLICE_SIZE:
            raise errors.TooLarge(
                f"A value of {len(data)} bytes is too large for a data bucket, which takes up to "
                f"{SLICE_SIZE // MIB} MiB a key. Put it into a data stream."
            )
        value = self._values.get(key)
        if value is None:
            self._values[key] = Value(bytes(data))
            self._length.change(1)
        else:
            value.data = bytes(data)

    def delete(self, key: Key) -> None:
        """Remove a key. NotFound when it isn't there."""
        try:
            del self._values[self._checked(key)]
        except KeyError:
            raise errors.NotFound(f"There is no {key!r} in this data bucket.") from None
        self._length.change(-1)

    def keys(self, start: Key | None = None, stop: Key | None = None) -> Iterator[Key]:
        """Iterate in order over the keys from `start` up to, not including, `stop`."""
        return iter(self._values.keys(start, stop, excludemax=stop is not None))

    def items(self, start: Key | None = None, stop: Key | None = None) -> Iterator[tuple[Key, bytes]]:
        """Iterate in order over key and bytes from `start` up to, not including, `stop`."""
        for key, value in self._values.items(start, stop, excludemax=stop is not None):
            yield key, _data(value)

    def __contains__(self, key: Key) -> bool:
        """Whether it has a key."""
        return self._checked(key) in self._values

    def __len__(self) -> int:
        """The number of keys."""
        return self._length()

    def _checked(self, key: Any) -> Key:
        """A key as it is stored; BadInput if it is none, or of another kind than those that are here."""
        key = stored_key(key)
        if self._values:
            kind, present = kind_of(key), kind_of(self._values.minKey())
            if kind != present:
                raise errors.BadInput(f"The keys of this data bucket are {present}: {key!r} cannot be among them.")
        return key


class NumberedBucket(DataBucket):
    """DataBucket's state, and `_numbers`: OLBTree from key to number, `_keys`: LOBTree from number to key, `_next`."""

    def __init__(self) -> None:
        """Make an empty bucket."""
        super().__init__()
        self._numbers = OLBTree()
        self._keys = LOBTree()
        self._next = Length()

    def set(self, key: Key, data: bytes) -> None:
        """Store bytes under a key, and give it the next number, in place of the one it had."""
        super().set(key, data)
        _conflict_with_changes_of(self)
        key = stored_key(key)
        old = self._numbers.get(key)
        if old is not None:
            del self._keys[old]
        self._number(key)

    def delete(self, key: Key) -> None:
        """Remove a key with its number. NotFound when it isn't there."""
        super().delete(key)
        _conflict_with_changes_of(self)
        del self._keys[self._numbers.pop(stored_key(key))]

    def clear(self) -> None:
        """Remove all keys; numbers begin at 0 again."""
        self._conflict_with_changes()
        self._values = OOBTree()
        self._length = Length()
        self._numbers = OLBTree()
        self._keys = LOBTree()
        self._next = Length()

    def renumber(self) -> None:
        """Number all keys anew, from 0 on in their order, in the current transaction."""
        self._conflict_with_changes()
        self._keys = LOBTree()
        self._next = Length()
        for key in list(self._numbers):
            self._number(key)

    def key_of(self, number: int) -> Key:
        """The key of a number. NotFound when there is none."""
        try:
            return self._keys[number]
        except (KeyError, TypeError):
            raise errors.NotFound(f"There is no number {number!r} in this data bucket.") from None

    def has_number(self, number: int) -> bool:
        """Whether a key has this number."""
        return number in self._keys

    def by_key(self, element: Callable[[Key, int], Any], start: Key | None, stop: Key | None, **part: Any) -> Any:
        """The lazy sequence of `element(key, number)` for keys from `start` to `stop`; `part`: see TreeSequence."""
        start, stop = (None if key is None else self._checked(key) for key in (start, stop))
        return TreeSequence(self._numbers, element, start, stop, **part)

    def by_number(self, element: Callable[[int, Key], Any], start: int | None, stop: int | None, **part: Any) -> Any:
        """The lazy sequence of `element(number, key)` for numbers from `start` to `stop`; `part`: see TreeSequence."""
        return TreeSequence(self._keys, element, start, stop, **part)

    def first_key(self, start: Key | None = None) -> Key | None:
        """The first key, or the first from `start` on; None where there is none."""
        return _end(self._numbers.minKey, None if start is None else self._checked(start))

    def last_key(self, stop: Key | None = None) -> Key | None:
        """The last key, or the last up to `stop`; None where there is none."""
        return _end(self._numbers.maxKey, None if stop is None else self._checked(stop))

    def first_number(self, start: int | None = None) -> int | None:
        """The first number, or the first from `start` on; None where there is none."""
        return _end(self._keys.minKey, start)

    def last_number(self, stop: int | None = None) -> int | None:
        """The last number, or the last up to `stop`; None where there is none."""
        return _end(self._keys.maxKey, stop)

    def _conflict_with_changes(self) -> None:
        _conflict_with_changes_of(self._next)  # which every `set` writes
        _conflict_with_changes_of(self._length)  # and every `delete`

    def _number(self, key: Key) -> None:
        number = self._next()
        self._next.change(1)  # two transactions both add 1; what they conflict in is the number's key
        self._keys[number] = key
        self._numbers[key] = number


def stored_key(key: Any) -> Key:
    """A key as it is stored: numbers as Python's own, times in UTC. BadInput for what has no order among its kind."""
    if isinstance(key, datetime):
        if key.tzinfo is None:
            raise errors.BadInput(f"The time {key} has no time zone, so it cannot be a key of a data bucket.")
        return key.astimezone(timezone.utc)
    if isinstance(key, (str, bytes)):
        return key
    if not isinstance(key, bool) and isinstance(key, Real):
        if isinstance(key, Integral):
            return int(key)
        if not math.isnan(key):
            return float(key)
    raise errors.BadInput(f"A key of a data bucket is text, bytes, a number or a time, not {type(key).__name__}.")


def kind_of(key: Key) -> str:
    """Which of KINDS a key is of."""
    return next(kind for kind, types in KINDS.items() if isinstance(key, types))


def _conflict_with_changes_of(thing: Persistent) -> None:
    """Let the current transaction fail if another changes an object that this one does not.

    Who renumbers or clears puts new trees in place of those that others write to at the same time, and changes none of
    their records.
    """
    if thing._p_jar is not None:
        thing._p_activate()
        thing._p_jar.readCurrent(thing)


def _end(end_of_tree: Callable[..., Any], bound: Any) -> Any:
    try:
        return end_of_tree() if bound is None else end_of_tree(bound)
    except ValueError:  # no such key
        return None


def _data(value: Value) -> bytes:
    data = value.data
    # Memory goes back at once, unless the value is yet to be committed.
    value._p_deactivate()
    return data
