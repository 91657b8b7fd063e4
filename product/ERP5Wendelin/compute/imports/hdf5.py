"""HDF5 files: a dataset, chosen by its path as the key, unless it is the only one.

What leads out of the file is refused, for it would read other files of the server with its rights: external and
virtual datasets, and external links.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import numpy

from Products.ERP5Wendelin.blockwise.boxes import BOX_SIZE, Box, boxes, chunk_boxes, in_c_order
from Products.ERP5Wendelin.compute.extras import load
from Products.ERP5Wendelin.compute.imports.incoming import Incoming, check_expansion
from Products.ERP5Wendelin.compute.imports.keys import chosen
from Products.ERP5Wendelin.compute.imports.stored_file import StoredFile
from Products.ERP5Wendelin.errors import BadInput, TooLarge
from Products.ERP5Wendelin.protocol import MIB

CHUNK_MAX = 256 * MIB
"""Bytes of a chunk: it is decompressed as a whole."""

DEPTH_MAX = 32
"""How deep a dataset may lie among the groups that are looked through."""

LINKS_MAX = 32
"""How many soft links a path may take, those that others lead to among them: each could have many of the next."""

VISITED_MAX = 10_000
"""How many groups and datasets are looked through for the only one, or for a list of them."""


class Dataset(Incoming):
    """A dataset, read in boxes that its chunks are cut along, so that each chunk is decompressed once."""

    def __init__(self, dataset: Any, dtype: numpy.dtype) -> None:
        super().__init__(tuple(dataset.shape), dtype)
        self._dataset = dataset
        self._most = max(BOX_SIZE // dtype.itemsize, 1)

    def close(self) -> None:
        self._dataset.file.close()

    def pieces(self, start: int) -> Iterator[numpy.ndarray]:
        chunks = self._dataset.chunks or (1,) * len(self.shape)
        row = math.prod(self.shape[1:])
        if chunks[0] * row <= self._most:
            yield from self._in_order(boxes(self.shape, self._most, chunks[0]), start)
            return
        # rows of chunks that are too large for memory, one after the other
        for first in range(0, self.shape[0], chunks[0]):
            length = min(chunks[0], self.shape[0] - first)
            skipped = start - first * row
            if skipped < length * row:
                yield from self._rows(first, length, chunks, max(skipped, 0))

    def _in_order(self, parts: Iterator[Box], start: int) -> Iterator[numpy.ndarray]:
        position = 0
        for box in parts:
            size = math.prod(each.stop - each.start for each in box)
            if position + size > start:
                yield self._read(box).reshape(-1)[max(start - position, 0) :]
            position += size

    def _rows(self, first: int, length: int, chunks: tuple[int, ...], start: int) -> Iterator[numpy.ndarray]:
        """The elements of `length` rows from `first` on, beginning with the `start`-th."""
        shape = (length, *self.shape[1:])

        def read(box: Box) -> numpy.ndarray:
            return self._read((slice(first + box[0].start, first + box[0].stop), *box[1:]))

        return in_c_order(shape, self.dtype, chunk_boxes(shape, chunks, self._most), read, start)

    def _read(self, box: Box) -> numpy.ndarray:
        # zeros, for of records nothing but the columns is filled in
        result = numpy.zeros([each.stop - each.start for each in box], self.dtype)
        self._dataset.read_direct(result, box)
        return result


def open_hdf5(file: StoredFile, key: str) -> Incoming:
    """The dataset of an HDF5 file that `key` names, or its only one."""
    h5py = load("h5py", "hdf5", "HDF5 files are")
    with ExitStack() as stack, file.understood_as("hdf5"):
        # closed in any case: HDF5 would do it at the end of the process, when there is no Python to read by any more
        opened = stack.enter_context(h5py.File(file, "r"))
        dataset = _dataset(h5py, opened, file.name, key.strip("/"))
        incoming = Dataset(dataset, _checked_dtype(dataset, f"{dataset.name} of {file.name}"))
        check_expansion(file, incoming.nbytes)
        stack.pop_all()
        return incoming


def _dataset(h5py: Any, opened: Any, name: str, key: str) -> Any:
    """The dataset of a path, by links that stay in the file."""
    if not key:
        key = chosen(name, "datasets", list(_paths(h5py, opened)), "")
    found = _follow(h5py, opened, key, name, iter(range(LINKS_MAX)))
    if found is None or isinstance(found, h5py.Datatype):
        chosen(name, "datasets", list(_paths(h5py, opened)), key)
    if isinstance(found, h5py.Group):
        within = [f"{key}/{path}" for path in _paths(h5py, found)]
        if len(within) != 1:
            chosen(f"The group {key!r} of {name}", "datasets", within, "")
        found = _follow(h5py, opened, within[0], name, iter(range(LINKS_MAX)))
    if found.external is not None or found.is_virtual:
        raise BadInput(
            f"{found.name} of {name} has its values in other files, which are not read. Write them into one."
        )
    return found


def _follow(h5py: Any, group: Any, path: str, name: str, links: Iterator[int]) -> Any:
    """What a path from a group leads to; None if nothing. BadInput where it leads out of the file, or in a circle.

    `links` has an item for each soft link that may be taken.
    """
    found = group.file if path.startswith("/") else group
    for part in filter(None, path.split("/")):
        link = found.get(part, getlink=True) if isinstance(found, h5py.Group) else None
        if isinstance(link, h5py.SoftLink):
            if next(links, None) is None:
                raise BadInput(f"{name} has more than {LINKS_MAX} links that lead to one another at {path[:100]!r}.")
            found = _follow(h5py, found, link.path, name, links)
        elif isinstance(link, h5py.HardLink):
            found = found[part]
        elif link is None:
            return None
        else:
            raise BadInput(f"{part!r} of {name} is a link to another file, which is not read. Write it into one.")
    return found


def _paths(h5py: Any, group: Any) -> Iterator[str]:
    """The paths of the datasets in a group, and in those within it, some way down; links are not followed."""
    waiting, visited = [("", group)], 0
    while waiting and visited < VISITED_MAX:
        prefix, each = waiting.pop(0)
        for part in each:
            visited += 1
            if isinstance(each.get(part, getlink=True), h5py.HardLink):
                kind = each.get(part, getclass=True)
                if kind is h5py.Dataset:
                    yield prefix + part
                elif kind is h5py.Group and prefix.count("/") < DEPTH_MAX:
                    waiting.append((f"{prefix}{part}/", each[part]))


def _checked_dtype(dataset: Any, name: str) -> numpy.dtype:
    """The dtype of a dataset's elements. BadInput, TooLarge: of what can be no array, or not in bounded memory."""
    dtype: numpy.dtype = dataset.dtype
    if dataset.shape is None:
        raise BadInput(f"{name} is empty: it has no shape.")
    if dtype.hasobject:
        raise BadInput(
            f"{name} has values of changing length, or references, which no array can have. Write them with a dtype of "
            "fixed size, such as S20."
        )
    chunk = math.prod(dataset.chunks or (1,)) * dtype.itemsize
    if chunk > CHUNK_MAX:
        raise TooLarge(
            f"{name} has chunks of {chunk} bytes, which are read as a whole; at most {CHUNK_MAX} are taken. "
            "Write it with smaller chunks."
        )
    return _without_metadata(dtype)


def _without_metadata(dtype: numpy.dtype) -> numpy.dtype:
    """A dtype without what h5py notes in it, such as the names of an enumeration, which would be stored with it."""
    if dtype.subdtype is not None:
        base, shape = dtype.subdtype
        return numpy.dtype((_without_metadata(base), shape))
    if dtype.names is None:
        return numpy.dtype(dtype.str)
    fields = [dtype.fields[name] for name in dtype.names]  # type: ignore[index]
    return numpy.dtype(
        {
            "names": dtype.names,
            "formats": [_without_metadata(field[0]) for field in fields],
            "offsets": [field[1] for field in fields],
            "itemsize": dtype.itemsize,
        }
    )
