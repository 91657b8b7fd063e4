"""`.npy` and `.npz` files made arrays, and those that are broken, or lie."""

from __future__ import annotations

import io
import zipfile

import numpy
import pytest

from Products.ERP5Wendelin.blockwise import boxes
from Products.ERP5Wendelin.compute.imports import incoming as incoming_module
from Products.ERP5Wendelin.errors import BadInput, TooLarge
from support.array_files import elements, imported, incoming, npy, pushed, same
from support.site import as_user

VALUES = numpy.arange(60_000, dtype=">i4").reshape(20, 30, 100)
RECORDS = numpy.array(
    [("2026-05-01", 1.5, "a"), ("NaT", numpy.nan, "é")], [("time", "M8[s]"), ("v", "f4"), ("t", "U3")]
)

PADDED = numpy.full(6 * 16, 7, "u1").view({"names": ["a", "b"], "formats": ["u1", "f8"], "offsets": [0, 8]})
"""Records with seven bytes between their columns."""

FILE = r"'table.npy' \(version 1 of 'brain_mri'\)"
ZIP = r"'table.npz' \(version 1 of 'brain_mri'\)"


@pytest.fixture
def site(lake):
    with lake.open() as site:
        yield site


@pytest.mark.parametrize(
    "values",
    [
        VALUES,
        RECORDS,
        numpy.asfortranarray(VALUES),
        numpy.array([True, False]),
        numpy.array([1 + 2j, 3]),
        numpy.array([b"ab", b"c"]),
        numpy.zeros((0, 3)),
    ],
    ids=lambda values: f"{values.dtype.kind}{values.shape}{'F' if values.flags.fnc else ''}",
)
def test_an_npy_file_is_the_array_that_numpy_saved(site, values):
    assert same(imported(site, "table.npy", npy(values)), numpy.ascontiguousarray(values))


@pytest.mark.parametrize("order", ["C", "F"])
def test_what_is_between_the_columns_of_records_is_the_files_and_not_the_servers(site, order):
    values = numpy.ndarray((3, 2), PADDED.dtype, PADDED, order=order)
    document = imported(site, "table.npy", npy(values))
    assert document.getArrayIndex(...).tobytes() == PADDED.tobytes()


@pytest.mark.parametrize("version", [(1, 0), (2, 0), (3, 0)])
def test_all_versions_of_the_format_are_read(site, version):
    target = io.BytesIO()
    numpy.lib.format.write_array(target, VALUES, version)
    assert same(imported(site, "table.npy", target.getvalue()), VALUES)


@pytest.mark.parametrize("order", ["C", "F"])
def test_reading_begins_anywhere(site, order, monkeypatch):
    monkeypatch.setattr(incoming_module, "PIECE_SIZE", 4_000)
    for module in (incoming_module, boxes):
        monkeypatch.setattr(module, "BOX_SIZE", 4_000)
    with incoming(site, "table.npy", npy(numpy.array(VALUES, order=order))) as found:
        for start in (0, 1, 999, 1_000, 12_345, VALUES.size - 1, VALUES.size):
            assert elements(found, start).tolist() == list(range(start, VALUES.size))
        assert max(piece.nbytes for piece in found.pieces(0)) <= 4_000


@pytest.mark.parametrize("save", [numpy.savez, numpy.savez_compressed])
def test_an_array_of_an_npz_file_is_chosen_by_its_name(site, save):
    target = io.BytesIO()
    save(target, first=VALUES, second=numpy.asfortranarray(VALUES[:3]))
    document = imported(site, "table.npz", target.getvalue(), "second")
    assert same(document, VALUES[:3])
    assert document.getReference() == "brain_mri/table.npz/second"


def test_the_only_array_of_an_npz_file_needs_no_name(site):
    target = io.BytesIO()
    numpy.savez(target, VALUES)
    assert same(imported(site, "table.npz", target.getvalue()), VALUES)


def test_an_npz_file_without_a_choice_lists_what_there_is(site):
    target = io.BytesIO()
    numpy.savez(target, **{f"a{n:02}": [n] for n in range(25)})
    names = ", ".join(f"'a{n:02}'" for n in range(20))
    with pytest.raises(BadInput, match=rf"^{ZIP} holds 25 arrays\. Choose one by its key: {names}, …\.$"):
        imported(site, "table.npz", target.getvalue())
    with pytest.raises(BadInput, match=rf"^{ZIP} has no 'b'\. Choose one by its key: 'a00', "):
        imported(site, "table.npz", target.getvalue(), "b")


def refused(site, content, message, path="table.npy", key="", error=BadInput):
    """Assert that a file is refused, and that nothing of it stays."""
    with pytest.raises(error, match=message):
        imported(site, path, content, key)
    with as_user(site, "system"):
        assert len(site.data_array_module.objectIds()) == 0
    assert not site.data_array_module._arrivals


def test_a_file_that_was_cut_off_is_refused(site):
    refused(
        site,
        npy(VALUES)[:-7],
        rf"^{FILE} is cut off: an array of shape \(20, 30, 100\) and dtype >i4 has 240000 bytes, and 239993 are "
        r"there\. Push it again\.$",
    )
    refused(site, npy(VALUES)[:100], r"^'table\.npy' \(version 2 of 'brain_mri'\): .*ends within its header")
    refused(site, b"", r"^'table\.npy' \(version 3 of 'brain_mri'\): .*ends within its header")


def test_a_file_with_more_than_an_array_is_refused(site):
    refused(
        site,
        npy(VALUES) * 2,
        rf"^{FILE} has 240128 bytes behind its array of shape \(20, 30, 100\) and dtype >i4\. "
        r"A file with several arrays is to be written by numpy\.savez\.$",
    )


def test_a_key_of_a_file_that_holds_one_array_is_refused(site):
    refused(site, npy(VALUES), rf"^{FILE} holds one array, so there is no 'x' to choose: leave the key out\.$", key="x")


def test_pickles_are_refused_unread(site):
    class Evil:
        def __reduce__(self):
            return (exec, ("raise SystemError('unpickled')",))

    refused(site, npy(numpy.array([Evil()], object)), rf"^{FILE}: .*has objects, which would be pickles")


def header(text, length=None):
    """The beginning of a .npy file with a header of this text."""
    data = text.encode()
    return b"\x93NUMPY\x02\x00" + (len(data) if length is None else length).to_bytes(4, "little") + data


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"PK\x03\x04 no array at all", "This is no .npy file"),
        (header("{'descr': '<f8', 'fortran_order': False, 'shape': (9223372036854775807, 9),}"), "is cut off"),
        (header("{'descr': '<f8', 'fortran_order': False, 'shape': (-1,),}"), r"shape \(-1,\) is none"),
        (header("{'descr': '|V0', 'fortran_order': False, 'shape': (99,),}"), "its elements have no size"),
        (header("{'descr': '<f8', 'fortran_order': False, 'shape': (),}") + bytes(8), r"^\(\) is no shape of an array"),
        (header("__import__('os').abort()"), "is no Python dictionary of values"),
        (header("(" * 60_000), "is no Python dictionary of values"),
        (header("{}", 4_000_000_000), "has 4000000000 bytes; at most 65536 are taken"),
    ],
    ids=["zip", "huge", "negative", "empty", "scalar", "code", "deep", "long"],
)
def test_headers_that_lie_are_refused(site, content, message):
    refused(site, content, message)


def test_a_zip_archive_that_is_broken_is_refused(site):
    target = io.BytesIO()
    numpy.savez(target, a=VALUES)
    content = bytearray(target.getvalue())
    content[1_000] ^= 1
    refused(site, bytes(content), rf"^{ZIP} cannot be read as npz: Bad CRC-32 for file 'a\.npy'$", "table.npz")
    refused(
        site,
        b"PK\x03\x04",
        r"^'table\.npz' \(version 2 of 'brain_mri'\) cannot be read as npz: File is not a zip file$",
        "table.npz",
    )


def zipped(name, content, size=None):
    """A zip archive of one member, whose entry claims another size if that is given."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, content)
        if size is not None:
            archive.infolist()[0].file_size = size
    return target.getvalue()


def test_an_archive_that_says_it_expands_beyond_all_bounds_is_refused(site):
    content = zipped("a.npy", npy(VALUES), 2**40)
    refused(
        site,
        content,
        rf"^{ZIP} has {len(content)} bytes and is said to hold an array of 1099511627776: more than 1100 times as "
        r"many, which is not taken beyond 1073741824 bytes\. Write it uncompressed, or in parts\.$",
        "table.npz",
        error=TooLarge,
    )


def test_a_member_that_is_shorter_than_its_header_says_is_refused(site):
    whole = npy(VALUES)
    refused(
        site,
        zipped("a.npy", whole[:5_000], len(whole)),
        r"(The file ends 235128 bytes before the array does: it was cut off\. Push it again\.|Bad CRC-32)",
        "table.npz",
    )


def test_an_archive_whose_index_takes_all_memory_is_refused(site, monkeypatch):
    monkeypatch.setattr("Products.ERP5Wendelin.compute.imports.stored_file.READ_MAX", 70_000)
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        for number in range(2_000):
            archive.writestr(f"{number}.npy", b"")
    refused(
        site,
        target.getvalue(),
        rf"^{ZIP} cannot be read in bounded memory: it needs \d+ bytes at once, and at most 70000 are taken\. "
        r"Write it in smaller parts\.$",
        "table.npz",
        error=TooLarge,
    )


def test_a_file_that_is_empty_has_nothing_to_choose(site):
    pushed(site, {"other": b"x"})
    refused(site, zipped("readme.txt", b"x"), r"holds 0 arrays\. Choose one by its key: there is none\.$", "table.npz")
