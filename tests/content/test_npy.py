"""Headers of .npy files: those that NumPy reads and writes, and those that somebody made up."""

from __future__ import annotations

import io

import numpy
import pytest

from Products.ERP5Wendelin.content.npy import (
    LARGEST,
    LENGTH_SIZES,
    MAGIC,
    checked_dtype,
    descr_of,
    header_of,
    read_header,
)
from Products.ERP5Wendelin.errors import BadInput

DTYPES = [
    "<f8",
    ">i4",
    "?",
    "c16",
    "S5",
    "<U7",
    "V7",
    "<M8[ns]",
    "<m8[7D]",
    [("time", "<M8[s]"), ("values", "<f4", (3,))],
    [(("A title", "name"), "<i2"), ("nested", [("x", "<f8"), ("y", "S3", (2, 2))])],
    [("naïve", "<f8")],
    [("Σ", "<f8")],
    numpy.dtype([("a", "i1"), ("b", "f8")], align=True),
    [(f"column_{number}", "<f8") for number in range(1000)],
]


def file_of(text, version=b"\1\0"):
    data = text.encode() if isinstance(text, str) else text
    return MAGIC + version + len(data).to_bytes(LENGTH_SIZES[version], "little") + data


def header(**values):
    return file_of(str({"descr": "<f8", "fortran_order": False, "shape": (1,), **values}))


def refusal(data):
    with pytest.raises(BadInput) as caught:
        read_header(io.BytesIO(data))
    return str(caught.value)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_what_is_written_numpy_reads_and_so_do_we(dtype):
    array = numpy.zeros((2, 3), dtype)
    written = header_of(array.shape, array.dtype)
    assert len(written) % 64 == 0
    loaded = numpy.load(io.BytesIO(written + array.tobytes()), max_header_size=LARGEST)
    assert (loaded.shape, loaded.dtype) == (array.shape, array.dtype)
    assert read_header(io.BytesIO(written)) == ((2, 3), array.dtype, False, len(written))


@pytest.mark.parametrize("version", [None, (1, 0), (2, 0), (3, 0)])
@pytest.mark.parametrize("array", [numpy.arange(6.0).reshape(2, 3).T, numpy.float32(7), numpy.zeros((3, 0), "S4")])
def test_what_numpy_writes_is_read(array, version):
    file = io.BytesIO()
    numpy.lib.format.write_array(file, numpy.asanyarray(array), version)
    found = read_header(io.BytesIO(file.getvalue()))
    assert (found.shape, found.dtype, found.fortran_order) == (
        array.shape,
        array.dtype,
        bool(array.ndim and array.size),
    )
    assert found.size + found.nbytes == len(file.getvalue())


def test_header_that_is_too_long_for_version_1_is_of_version_3():
    dtype = numpy.dtype([(f"column_{number}", "<f8") for number in range(5000)])
    written = header_of((1,), dtype)
    assert written[6:8] == b"\3\0"
    assert numpy.load(io.BytesIO(written + bytes(dtype.itemsize)), max_header_size=len(written)).dtype == dtype


def test_claim_of_any_size_is_read_without_taking_memory():
    assert read_header(io.BytesIO(header(shape=(2**60, 2**60)))).nbytes == 2**123


@pytest.mark.parametrize(
    ("data", "detail"),
    [
        (b"", "The .npy file ends within its header: it was cut off, or is none."),
        (b"PK\3\4 an archive", r"This is no .npy file: it begins with b'PK\x03\x04 a', not with b'\x93NUMPY'. "),
        (MAGIC + b"\4\0", "The .npy file has version 4.0; known are 1.0, 2.0 and 3.0."),
        (header()[:-1], "The .npy file ends within its header: it was cut off, or is none."),
        (
            MAGIC + b"\2\0\xff\xff\xff\xff",
            f"The header of the .npy file has 4294967295 bytes; at most {LARGEST} are taken.",
        ),
        (
            file_of("[1, 2]"),
            "The header of the .npy file must have the keys descr, fortran_order, shape, and no others.",
        ),
        (file_of("print(1)"), "The header of the .npy file is no Python dictionary of values."),
        (file_of(b"\xff\xff", b"\3\0"), "The header of the .npy file is no Python dictionary of values."),
        (header(shape=[1]), "The .npy file's shape [1] is none: it must be a tuple of whole numbers from 0."),
        (header(shape=(-1,)), "The .npy file's shape (-1,) is none: it must be a tuple of whole numbers from 0."),
        (header(shape=(True,)), "The .npy file's shape (True,) is none: it must be a tuple of whole numbers from 0."),
        (
            header(shape=(1,) * 33),
            f"The .npy file's shape {(1,) * 33} is none: no array has more than 32 axes, or an axis that 63 bits ",
        ),
        (
            header(shape=(10**4000,) * 2),
            f"The .npy file's shape (1{'0' * 98}… is none: no array has more than 32 axes, or an axis that 63 bits "
            "can't count.",
        ),
        (header(fortran_order=1), "The .npy file's fortran_order must be True or False."),
        (header(descr="|O"), "The dtype '|O' has objects, which would be pickles: they are not taken. "),
        (
            header(descr=[("a", "<f8"), ("b", "|O")]),
            "The dtype [('a', '<f8'), ('b', '|O')] has objects, which would be ",
        ),
        (
            header(descr=("<f8", (3,))),
            "The dtype ('<f8', (3,)) is of sub-arrays: write their lengths at the end of the ",
        ),
        (header(descr="<x8"), "'<x8' is no dtype: "),
        (header(descr=[("a", "<f8")] * 2), "[('a', '<f8'), ('a', '<f8')] is no dtype: "),
        (header(descr=None), "None is no dtype: "),
        (header(descr=["x" * 1000]), f"['{'x' * 98}… is no dtype: "),
    ],
)
def test_file_that_is_none_or_is_not_taken_is_refused(data, detail):
    assert refusal(data).startswith(detail)


@pytest.mark.parametrize("text", ["[" * 60_000, "-" * 60_000 + "1", "{1:" * 20_000, "1" * 60_000, "1+" * 30_000 + "1"])
def test_header_made_to_break_a_parser_is_refused(text):
    assert refusal(file_of(text)) == "The header of the .npy file is no Python dictionary of values."


def test_columns_that_overlap_are_refused():
    dtype = numpy.dtype({"names": ["a", "b"], "formats": ["<f8", "<f8"], "offsets": [0, 4]})
    with pytest.raises(
        BadInput, match=r"^The columns of .* overlap, or are in no order, which no \.npy file can have: "
    ):
        descr_of(dtype)


def test_description_of_a_dtype_is_that_dtype():
    for dtype in map(numpy.dtype, DTYPES):
        assert checked_dtype(descr_of(dtype)) == dtype
