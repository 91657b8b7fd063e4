import io
import struct

import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_numpy

from ebulk.errors import EbulkError
from ebulk.local.npy import HEADER_SIZE, MAGIC, make_header, read_header

WRITE_HINT = "Write it by numpy.save."


DTYPES = [
    "<f8",
    ">i2",
    "?",
    "u1",
    "S7",
    "<U3",
    "<M8[ns]",
    "<m8[10D]",
    "c16",
    "V5",
    [("n", "<i4"), ("xy", "<f8", (2, 3))],
    [("a", [("b", "S3"), ("c", ">f4")]), (("a title", "d"), "<M8[us]")],
    [("größe", "<f8")],
    [("大小", "<f8")],
    {"names": ["a", "b"], "formats": ["<i2", "<f8"], "offsets": [0, 8], "itemsize": 24},
]


@pytest.mark.filterwarnings("ignore:Stored array in format 3.0:UserWarning")
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_headers_of_numpy_are_understood_and_numpy_understands_ours(tmp_path, dtype):
    array = numpy.zeros((3, 2), dtype)
    numpy.save(tmp_path / "a.npy", array)
    header = read_header(tmp_path / "a.npy")
    assert (header.shape, header.fortran_order, header.itemsize) == (array.shape, False, array.itemsize)
    assert header.offset == (tmp_path / "a.npy").stat().st_size - array.nbytes
    made = make_header(header.descr, header.shape)
    assert len(made) % 64 == 0
    again = numpy.load(io.BytesIO(made + array.tobytes()))
    assert (again.dtype, again.shape) == (array.dtype, array.shape)


@given(st_numpy.array_shapes(min_dims=0, min_side=0), st_numpy.scalar_dtypes())
def test_headers_are_those_of_numpy(shape, dtype):
    written = io.BytesIO()
    numpy.save(written, numpy.zeros(shape, dtype))
    descr = numpy.lib.format.dtype_to_descr(numpy.dtype(dtype))
    loaded = numpy.load(io.BytesIO(make_header(descr, shape) + numpy.zeros(shape, dtype).tobytes()))
    assert (loaded.shape, loaded.dtype) == (shape, dtype)


def test_very_many_columns_make_a_header_of_version_2(tmp_path):
    dtype = numpy.dtype([(f"column {number}", "<f8") for number in range(5000)])
    made = make_header(dtype.descr, (1,))
    assert made[6] == 2
    (tmp_path / "a.npy").write_bytes(made + bytes(dtype.itemsize))
    assert read_header(tmp_path / "a.npy").itemsize == dtype.itemsize == 40_000
    assert numpy.lib.format.read_magic(io.BytesIO(made)) == (2, 0)


def test_fortrans_order_is_told(tmp_path):
    numpy.save(tmp_path / "a.npy", numpy.zeros((3, 2), order="F"))
    assert read_header(tmp_path / "a.npy").fortran_order


def header(text: str) -> bytes:
    return MAGIC + b"\x01\x00" + struct.pack("<H", len(text)) + text.encode()


GOOD = "{'descr': '<f8', 'fortran_order': False, 'shape': (2,)}"
UNCLEAR = "The header of {path} cannot be understood."


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "{path} is no .npy file of a version from 1 to 3."),
        (b"PK\x03\x04", "{path} is no .npy file of a version from 1 to 3."),
        (MAGIC + b"\x04\x00" + bytes(16), "{path} is no .npy file of a version from 1 to 3."),
        (header("{}") + bytes(16), UNCLEAR),
        (header("__import__('os').abort()") + bytes(16), UNCLEAR),
        (header(GOOD.replace("(2,)", "(-2,)")) + bytes(16), UNCLEAR),
        (header(GOOD.replace("(2,)", "(2.0,)")) + bytes(16), UNCLEAR),
        (header(GOOD.replace("(2,)", "2")) + bytes(16), UNCLEAR),
        (header(GOOD.replace("False", "0")) + bytes(16), UNCLEAR),
        (header("(" * 3000) + bytes(16), UNCLEAR),
        (header(GOOD)[:30], UNCLEAR),
        (MAGIC + b"\x02\x00" + struct.pack("<I", HEADER_SIZE + 1) + GOOD.encode(), UNCLEAR),
        (header(GOOD.replace("'<f8'", "'<q8'")) + bytes(16), "The dtype in the header of {path} cannot be understood."),
        (header(GOOD.replace("'<f8'", "7")) + bytes(16), "The dtype in the header of {path} cannot be understood."),
        (header(GOOD.replace("'<f8'", "[('a',)]")), "The dtype in the header of {path} cannot be understood."),
    ],
)
def test_what_is_no_header_is_refused(tmp_path, content, message):
    path = tmp_path / "a.npy"
    path.write_bytes(content)
    with pytest.raises(EbulkError) as caught:
        read_header(path)
    assert (str(caught.value), caught.value.hint) == (message.format(path=path), WRITE_HINT)


@pytest.mark.parametrize(
    "array",
    [numpy.array([None, "x"]), numpy.zeros(2, [("a", "i4"), ("b", "O")]), numpy.zeros(2, [("a", [("b", "O")])])],
    ids=["elements", "a column", "a column of a column"],
)
def test_objects_are_refused(tmp_path, array):
    path = tmp_path / "a.npy"
    numpy.save(path, array, allow_pickle=True)
    with pytest.raises(EbulkError) as caught:
        read_header(path)
    assert str(caught.value) == f"{path} has objects, which are Python's pickles: no lake takes those."
    assert caught.value.hint == "Convert them to numbers, or to text of a fixed length by astype('U20'), and save that."


@pytest.mark.parametrize("change", [-1, 1])
def test_a_file_that_is_shorter_or_longer_than_it_says_is_refused(tmp_path, change):
    path = tmp_path / "a.npy"
    numpy.save(path, numpy.zeros((300, 2)))
    content = path.read_bytes() + b"x"
    path.write_bytes(content[: len(content) - 1 + change])
    with pytest.raises(EbulkError) as caught:
        read_header(path)
    assert str(caught.value) == (
        f"{path} has {4928 + change:,} bytes, but by its header an array of shape (300, 2) in 4,928."
    )
    assert caught.value.hint == f"It was not written to its end, or has something behind it. {WRITE_HINT}"


@given(st.binary(max_size=200))
def test_no_bytes_make_anything_but_an_error(tmp_path_factory, rest):
    path = tmp_path_factory.mktemp("npy") / "a.npy"
    path.write_bytes(MAGIC + rest)
    with pytest.raises(EbulkError):
        read_header(path)
