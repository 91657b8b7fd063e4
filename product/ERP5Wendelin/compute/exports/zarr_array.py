"""A Zarr array, version 2, in a directory: zarr, xarray and dask read it in parallel, chunk by chunk."""

from __future__ import annotations

from pathlib import Path

from Products.ERP5Wendelin.blockwise.boxes import boxes, chunk_boxes, shape_of
from Products.ERP5Wendelin.compute.exports.selection import BOX_SIZE, Progress, Selection
from Products.ERP5Wendelin.compute.extras import load
from Products.ERP5Wendelin.errors import BadInput, TooLarge
from Products.ERP5Wendelin.protocol import MIB

CHUNK_SIZE = 4 * MIB
"""Bytes of a chunk unless others are asked for: whole rows, as many as fit."""

CHUNK_MAX = 256 * MIB
"""Bytes of a chunk: each is in memory as a whole."""


def write_zarr(selection: Selection, target: Path, on_progress: Progress, chunks: tuple[int, ...] = ()) -> None:
    """Write a selection to a directory, in chunks of these lengths. BadInput, TooLarge: they do not fit it."""
    zarr = load("zarr", "zarr", "Zarr arrays are")
    shape, dtype = selection.shape, selection.dtype
    chunks = _checked(chunks, shape, dtype.itemsize) if chunks else _default(shape, dtype.itemsize)
    array = zarr.open_array(zarr.DirectoryStore(str(target)), mode="w", shape=shape, dtype=dtype, chunks=chunks)
    done, total = 0, selection.nbytes
    on_progress(done, total)
    for box in chunk_boxes(shape, chunks, max(BOX_SIZE // dtype.itemsize, 1)):
        elements = selection.read(box)
        array[box] = elements
        done += elements.nbytes
        on_progress(done, total)


def _default(shape: tuple[int, ...], itemsize: int) -> tuple[int, ...]:
    first = next(boxes(shape, max(CHUNK_SIZE // itemsize, 1)), None)
    return tuple(max(length, 1) for length in (shape if first is None else shape_of(first)))


def _checked(chunks: tuple[int, ...], shape: tuple[int, ...], itemsize: int) -> tuple[int, ...]:
    if len(chunks) != len(shape) or min(chunks, default=1) < 1:
        raise BadInput(
            f"{','.join(map(str, chunks))} are no lengths of chunks of an array of shape {shape}: give one of "
            "at least 1 for each axis."
        )
    chunks = tuple(min(chunk, max(length, 1)) for chunk, length in zip(chunks, shape, strict=True))
    size = itemsize
    for chunk in chunks:
        size *= chunk
    if size > CHUNK_MAX:
        raise TooLarge(f"A chunk would have {size} bytes; at most {CHUNK_MAX} are taken. Choose smaller chunks.")
    return chunks
