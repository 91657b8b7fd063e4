"""NIfTI images, plain (`.nii`) or in gzip (`.nii.gz`): the voxels as nibabel gives them, scaled if the header says so.

Images are stored with the first axis running fastest, and are put into C order on their way, so that `array[x, y, z]`
is the voxel that nibabel has there. The key `raw` takes the stored values in place of the scaled ones.
"""

from __future__ import annotations

import gzip
import io
from collections.abc import Iterator
from typing import Any, BinaryIO

import numpy

from Products.ERP5Wendelin.compute.extras import load
from Products.ERP5Wendelin.compute.imports.incoming import Binary, Incoming, check_expansion
from Products.ERP5Wendelin.compute.imports.stored_file import StoredFile
from Products.ERP5Wendelin.errors import BadInput

RAW = "raw"

SIZES = {348: "Nifti1Header", 540: "Nifti2Header"}
"""The first number of a file, in either byte order: the header's size."""


class Scaled(Incoming):
    """Stored values times a slope, plus an intercept."""

    def __init__(self, stored: Incoming, slope: float, intercept: float, volumeutils: Any) -> None:
        self._stored = stored
        self._slope, self._intercept = numpy.float64(slope), numpy.float64(intercept)
        self._scale = volumeutils.apply_read_scaling
        super().__init__(stored.shape, self._scaled(numpy.zeros(1, stored.dtype)).dtype, **stored.details)

    def pieces(self, start: int) -> Iterator[numpy.ndarray]:
        return map(self._scaled, self._stored.pieces(start))

    def _scaled(self, values: numpy.ndarray) -> numpy.ndarray:
        return self._scale(values, self._slope, self._intercept)


def open_nifti(file: StoredFile, key: str) -> Incoming:
    """The image of a .nii or .nii.gz file."""
    nibabel = load("nibabel", "nifti", "NIfTI images are")
    if key not in ("", RAW):
        raise BadInput(f"{file.name} holds one image: leave the key out, or give {RAW!r} for values without scaling.")
    with file.understood_as("nifti"):
        header = _header(nibabel, _opened(file), file.name)
        shape, dtype, offset = (
            tuple(map(int, header.get_data_shape())),
            header.get_data_dtype(),
            header.get_data_offset(),
        )
        slope, intercept = header.get_slope_inter()
        details = _details(header)

    def at_voxels() -> BinaryIO:
        opened = _opened(file)
        opened.seek(offset)
        return opened

    stored = Binary(at_voxels, shape, dtype, fortran_order=True, **details)
    check_expansion(file, stored.nbytes)
    if not _is_compressed(file) and offset + stored.nbytes > file.size:
        raise BadInput(
            f"{file.name} is cut off: voxels of shape {shape} and dtype {dtype} end at byte {offset + stored.nbytes}, "
            f"and the file has {file.size}. Push it again."
        )
    if key == RAW or dtype.names or slope is None or (slope, intercept) == (1, 0):
        return stored
    return Scaled(stored, slope, intercept or 0.0, nibabel.volumeutils)


def _header(nibabel: Any, opened: BinaryIO, name: str) -> Any:
    first = opened.read(4)
    kind = SIZES.get(int.from_bytes(first, "little")) or SIZES.get(int.from_bytes(first, "big"))
    if kind is None:
        raise BadInput(f"{name} is no NIfTI image: it begins with {first!r}, not with the size of a header.")
    opened.seek(0)
    header = getattr(nibabel, kind).from_fileobj(opened)
    if bytes(header["magic"])[:2] != b"n+":
        raise BadInput(f"{name} is one of a pair of header and image: write both to one .nii file.")
    return header


def _details(header: Any) -> dict[str, Any]:
    """What is known of space and time: the affine from voxels to millimetres or such, voxel sizes, and their units."""
    return {
        "affine": header.get_best_affine().tolist(),
        "voxel_sizes": [float(size) for size in header.get_zooms()],
        "units": list(header.get_xyzt_units()),
    }


def _is_compressed(file: StoredFile) -> bool:
    file.seek(0)
    return file.read(2) == b"\x1f\x8b"


def _opened(file: StoredFile) -> BinaryIO:
    """The image, decompressed if need be, from its beginning."""
    compressed = _is_compressed(file)
    file.seek(0)
    buffered = io.BufferedReader(file)
    return gzip.GzipFile(fileobj=buffered) if compressed else buffered  # type: ignore[return-value]
