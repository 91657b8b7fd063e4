"""One peer of `python -m bench arrays` at work, in a process of its own, with the Python that has its packages.

    python -m bench.array_peers PEER ACTION PATH SIZE

ACTION is `make` (an array of SIZE bytes at PATH), `mean` (and standard deviation), `read` (slices at random) or
`append` (SIZE bytes, each block on the disk before the next). What it took and what came out is printed as JSON.

No peer compresses, and each is used as it is fastest: zarr with chunks as long as what is read or appended, and with
shards where little is read at a time; HDF5 with contiguous data, but for appending, which needs chunks.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

import numpy

from bench.array_work import BLOCK, DTYPE, MIB, appended, blocks, mean_and_std, read_at_random, sync, timed

Values = numpy.ndarray[Any, numpy.dtype[numpy.float64]]

CACHED = MIB
"""Bytes of a piece of a memmap: NumPy goes over it four times, which is quickest within the processor's cache."""


class Peer(Protocol):
    """Who keeps an array of one axis in a file or a folder."""

    @property
    def piece(self) -> int:
        """Bytes that are read at a time where all of it is read."""

    def make(self, path: Path, length: int) -> Any:
        """A new array of zeros, or of anything, to write to."""

    def open(self, path: Path) -> Any:
        """The array, to be read."""

    def append(self, path: Path, values: Iterator[Values]) -> None:
        """Make an array of these, each on the disk before the next."""


@dataclass(frozen=True)
class Memmap:
    """NumPy's own: a .npy file in the address space. What is appended is written to a file, as fast as a disk goes."""

    piece: int = CACHED

    def make(self, path: Path, length: int) -> Any:
        return numpy.lib.format.open_memmap(path, "w+", DTYPE, (length,))

    def open(self, path: Path) -> Any:
        return numpy.load(path, mmap_mode="r")

    def append(self, path: Path, values: Iterator[Values]) -> None:
        with path.open("wb", buffering=0) as file:
            for block in values:
                file.write(block.data)
                os.fsync(file.fileno())


@dataclass(frozen=True)
class Zarr:
    """zarr 3 and its format 3."""

    piece: int = BLOCK
    chunk: int = BLOCK
    shard: int | None = None
    """Bytes of a file with several chunks."""

    def make(self, path: Path, length: int) -> Any:
        zarr = import_module("zarr")
        shards = None if self.shard is None else (self.shard // DTYPE.itemsize,)
        chunks = (self.chunk // DTYPE.itemsize,)
        return zarr.create_array(path, shape=(length,), chunks=chunks, shards=shards, dtype=DTYPE, compressors=None)

    def open(self, path: Path) -> Any:
        return import_module("zarr").open_array(path, mode="r")

    def append(self, path: Path, values: Iterator[Values]) -> None:
        array = self.make(path, 0)
        for number, block in enumerate(values):
            array.append(block)
            for name in (f"c/{number}", "c", "zarr.json", "."):
                sync(path / name)


@dataclass(frozen=True)
class Hdf5:
    """h5py."""

    piece: int = BLOCK

    def make(self, path: Path, length: int) -> Any:
        return import_module("h5py").File(path, "w").create_dataset("array", (length,), DTYPE)

    def open(self, path: Path) -> Any:
        return import_module("h5py").File(path, "r")["array"]

    def append(self, path: Path, values: Iterator[Values]) -> None:
        rows = BLOCK // DTYPE.itemsize
        with import_module("h5py").File(path, "w") as file:
            array = file.create_dataset("array", (0,), DTYPE, maxshape=(None,), chunks=(rows,))
            for block in values:
                array.resize(len(array) + len(block), axis=0)
                array[-len(block) :] = block
                file.flush()
                sync(path)


PEERS: dict[str, Peer] = {
    "memmap": Memmap(),
    "zarr": Zarr(),
    "zarr-2m": Zarr(chunk=2 * MIB),
    "zarr-shards": Zarr(chunk=MIB // 16, shard=BLOCK),
    "h5py": Hdf5(),
}


def make(peer: Peer, path: Path, size: int) -> int:
    """Make the array, and wait until it is on the disk."""
    array = peer.make(path, size // DTYPE.itemsize)
    start = 0
    for block in blocks(size):
        array[start : start + len(block)] = block
        start += len(block)
    del array
    os.sync()
    return size


def mean(peer: Peer, path: Path, size: int) -> tuple[float, float]:
    """Mean and standard deviation of all elements."""
    array, rows = peer.open(path), peer.piece // DTYPE.itemsize
    return mean_and_std(array[start : start + rows] for start in range(0, size // DTYPE.itemsize, rows))


def read(peer: Peer, path: Path, size: int) -> float:
    """Read at random."""
    array = peer.open(path)
    return read_at_random(lambda start, stop: array[start:stop], size // DTYPE.itemsize)


def append(peer: Peer, path: Path, size: int) -> int:
    """Append."""
    peer.append(path, appended(size))
    return size


ACTIONS = {"make": make, "mean": mean, "read": read, "append": append}


def main(arguments: list[str]) -> int:
    """Do what the command line says."""
    name, action, path, size = arguments
    for package in ("zarr", "h5py"):
        if name.startswith(package):
            import_module(package)  # is not timed
    timed(lambda: ACTIONS[action](PEERS[name], Path(path), int(size)))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
