"""Arrays made files, read by those who read such files: numpy.load and zarr.open."""

from __future__ import annotations

import errno
import os
import sys
import tracemalloc

import numpy
import pytest
import transaction
import zarr

from Products.ERP5Wendelin.compute.exports import npy, selection, zarr_array
from Products.ERP5Wendelin.compute.exports.perform import export_array
from Products.ERP5Wendelin.errors import BadInput, Conflict, NotAuthorised, StorageFull, TooLarge
from Products.ERP5Wendelin.protocol import MIB
from Products.ERP5Wendelin.storage.array_index import parse
from support.site import as_user

VALUES = numpy.arange(60_000, dtype=">i4").reshape(20, 30, 100)
RECORDS = numpy.array(
    [("2026-05-01", 1.5, "a"), ("NaT", numpy.nan, "é")], [("time", "M8[s]"), ("v", "f4"), ("t", "U3")]
)


@pytest.fixture
def site(lake):
    with lake.open() as site:
        yield site


def stored(site, values):
    """A Data Array with these elements, committed."""
    document = site.data_array_module.newContent(reference="table")
    document.initArray(values.shape, values.dtype)
    if values.size:
        document.setArrayIndex(..., values)
    transaction.commit()
    return document


@pytest.fixture
def small_boxes(monkeypatch):
    for module in (selection, npy, zarr_array):
        monkeypatch.setattr(module, "BOX_SIZE", 4_000)


SLICES = ["", "3", "5:15", "::3,::-2,7:90:11", "-1,...,0", "...,::-1", "7:7"]


@pytest.mark.usefixtures("small_boxes")
@pytest.mark.parametrize("text", SLICES)
def test_a_slice_is_the_npy_file_that_numpy_would_save(site, tmp_path, text):
    index = parse(text)
    shape, size = export_array(stored(site, VALUES), tmp_path / "table.npy", index)
    found = numpy.load(tmp_path / "table.npy", mmap_mode=None if 0 in shape else "r")
    assert (found.dtype, found.shape, size) == (VALUES.dtype, VALUES[index].shape, VALUES[index].nbytes)
    assert numpy.array_equal(found, VALUES[index])


@pytest.mark.usefixtures("small_boxes")
@pytest.mark.parametrize("chunks", [(), (7, 30, 100), (3, 7, 11), (99, 99, 99)])
@pytest.mark.parametrize("text", ["", "5:15,::-1"])
def test_a_slice_is_what_zarr_opens(site, tmp_path, text, chunks):
    index = parse(text)
    export_array(stored(site, VALUES), tmp_path / "table.zarr", index, chunks=chunks)
    found = zarr.open(str(tmp_path / "table.zarr"), mode="r")
    assert (found.dtype, found.shape) == (VALUES.dtype, VALUES[index].shape)
    if chunks:
        assert found.chunks == tuple(map(min, chunks, found.shape))
    assert numpy.array_equal(found[...], VALUES[index])


@pytest.mark.parametrize("suffix", ["npy", "zarr"])
@pytest.mark.parametrize("values", [RECORDS, numpy.zeros((0, 3)), VALUES[0, 0].view("S4"), numpy.array([1 + 2j])])
def test_values_of_any_kind_are_written(site, tmp_path, suffix, values):
    target = tmp_path / f"table.{suffix}"
    export_array(stored(site, values), target)
    found = numpy.load(target) if suffix == "npy" else zarr.open(str(target), mode="r")[...]
    assert (found.dtype, found.shape, found.tobytes()) == (values.dtype, values.shape, values.tobytes())


def test_one_element_is_an_array_without_axes(site, tmp_path):
    document = stored(site, VALUES)
    for target in (tmp_path / "one.npy", tmp_path / "one.zarr"):
        assert export_array(document, target, (1, 2, 3)) == ((), 4)
    assert numpy.load(tmp_path / "one.npy") == VALUES[1, 2, 3]
    assert zarr.open(str(tmp_path / "one.zarr"), mode="r")[()] == VALUES[1, 2, 3]


def test_a_line_is_exported_as_its_window(site, tmp_path):
    line = stored(site, VALUES).newContent(portal_type="Data Array Line", index_expression="3:7,...,::2")
    transaction.commit()
    export_array(line, tmp_path / "line.npy", parse("1:"))
    assert numpy.array_equal(numpy.load(tmp_path / "line.npy"), VALUES[4:7, :, ::2])


def test_an_array_that_changes_meanwhile_is_exported_as_it_was(site, tmp_path, lake, monkeypatch):
    monkeypatch.setattr(npy, "BOX_SIZE", 80_000)
    document = stored(site, VALUES)
    calls = []

    def on_progress(done, total):
        calls.append((done, total))
        if not done:
            return
        with lake.db.transaction() as connection:
            connection.get(document._p_oid).array[...] = -1

    export_array(document, tmp_path / "table.npy", on_progress=on_progress)
    assert numpy.array_equal(numpy.load(tmp_path / "table.npy"), VALUES)
    assert calls == [(0, 240_000), (72_000, 240_000), (144_000, 240_000), (216_000, 240_000), (240_000, 240_000)]
    transaction.begin()
    assert document.getArrayIndex((0, 0, 0)) == -1


def test_a_large_array_is_exported_in_little_memory(site, tmp_path, monkeypatch):
    for module in (npy, zarr_array):
        monkeypatch.setattr(module, "BOX_SIZE", MIB)
    document = stored(site, numpy.zeros((64, MIB // 8)))  # 64 MiB
    tracemalloc.start()
    try:
        export_array(document, tmp_path / "table.npy", parse(":,::-1"))
        export_array(document, tmp_path / "table.zarr", parse(":,::-1"), chunks=(64, 1024))
        assert tracemalloc.get_traced_memory()[1] < 24 * MIB
    finally:
        tracemalloc.stop()


def test_an_index_out_of_bounds_is_told_and_nothing_is_written(site, tmp_path):
    with pytest.raises(BadInput, match=r"^Index 999 is out of bounds for axis 0, which has a length of \d+\.$"):
        export_array(stored(site, VALUES), tmp_path / "table.npy", (999,))
    assert list(tmp_path.glob("table*")) == []


@pytest.mark.parametrize("suffix", ["npy", "zarr"])
def test_what_is_there_is_replaced_only_if_asked_to_and_never_by_half_an_array(site, tmp_path, suffix):
    target = tmp_path / f"table.{suffix}"
    document = stored(site, VALUES)
    export_array(document, target)
    document.setArrayIndex(..., VALUES + 1)
    transaction.commit()
    with pytest.raises(
        Conflict, match=rf"^{target} is there already\. Name another target, or replace it \(--replace\)\.$"
    ):
        export_array(document, target)

    def interrupt(done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        export_array(document, target, replace=True, on_progress=interrupt)
    assert [each.name for each in tmp_path.iterdir() if each.name.startswith("table")] == [target.name]
    read = numpy.load if suffix == "npy" else lambda path: zarr.open(str(path), mode="r")
    assert numpy.array_equal(read(target)[...], VALUES)
    export_array(document, target, replace=True)
    assert [each.name for each in tmp_path.iterdir() if each.name.startswith("table")] == [target.name]
    assert numpy.array_equal(read(target)[...], VALUES + 1)


def test_what_a_killed_export_has_left_is_no_hindrance(site, tmp_path):
    (tmp_path / "table.zarr.part").mkdir()
    (tmp_path / "table.zarr.part/0.0.0").write_bytes(b"half a chunk")
    (tmp_path / "table.npy.part").write_bytes(b"half a file")
    document = stored(site, VALUES)
    export_array(document, tmp_path / "table.zarr")
    export_array(document, tmp_path / "table.npy")
    assert not list(tmp_path.glob("*.part"))
    assert numpy.array_equal(zarr.open(str(tmp_path / "table.zarr"), mode="r")[...], VALUES)


def test_a_disk_that_is_full_is_told(site, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(npy.os, "fsync", full)
    target = tmp_path / "table.npy"
    with pytest.raises(
        StorageFull,
        match=rf"^There is no room for the 240000 bytes of {target}: nothing of it is there\. Make room, or name "
        r"another target\.$",
    ):
        export_array(stored(site, VALUES), target)
    assert not list(tmp_path.glob("table*"))


def test_what_cannot_be_exported_is_told(site, tmp_path, monkeypatch):
    document = stored(site, VALUES)
    for name, chunks, message in (
        ("table.csv", (), r"table\.csv does not tell its format: its name should end in \.npy or \.zarr\.$"),
        ("table.npy", (1,), r"^A \.npy file has no chunks: leave them out, or name a target that ends in \.zarr\.$"),
        (
            "table.zarr",
            (1,),
            r"^1 are no lengths of chunks of an array of shape \(20, 30, 100\): give one of at least 1 ",
        ),
        ("table.zarr", (1, 0, 1), r"^1,0,1 are no lengths of chunks"),
    ):
        with pytest.raises(BadInput, match=message):
            export_array(document, tmp_path / name, chunks=chunks)
    monkeypatch.setattr(zarr_array, "CHUNK_MAX", 1_000)
    with pytest.raises(
        TooLarge, match=r"^A chunk would have 3600 bytes; at most 1000 are taken\. Choose smaller chunks\.$"
    ):
        export_array(document, tmp_path / "table.zarr", chunks=(3, 3, 100))
    document.setArrayIndex((0, 0, 0), 7)
    with pytest.raises(
        Conflict,
        match=r"^The array has changes that are not committed: commit or abort them before it is exported\.$",
    ):
        export_array(document, tmp_path / "table.npy")
    transaction.abort()
    with as_user(site, "nobody"), pytest.raises(NotAuthorised, match=r"^You may not see this Data Array\.$"):
        export_array(document, tmp_path / "table.npy")
    monkeypatch.setitem(sys.modules, "zarr", None)
    with pytest.raises(
        BadInput,
        match=r"^Zarr arrays are handled by zarr, which cannot be loaded here: .*\. Install erp5-wendelin\[zarr\]\.$",
    ):
        export_array(document, tmp_path / "table.zarr")
    assert not list(tmp_path.glob("table*"))
