"""MemoryArray: used as an Array is, in memory."""

from typing import Any

import numpy
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from zope.interface.verify import verifyObject

from Products.ERP5Wendelin.errors import BadInput
from Products.ERP5Wendelin.interfaces import IArray
from Products.ERP5Wendelin.storage.array import Array
from Products.ERP5Wendelin.storage.memory_array import MemoryArray


def test_it_provides_its_interface() -> None:
    verifyObject(IArray, MemoryArray((2, 3), "f8"))


class AsAnArray(RuleBasedStateMachine):
    """What is done to both an Array and a MemoryArray makes them equal, errors included."""

    def __init__(self) -> None:
        super().__init__()
        self.arrays: list[Any] = [Array((3, 2), "i4"), MemoryArray((3, 2), "i4")]

    def both(self, action: Any) -> None:
        results = []
        for array in self.arrays:
            try:
                results.append(action(array))
            except (BadInput, IndexError) as error:
                results.append((type(error), str(error)))
        assert repr(results[0]) == repr(results[1])

    @rule(values=st.sampled_from([[[1, 2]], [[3, 4]] * 9, numpy.zeros((0, 2)), [1, 2], [[1]], 5]))
    def append(self, values: Any) -> None:
        self.both(lambda array: array.append(values))

    @rule(shape=st.sampled_from([(0, 2), (1, 2), (5, 2), (50, 2), (3, 3), (3,), (-1, 2)]))
    def resize(self, shape: tuple[int, ...]) -> None:
        self.both(lambda array: array.resize(shape))

    @rule(index=st.sampled_from([0, -1, slice(None, None, 2), (slice(1, 3), 1), ..., (0, 0), (0, 0, 0), [0], None, 99]))
    def read(self, index: Any) -> None:
        self.both(lambda array: (array[index], type(array[index])))

    @rule(
        index=st.sampled_from([0, slice(None, None, -1), (..., 1), (2, 1), 99, "x"]),
        values=st.sampled_from([7, [8, 9], [1, 2, 3], "x"]),
    )
    def write(self, index: Any, values: Any) -> None:
        self.both(lambda array: array.__setitem__(index, values))

    @invariant()
    def is_equal(self) -> None:
        for name in ("shape", "dtype", "ndim", "size", "nbytes", "__len__"):
            values = [getattr(array, name) for array in self.arrays]
            values = [value() if callable(value) else value for value in values]
            assert values[0] == values[1]
        assert self.arrays[0][:].tolist() == self.arrays[1][:].tolist() == self.arrays[1].zarray.tolist()


TestAsAnArray = AsAnArray.TestCase
TestAsAnArray.settings = settings(max_examples=30, stateful_step_count=12, deadline=None)


def test_what_is_read_is_a_copy() -> None:
    array = MemoryArray((3,), [("x", "i4")])
    array[:]["x"] = 5
    array[1]["x"] = 5
    assert array[:]["x"].tolist() == [0, 0, 0]


def test_columns_are_renamed() -> None:
    array = MemoryArray((2,), [("x", "i4"), ("y", "f8")])
    array[1] = (1, 2)
    array.rename(["a", "b"])
    assert array[1]["b"] == 2
