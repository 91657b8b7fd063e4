"""NIfTI images made arrays, compared with what nibabel reads of the same bytes."""

from __future__ import annotations

import gzip
import sys

import nibabel
import numpy
import pytest

from Products.ERP5Wendelin.blockwise import boxes
from Products.ERP5Wendelin.compute.imports import incoming as incoming_module
from Products.ERP5Wendelin.errors import BadInput, TooLarge
from support.array_files import elements, imported, incoming, pushed, same

VALUES = numpy.arange(24_000).reshape(20, 30, 10, 4)
SMALL = VALUES.astype("i2")
AFFINE = numpy.array([[-2, 0, 0, 90], [0, 2, 0, -126], [0, 0, 2.5, -72], [0, 0, 0, 1]])


@pytest.fixture
def site(lake):
    with lake.open() as site:
        yield site


def image(values=SMALL, slope=None, intercept=None, kind=nibabel.Nifti1Image, endianness="<"):
    """The bytes of an image."""
    made = kind(values, AFFINE)
    made.header.set_xyzt_units("mm", "sec")
    header = made.header.as_byteswapped(endianness)
    header.set_slope_inter(slope, intercept)
    made = kind(values, None, header)
    return made.to_bytes()


def of_nibabel(content, kind=nibabel.Nifti1Image):
    """The voxels as nibabel has them."""
    return numpy.asarray(kind.from_bytes(content).dataobj)


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("scaling", [(None, None), (1, 0), (2.5, 0), (1, -3), (0.1, 7)])
def test_an_image_is_the_voxels_that_nibabel_reads(site, compressed, scaling):
    content = image(slope=scaling[0], intercept=scaling[1])
    path = "ada.nii.gz" if compressed else "ada.nii"
    document = imported(site, path, gzip.compress(content) if compressed else content)
    assert same(document, numpy.ascontiguousarray(of_nibabel(content)))


@pytest.mark.parametrize("dtype", ["u1", "i4", "f4", "f8", "c8", "u2", [("R", "u1"), ("G", "u1"), ("B", "u1")]])
def test_values_of_any_kind_are_kept(site, dtype):
    values = VALUES.astype("u1").astype(dtype)
    content = image(values)
    assert same(imported(site, "ada.nii", content), numpy.ascontiguousarray(of_nibabel(content)))


def test_an_image_of_version_2_and_of_the_other_byte_order_is_read(site):
    content = image(slope=2, intercept=1, kind=nibabel.Nifti2Image, endianness=">")
    document = imported(site, "ada.nii", content)
    assert same(document, numpy.ascontiguousarray(of_nibabel(content, nibabel.Nifti2Image)))


def test_stored_values_are_chosen_by_a_key(site):
    content = image(slope=2.5, intercept=1)
    expected = numpy.ascontiguousarray(nibabel.Nifti1Image.from_bytes(content).dataobj.get_unscaled())
    assert same(imported(site, "ada.nii", content, "raw"), expected)
    with pytest.raises(
        BadInput,
        match=r"^'ada\.nii' \(version 1 of 'brain_mri'\) holds one image: leave the key out, or give 'raw' for values "
        r"without scaling\.$",
    ):
        imported(site, "ada.nii", content, "x")


def test_where_the_voxels_are_is_noted(site):
    provenance = imported(site, "ada.nii", image()).getProvenance()
    assert provenance["affine"] == AFFINE.tolist()
    assert provenance["voxel_sizes"] == [2, 2, 2.5, 1]
    assert provenance["units"] == ["mm", "sec"]


@pytest.mark.parametrize("compressed", [False, True])
def test_reading_begins_anywhere(site, compressed, monkeypatch):
    for module in (incoming_module, boxes):
        monkeypatch.setattr(module, "BOX_SIZE", 4_000)
    content = image(slope=2, intercept=1)
    with incoming(site, "ada.nii", gzip.compress(content) if compressed else content) as found:
        expected = of_nibabel(content).reshape(-1)
        for start in (0, 1, 12_345, VALUES.size):
            assert numpy.array_equal(elements(found, start), expected[start:])


def test_an_image_that_was_cut_off_is_refused(site):
    content = image()
    with pytest.raises(
        BadInput,
        match=r"^'ada\.nii' \(version 1 of 'brain_mri'\) is cut off: voxels of shape \(20, 30, 10, 4\) and dtype int16 "
        r"end at byte 48352, and the file has 48350\. Push it again\.$",
    ):
        imported(site, "ada.nii", content[:-2])
    with pytest.raises(
        BadInput, match=r"cannot be read as nifti: Compressed file ended before the end-of-stream marker"
    ):
        imported(site, "ada.nii.gz", gzip.compress(content)[:-2_000])
    with pytest.raises(
        BadInput, match=r"^The file ends 2 bytes before the array does: it was cut off\. Push it again\.$"
    ):
        imported(site, "ada.nii.gz", gzip.compress(content[:-2]))
    assert not site.data_array_module._arrivals


def test_what_is_no_image_is_refused(site):
    header = bytearray(image()[:352])
    with pytest.raises(BadInput, match=r"is no NIfTI image: it begins with b'GIF8', not with the size of a header\.$"):
        imported(site, "ada.nii", b"GIF89a")
    with pytest.raises(BadInput, match=r"cannot be read as nifti: Binary block is wrong size"):
        imported(site, "ada.nii", bytes(header[:100]))
    header[344:348] = b"ni1\0"
    with pytest.raises(BadInput, match=r"is one of a pair of header and image: write both to one \.nii file\.$"):
        imported(site, "ada.nii", bytes(header))
    header[344:348] = b"n+1\0"
    header[70:72] = (9_999).to_bytes(2, "little")
    with pytest.raises(BadInput, match=r"cannot be read as nifti: data code 9999 not recognized"):
        imported(site, "ada.nii", bytes(header))


def test_an_image_that_says_it_expands_beyond_all_bounds_is_refused(site):
    header = bytearray(image()[:352])
    header[40:48] = b"".join(number.to_bytes(2, "little") for number in (3, 30_000, 30_000, 30_000))
    content = gzip.compress(bytes(header) + bytes(100_000))
    with pytest.raises(
        TooLarge,
        match=rf"^'ada\.nii\.gz' \(version 1 of 'brain_mri'\) has {len(content)} bytes and is said to hold an array of "
        r"54000000000000: more than 1100 times as many",
    ):
        imported(site, "ada.nii.gz", content)


def test_a_package_that_is_missing_is_named(site, monkeypatch):
    data_set = pushed(site, {"ada.nii": image()})
    assert data_set.getFileCount() == 1
    monkeypatch.setitem(sys.modules, "nibabel", None)
    with pytest.raises(
        BadInput,
        match=r"^NIfTI images are handled by nibabel, which cannot be loaded here: .*\. "
        r"Install erp5-wendelin\[nifti\]\.$",
    ):
        imported(site, "ada.nii", b"changed")
