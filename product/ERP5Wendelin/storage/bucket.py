"""DataBucket: an ordered mapping from text keys to byte strings, each value in a record of its own.

Keys are in the order of their code points. Values are read one by one, so that walking over a bucket of any size takes
the memory of one value.
"""

from __future__ import annotations

from collections.abc import Iterator

from BTrees.Length import Length
from BTrees.OOBTree import OOBTree
from persistent import Persistent
from zope.interface import implementer

from .. import errors
from ..interfaces import IDataBucket
from ..protocol import MIB, SLICE_SIZE


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

    def get(self, key: str, default: bytes | None = None) -> bytes | None:
        """The bytes of a key, or `default`."""
        value = self._values.get(key)
        return default if value is None else _data(value)

    def set(self, key: str, data: bytes) -> None:
        """Store bytes under a key, in place of those it had. TooLarge beyond what one transaction may write."""
        if not isinstance(key, str):
            raise errors.BadInput(f"A key of a data bucket is text, not {type(key).__name__}.")
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

    def delete(self, key: str) -> None:
        """Remove a key. NotFound when it isn't there."""
        try:
            del self._values[key]
        except KeyError:
            raise errors.NotFound(f"There is no {key!r} in this data bucket.") from None
        self._length.change(-1)

    def keys(self, start: str | None = None, stop: str | None = None) -> Iterator[str]:
        """Iterate in order over the keys from `start` up to, not including, `stop`."""
        return iter(self._values.keys(start, stop, excludemax=stop is not None))

    def items(self, start: str | None = None, stop: str | None = None) -> Iterator[tuple[str, bytes]]:
        """Iterate in order over key and bytes from `start` up to, not including, `stop`."""
        for key, value in self._values.items(start, stop, excludemax=stop is not None):
            yield key, _data(value)

    def __contains__(self, key: str) -> bool:
        """Whether it has a key."""
        return key in self._values

    def __len__(self) -> int:
        """The number of keys."""
        return self._length()


def _data(value: Value) -> bytes:
    data = value.data
    # Memory goes back at once, unless the value is yet to be committed.
    value._p_deactivate()
    return data
