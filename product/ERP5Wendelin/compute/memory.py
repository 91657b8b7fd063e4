"""What a batch remembers from one run to the next: plain values, copied, so that nobody else changes them.

A script changes its values in place (`state["sum"] += block`), so what is committed is a copy. After a conflict the
script's own values are made what was committed last: it may hold them by other names.

Values are numbers, texts, bytes, dates, NumPy's arrays without objects, and lists, tuples, sets and dictionaries of
these, up to SIZE_MAX.
"""

from __future__ import annotations

import pickle
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from fractions import Fraction
from itertools import zip_longest
from typing import Any

import numpy

from Products.ERP5Wendelin.content.progress_indicator import Memory, Progress
from Products.ERP5Wendelin.errors import BadInput
from Products.ERP5Wendelin.protocol import MIB

SIZE_MAX = 16 * MIB
"""The most that a batch remembers: it is written anew with each checkpoint before which it has changed."""

_PLAIN = (type(None), bool, int, float, complex, str, bytes, date, datetime, time, timedelta, Decimal, Fraction)


class BatchState:
    """The values that a script has, and those that are stored."""

    def __init__(self, progress: Progress | None) -> None:
        """Those of a progress; without one, none."""
        self.values: dict[str, Any] = {}
        self.restore(progress)

    def restore(self, progress: Progress | None) -> None:
        """Make the values what is stored, and with them what the script holds of them in other names."""
        stored, self._pickled = _copied({} if progress is None else progress.memory.values)
        _put_back(self.values, stored)

    def store(self, progress: Progress) -> None:
        """Store the values in the current transaction, if they have changed. BadInput: see the module."""
        values, pickled = _copied(self.values)
        if pickled != self._pickled:
            progress.memory = Memory()
            progress.memory.values = values
            self._pickled = pickled


def _copied(values: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
    """A deep copy of values, and bytes that differ where values do."""
    copy = _copy(values, "batch.state")
    pickled = pickle.dumps(copy)
    if len(pickled) > SIZE_MAX:
        raise BadInput(
            f"batch.state takes {len(pickled):,} bytes, and {SIZE_MAX:,} at the most are kept: keep what is larger in "
            "a Data Array."
        )
    return copy, pickled


def _copy(value: Any, place: str) -> Any:
    if type(value) in _PLAIN:
        return value
    if isinstance(value, (numpy.ndarray, numpy.generic)) and not value.dtype.hasobject:
        return numpy.array(value) if isinstance(value, numpy.ndarray) else value.copy()
    if type(value) is dict:
        return {_copy(key, f"a key of {place}"): _copy(item, f"{place}[{key!r}]") for key, item in value.items()}
    if type(value) in (list, tuple, set, frozenset):
        return type(value)(_copy(item, f"{place}[{number}]") for number, item in enumerate(value))
    raise BadInput(
        f"{place} can't be kept: it is of type {type(value).__name__}. Keep numbers, texts, bytes, dates, NumPy's "
        "arrays without objects, and lists, tuples, sets and dictionaries of these; of a document its relative URL."
    )


def _put_back(old: Any, new: Any) -> Any:
    """Make an old value what a new one is, in place if it can be, and return the one to keep."""
    if type(old) is not type(new):
        return new
    if isinstance(old, dict):
        items = {key: _put_back(old.get(key), item) for key, item in new.items()}
        old.clear()
        old.update(items)
        return old
    if isinstance(old, list):
        old[:] = [_put_back(before, item) for before, item in zip_longest(old, new)][: len(new)]
        return old
    if isinstance(old, set):
        old.clear()
        old.update(new)
        return old
    if isinstance(old, numpy.ndarray) and (old.dtype, old.shape) == (new.dtype, new.shape) and old.flags.writeable:
        old[...] = new
        return old
    return new
