"""Datasets of HDF5 files made arrays, as h5py writes them; and those that lead out of their file."""

from __future__ import annotations

import io
import sys

import h5py
import numpy
import pytest

from Products.ERP5Wendelin.blockwise import boxes
from Products.ERP5Wendelin.compute.imports import hdf5
from Products.ERP5Wendelin.errors import BadInput, TooLarge
from support.array_files import elements, imported, incoming, same

VALUES = numpy.arange(30_000, dtype="<i4").reshape(20, 30, 50)
FILE = r"'scan.h5' \(version 1 of 'brain_mri'\)"


@pytest.fixture
def site(lake):
    with lake.open() as site:
        yield site


def written(write):
    """An HDF5 file, filled by a function."""
    target = io.BytesIO()
    with h5py.File(target, "w") as file:
        write(file)
    return target.getvalue()


def dataset(values=VALUES, **options):
    return written(lambda file: file.create_dataset("scans/ada", data=values, **options))


LAYOUTS = {
    "contiguous": {},
    "chunked": {"chunks": (3, 7, 11)},
    "compressed": {"chunks": (5, 30, 10), "compression": "gzip", "shuffle": True},
    "checked": {"chunks": (20, 1, 50), "fletcher32": True},
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_dataset_of_any_layout_is_the_array_that_h5py_wrote(site, layout):
    assert same(imported(site, "scan.h5", dataset(**LAYOUTS[layout])), VALUES)


@pytest.mark.parametrize("size", [400, 4_000, 40_000])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_reading_begins_anywhere_in_boxes_of_any_size(site, layout, size, monkeypatch):
    for module in (hdf5, boxes):
        monkeypatch.setattr(module, "BOX_SIZE", size)
    with incoming(site, "scan.h5", dataset(**LAYOUTS[layout])) as found:
        for start in (0, 1, 4_567, VALUES.size - 1, VALUES.size):
            assert elements(found, start).tolist() == list(range(start, VALUES.size))


@pytest.mark.parametrize(
    "values",
    [
        numpy.array([(1, b"ab"), (2, b"c")], [("n", ">u2"), ("s", "S4")]),
        numpy.array([1.5, numpy.nan], "f2"),
        numpy.array([True, False]),
        numpy.array([1 + 2j]),
        numpy.zeros((0, 3)),
    ],
    ids=lambda values: str(values.dtype),
)
def test_values_of_any_kind_are_kept(site, values):
    assert same(imported(site, "scan.h5", dataset(values)), values)


def test_what_h5py_notes_in_a_dtype_is_not_stored(site):
    def write(file):
        file.create_dataset("enumeration", data=[1, 0], dtype=h5py.enum_dtype({"A": 0, "B": 1}, "i1"))
        file["texts"] = numpy.array([b"ab"], "S4")
        file["records"] = numpy.array([(b"a", [1, 2])], [("s", "S3"), ("n", "i2", (2,))])

    content = written(write)
    for key, dtype in (("enumeration", "i1"), ("texts", "S4"), ("records", [("s", "S3"), ("n", "i2", (2,))])):
        found = imported(site, "scan.h5", content, key).getArrayDtype()
        assert (found, found.metadata) == (dtype, None)
        assert not found.names or found["s"].metadata is None


def test_a_dataset_is_chosen_by_its_path(site):
    def write(file):
        file["a/x"] = VALUES
        file["a/y"] = VALUES[:2]
        file["b"] = VALUES[:3]
        file["soft"] = h5py.SoftLink("/a/y")
        file["a/circle"] = h5py.SoftLink("circle")

    content = written(write)
    assert same(imported(site, "scan.h5", content, "/a/y"), VALUES[:2])
    assert same(imported(site, "scan.h5", content, "soft"), VALUES[:2])
    for key, message in (
        ("", r"holds 3 datasets\. Choose one by its key: 'b', 'a/x', 'a/y'\.$"),
        ("c", r"has no 'c'\. Choose one by its key: 'b', 'a/x', 'a/y'\.$"),
        ("b/x", r"has no 'b/x'\. Choose one by its key: "),
        ("a", r"^The group 'a' of .* holds 2 datasets\. Choose one by its key: 'a/x', 'a/y'\.$"),
        ("a/circle", r"has more than 32 links that lead to one another at 'circle'\.$"),
    ):
        with pytest.raises(BadInput, match=message):
            imported(site, "scan.h5", content, key)


def test_links_that_lead_to_many_of_one_another_are_given_up(site):
    """All that these lead to by one another would be 100 ** 20 steps."""

    def write(file):
        file["x"] = VALUES
        file["l0"] = h5py.SoftLink("/")
        for number in range(1, 21):
            file[f"l{number}"] = h5py.SoftLink("/" + f"l{number - 1}/" * 100)

    content = written(write)
    assert same(imported(site, "scan.h5", content, "l0/l0/x"), VALUES)
    with pytest.raises(BadInput, match=r"has more than 32 links that lead to one another at '/l"):
        imported(site, "scan.h5", content, "l20/x")


def test_the_only_dataset_of_a_group_needs_no_name(site):
    assert same(imported(site, "scan.h5", dataset(), "scans"), VALUES)


def test_what_leads_out_of_the_file_is_refused(site, tmp_path):
    with h5py.File(tmp_path / "secret.h5", "w") as secret:
        secret["x"] = VALUES

    def write(file):
        file["external_link"] = h5py.ExternalLink(str(tmp_path / "secret.h5"), "/x")
        file["soft"] = h5py.SoftLink("/external_link")
        (tmp_path / "raw").write_bytes(bytes(80))
        file.create_dataset("external", (10,), "f8", external=[(str(tmp_path / "raw"), 0, 80)])
        layout = h5py.VirtualLayout((20, 30, 50), "i4")
        layout[...] = h5py.VirtualSource(str(tmp_path / "secret.h5"), "x", (20, 30, 50))
        file.create_virtual_dataset("virtual", layout)

    content = written(write)
    for key in ("external_link", "soft"):
        with pytest.raises(
            BadInput,
            match=r"^'external_link' of .* is a link to another file, which is not read\. Write it into one\.$",
        ):
            imported(site, "scan.h5", content, key)
    for key in ("external", "virtual"):
        with pytest.raises(
            BadInput, match=rf"^/{key} of .* has its values in other files, which are not read\. Write them into one\.$"
        ):
            imported(site, "scan.h5", content, key)


def test_what_can_be_no_array_is_refused(site):
    def write(file):
        file.create_dataset("texts", data=["a", "bc"])
        file["empty"] = h5py.Empty("f8")
        file.create_dataset("scalar", data=1.5)
        file["type"] = numpy.dtype("f8")

    content = written(write)
    for key, message in (
        ("texts", r"^/texts of .* has values of changing length, or references, which no array can have\. Write them "),
        ("empty", r"^/empty of .* is empty: it has no shape\.$"),
        ("scalar", r"^\(\) is no shape of an array"),
        ("type", r"has no 'type'\. Choose one by its key: "),
    ):
        with pytest.raises(BadInput, match=message):
            imported(site, "scan.h5", content, key)


def test_a_dataset_that_was_hardly_written_to_is_refused(site):
    content = written(lambda file: file.create_dataset("x", (2**40, 2**20), "f8", chunks=(1, 1000)))
    with pytest.raises(
        TooLarge, match=r"is said to hold an array of 9223372036854775808: more than 1100 times as many"
    ):
        imported(site, "scan.h5", content)


def test_chunks_that_are_too_large_for_memory_are_refused(site, monkeypatch):
    monkeypatch.setattr(hdf5, "CHUNK_MAX", 60_000)
    with pytest.raises(
        TooLarge,
        match=r"^/scans/ada of .* has chunks of 120000 bytes, which are read as a whole; at most 60000 are taken\. "
        r"Write it with smaller chunks\.$",
    ):
        imported(site, "scan.h5", dataset(chunks=(20, 30, 50)))


def test_a_file_that_is_broken_is_refused(site):
    content = bytearray(dataset(chunks=(5, 30, 10), compression="gzip"))
    for position in range(len(content) - 4_000, len(content) - 3_000):
        content[position] ^= 0xFF
    with pytest.raises(BadInput, match=rf"^{FILE} cannot be read as hdf5: "):
        imported(site, "scan.h5", bytes(content))
    with pytest.raises(BadInput, match=r"cannot be read as hdf5: .*file signature not found"):
        imported(site, "scan.h5", b"no such format")
    assert not site.data_array_module._arrivals


def test_a_package_that_is_missing_is_named(site, monkeypatch):
    content = dataset()
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(
        BadInput,
        match=r"^HDF5 files are handled by h5py, which cannot be loaded here: .*\. Install erp5-wendelin\[hdf5\]\.$",
    ):
        imported(site, "scan.h5", content)
