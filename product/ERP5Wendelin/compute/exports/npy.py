"""A `.npy` file, which numpy.load reads or maps."""

from __future__ import annotations

import os
from pathlib import Path

import numpy

from Products.ERP5Wendelin.blockwise.boxes import boxes
from Products.ERP5Wendelin.compute.exports.selection import BOX_SIZE, Progress, Selection
from Products.ERP5Wendelin.content.npy import header_of
from Products.ERP5Wendelin.storage.array_shape import unnamed


def write_npy(selection: Selection, target: Path, on_progress: Progress) -> None:
    """Write a selection to a file, and on to the disk."""
    done, total = 0, selection.nbytes
    on_progress(done, total)
    with target.open("wb") as file:
        file.write(header_of(selection.shape, selection.dtype))
        for box in boxes(selection.shape, max(BOX_SIZE // selection.dtype.itemsize, 1)):
            elements = numpy.ascontiguousarray(unnamed(selection.read(box)))
            file.write(elements.reshape(-1).view(numpy.uint8).data)
            done += elements.nbytes
            on_progress(done, total)
        file.flush()
        os.fsync(file.fileno())
