"""Arrays of a served lake by `import ebulk`."""

import subprocess
import sys

import numpy
import pytest

import ebulk
from ebulk.library import array as array_module
from ebulk.library.array import _dtype
from ebulk.transfer.array_bytes import PIECE_SIZE
from support.lake import PASSWORD

VALUES = numpy.arange(60, dtype="f8").reshape(5, 4, 3)
RECORDS = numpy.array([(1, [0.5, 1], b"a"), (2, [2, 3], b"bc")], [("n", "<i4"), ("xy", "<f8", (2,)), ("s", "S3")])


@pytest.fixture
def lake(served):
    with ebulk.Lake(served.url, user="ada", password=PASSWORD) as lake:
        yield lake


@pytest.fixture
def array(lake, request):
    """An array of its own for each test, of shape (5, 4, 3)."""
    lake.save_array(request.node.name, VALUES)
    return lake.array(request.node.name)


# what it is


def test_an_array_says_what_it_is(lake, array):
    assert (array.shape, array.dtype, array.ndim, array.size, array.nbytes) == ((5, 4, 3), "f8", 3, 60, 480)
    assert len(array) == 5
    assert repr(array) == f"<ebulk.Array {array.reference!r} of {lake.url}>"
    assert isinstance(array.info, ebulk.ArrayInfo)
    assert (array.info.state, array.info.names) == ("draft", ())


def test_a_lake_lists_its_arrays(lake, array):
    (info,) = (info for info in lake.arrays(array.reference) if info.reference == array.reference)
    assert (info.shape, info.dtype, info.size, info.snapshot) == ((5, 4, 3), "<f8", 480, None)
    assert array.reference not in {info.reference for info in lake.arrays(array.reference, state="invalidated")}


def test_an_array_that_is_not_there_is_told_when_it_is_asked(lake):
    array = lake.array("nowhere")
    for ask in (lambda: array.shape, lambda: array[0], lambda: len(array), array.save, lambda: array.append([1])):
        with pytest.raises(ebulk.NotFoundError, match="There is no array 'nowhere'"):
            ask()


@pytest.mark.parametrize("reference", ["brain_mri/sub-01 T1w", "Kühlung 1", "a%2Fb.c?d#e"])
def test_an_array_may_have_any_name(lake, reference):
    lake.save_array(reference, VALUES)
    assert lake.array(reference)[1, 2, 0] == VALUES[1, 2, 0]
    assert reference in {info.reference for info in lake.arrays()}


def test_an_array_without_a_shape_says_so(lake):
    made = ebulk.ArrayInfo("early", "", "draft", None, None, 0)
    array = array_module.Array(lake._remote, "early", made)
    with pytest.raises(ebulk.EbulkError) as caught:
        array[0]
    assert str(caught.value) == "The array 'early' has no elements yet, nor a shape."
    assert caught.value.hint == "Lake.save_array gives it both."


# reading


@pytest.mark.parametrize(
    "index", ["...", "0", "-1, 2", "1:3", "::-2, 1", ":, ::-1, 1", "4:1:-1, 3, ::2", "1, 2, 0", "3:3", ":, 1:3, -1:"]
)
def test_slices_are_those_of_numpy(array, index):
    found = array[eval(f"numpy.s_[{index}]")]
    expected = VALUES[eval(f"numpy.s_[{index}]")]
    assert type(found) is type(expected)
    assert (found.shape, found.dtype) == (expected.shape, expected.dtype)
    numpy.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(("index", "error"), [(5, "out of bounds"), ([1, 2], "not by list"), ("n", "not by str")])
def test_indices_that_numpy_refuses_or_would_copy_are_errors(array, index, error):
    with pytest.raises(IndexError, match=error):
        array[index]


def test_records_come_as_records(lake, request):
    lake.save_array(request.node.name, RECORDS)
    array = lake.array(request.node.name)
    assert array.dtype == RECORDS.dtype
    assert array.info.names == ("n", "xy", "s")
    numpy.testing.assert_array_equal(array[::-1], RECORDS[::-1])
    assert array[1]["s"] == b"bc"
    numpy.testing.assert_array_equal(array[:]["xy"], RECORDS["xy"])


@pytest.mark.parametrize("dtype", ["<M8[ns]", "?", "<U3", ">i2", "c8", "S4", "u1"])
def test_elements_of_each_kind_come_as_they_were_sent(lake, request, dtype):
    values = numpy.array([[0, 1], [1, 0], [1, 1]], "i8").astype(dtype)
    lake.save_array(request.node.name, values)
    found = lake.array(request.node.name)[1:]
    assert found.dtype == values.dtype
    numpy.testing.assert_array_equal(found, values[1:])


def test_numpys_functions_take_it_for_an_array(array):
    assert numpy.mean(array) == VALUES.mean()
    numpy.testing.assert_array_equal(numpy.asarray(array, "i4"), VALUES.astype("i4"))
    assert [row.sum() for row in array] == [row.sum() for row in VALUES]
    with pytest.raises(ValueError, match="cannot be had without a copy"):
        array.__array__(copy=False)


def test_what_is_larger_than_a_request_comes_in_several_and_in_order(lake, request):
    values = numpy.arange(PIECE_SIZE // 2, dtype="i8").reshape(-1, 8)  # four pieces
    lake.save_array(request.node.name, values)
    array = lake.array(request.node.name)
    numpy.testing.assert_array_equal(array[:], values)
    numpy.testing.assert_array_equal(array[5:-7:2], values[5:-7:2])
    blocks = list(array.iter_blocks(rows=10_000))
    assert all(isinstance(block, ebulk.Block) for block in blocks)
    assert [block.start for block in blocks] == list(range(0, len(values), 10_000))
    assert blocks[-1].stop == len(values)
    numpy.testing.assert_array_equal(numpy.concatenate([block.data for block in blocks]), values)


def test_blocks_are_of_some_rows_and_of_16_mib_by_default(array, monkeypatch):
    assert [(block.start, block.stop) for block in array.iter_blocks()] == [(0, 5)]
    assert [(block.start, block.stop) for block in array.iter_blocks(2, start=1)] == [(1, 3), (3, 5)]
    assert [block.stop for block in array.iter_blocks(2, 1, -2)] == [3]
    monkeypatch.setattr(array_module, "BLOCK_SIZE", 200)
    assert [block.stop for block in array.iter_blocks()] == [2, 4, 5]
    with pytest.raises(ValueError, match="A block has one row or more, not 0"):
        next(array.iter_blocks(0))


def test_who_has_seen_enough_blocks_ends_the_transfer(lake, request):
    lake.save_array(request.node.name, numpy.zeros(4 * PIECE_SIZE, "u1"))
    blocks = lake.array(request.node.name).iter_blocks(rows=1000)
    assert next(blocks).stop == 1000
    blocks.close()


# one state


def test_an_array_shows_one_state_until_it_is_refreshed(lake, array):
    assert array[0, 0, 0] == 0
    lake.save_array(array.reference, numpy.ones((2, 2)))
    assert array.shape == (5, 4, 3)
    numpy.testing.assert_array_equal(array[:], VALUES)
    assert [block.data.sum() for block in array.iter_blocks()] == [VALUES.sum()]
    assert array.refresh() is array
    assert array[:].tolist() == [[1, 1], [1, 1]]


# writing


@pytest.mark.parametrize(
    ("index", "values"),
    [
        ("...", 7),
        ("0", numpy.arange(12.0).reshape(4, 3)),
        ("1:3", numpy.arange(3.0)),
        ("::-1, 0", numpy.arange(15.0).reshape(5, 3)),
        (":, ::-2, 1", numpy.arange(10.0).reshape(5, 2)),
        (":, ::-1", [[1], [2], [3], [4]]),
        ("2, 1, 0", 9.5),
        ("3:3", 5),
        ("0", numpy.arange(12).reshape(1, 1, 4, 3)),
        ("1:4:2", numpy.int32(4)),
    ],
)
def test_assignments_are_those_of_numpy(array, index, values):
    expected = VALUES.copy()
    expected[eval(f"numpy.s_[{index}]")] = values
    array[eval(f"numpy.s_[{index}]")] = values
    numpy.testing.assert_array_equal(array[:], expected)


def test_a_large_assignment_goes_in_parts(array, monkeypatch):
    monkeypatch.setattr(array_module, "BLOCK_SIZE", 40)
    expected = VALUES[::-1, :, ::-1] * 2
    array[::-1] = (VALUES * 2)[..., ::-1]
    numpy.testing.assert_array_equal(array[:], expected)


def test_an_assignment_that_does_not_fit_is_refused(array):
    with pytest.raises(ValueError, match="shape"):
        array[0] = numpy.zeros(5)
    with pytest.raises(ebulk.ConflictError, match="complex128 might lose something"):
        array[0] = numpy.zeros((4, 3), complex)
    numpy.testing.assert_array_equal(array[:], VALUES)


def test_values_are_appended_and_seen(array):
    array.append(VALUES[:2])
    array.append([[[1] * 3] * 4])
    numpy.testing.assert_array_equal(array[:], numpy.concatenate([VALUES, VALUES[:2], numpy.ones((1, 4, 3))]))
    with pytest.raises(ebulk.ConflictError, match="only the first axis may differ"):
        array.append(numpy.zeros((1, 4, 4)))
    with pytest.raises(ebulk.EbulkError, match="has no axis: it is a single value"):
        array.append(5)


def test_many_values_are_appended_in_several_requests(lake, array):
    told = []
    values = numpy.arange(200_000 * 12, dtype="f8").reshape(-1, 4, 3)
    array.append(values[:, ::-1], progress=told.append)
    assert len(array) == 200_005
    numpy.testing.assert_array_equal(array[-3:], values[-3:, ::-1])
    assert told[-1] == ebulk.Snapshot("Transferring", 1, 1, values.nbytes, values.nbytes)


def test_arrays_in_any_order_of_memory_are_sent(lake, request):
    for values in (
        numpy.asfortranarray(VALUES),
        VALUES.T,
        VALUES[::-2, :, 1],
        numpy.broadcast_to(VALUES[0], (3, 4, 3)),
    ):
        report = lake.save_array(request.node.name, values)
        assert isinstance(report, ebulk.ArrayPushReport)
        assert report.shape == values.shape
        numpy.testing.assert_array_equal(lake.array(request.node.name)[:], values)


def test_an_array_of_zeros_is_made_and_filled(lake, request):
    array = lake.create_array(request.node.name, (2, 2), RECORDS.dtype, title="Points")
    assert (array.shape, array.dtype, array.info.title) == ((2, 2), RECORDS.dtype, "Points")
    array[1] = RECORDS
    assert array[:]["n"].tolist() == [[0, 0], [1, 2]]
    assert lake.create_array(request.node.name, (2, 2), RECORDS.dtype).shape == (2, 2)
    with pytest.raises(ebulk.ConflictError):
        lake.create_array(request.node.name, (3, 2), RECORDS.dtype)


def test_objects_are_refused_before_anything_is_sent(lake, array):
    for send in (
        lambda: lake.save_array("objects", numpy.array([None, "x"])),
        lambda: lake.create_array("objects", (2,), object),
        lambda: array.append(numpy.full((1, 4, 3), None)),
    ):
        with pytest.raises(ebulk.EbulkError, match="which are Python objects: no lake takes those") as caught:
            send()
        assert caught.value.hint == "Convert them to numbers, or to text of a fixed length by astype('U20')."


# files


def test_an_array_is_saved_as_npy_and_sent_back(lake, array, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    report = array.save()
    assert isinstance(report, ebulk.ArrayReport)
    numpy.testing.assert_array_equal(numpy.load(f"{array.reference}.npy"), VALUES)
    array.save("part.npy", slice="1:3,::2")
    numpy.testing.assert_array_equal(numpy.load("part.npy"), VALUES[1:3, ::2])
    report = lake.save_array(array.reference, tmp_path / "part.npy")
    assert report.shape == (2, 2, 3)
    assert lake.save_array(array.reference, "part.npy", append=True).shape == (4, 2, 3)
    assert array.refresh().shape == (4, 2, 3)


# without numpy, and with lakes that lie


def test_what_needs_numpy_says_so_and_the_rest_works_without(lake, array, tmp_path, monkeypatch):
    numpy.save(tmp_path / "values.npy", VALUES)
    monkeypatch.setitem(sys.modules, "numpy", None)
    assert array.refresh().shape == (5, 4, 3)
    assert lake.save_array(array.reference, tmp_path / "values.npy").shape == (5, 4, 3)
    array.save(tmp_path / "again.npy")
    assert (tmp_path / "again.npy").read_bytes()[-480:] == VALUES.tobytes()
    for ask in (lambda: array[0], lambda: array.dtype, lambda: array.append([1]), lambda: lake.save_array("x", [1])):
        with pytest.raises(ebulk.EbulkError) as caught:
            ask()
        assert str(caught.value) == "An array needs NumPy, which is not installed."
        assert caught.value.hint == "`pip install numpy` gets it."


def test_importing_the_library_does_not_load_numpy():
    code = "import ebulk, sys; ebulk.Lake, ebulk.Array, ebulk.Block; print('numpy' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == "False\n"


@pytest.mark.parametrize(
    "value", ["|O", "nonsense", [["a", "|O"]], [["a"]], [1], [["a", ["b"]]], "|V0", [], "<f8,<f8x"]
)
def test_a_dtype_that_must_not_be_filled_with_bytes_is_no_answer(value):
    with pytest.raises(ebulk.EbulkError, match="The lake's answer cannot be understood: .* is no dtype"):
        _dtype(value)
