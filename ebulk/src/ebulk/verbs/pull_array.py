"""Brings an array, or a slice of one, into a .npy file: as the lake has it at one moment, however long it takes."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from ebulk.errors import NotFoundError
from ebulk.local.output_file import default_path, is_special
from ebulk.local.unfinished import Unfinished
from ebulk.remote.arrays import NPY, ArrayPart, OutsideError
from ebulk.remote.lake import Lake
from ebulk.transfer.array_bytes import ArrayBytes
from ebulk.transfer.crew import JOBS
from ebulk.transfer.disk import unwritable
from ebulk.verbs.observer import SILENT, Observer

GOING_ON = "Going on with the array as it was when its download was begun; pull again to get what came since."
BEGUN_ANEW = "The lake does not have the array any more as it was when its download was begun: it is begun anew."


@dataclass(frozen=True, slots=True)
class ArrayReport:
    """What a pull of an array did."""

    reference: str
    slice: str
    file: str
    snapshot: str | None
    """The state of the lake that the file is of."""
    received: int
    """Bytes that came."""
    size: int
    """Bytes in the file."""


def default_file(reference: str) -> Path:
    """The file for what has no other. UsageError where a file cannot be named so."""
    return default_path(f"{reference}.npy")


def pull_array(
    lake: Lake, reference: str, file: Path, slice: str = "", *, jobs: int = JOBS, observer: Observer = SILENT
) -> ArrayReport:
    """Bring a slice of an array, as `0:100,::2` ("" is everything), into a file, in place of what is there.

    One that was broken off goes on, in the state of the array that it began with, if the lake still has that.
    """
    try:
        if file.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        if is_special(file):
            with open(file, "wb") as out:
                return copy_array(lake, reference, out, slice, name=str(file), jobs=jobs, observer=observer)
        with Unfinished(file) as unfinished:
            return _go_on(lake, reference, slice, file, unfinished, jobs, observer)
    except OSError as error:
        raise unwritable(error, file) from error


def copy_array(
    lake: Lake,
    reference: str,
    out: BinaryIO,
    slice: str = "",
    *,
    name: str = "-",
    jobs: int = JOBS,
    observer: Observer = SILENT,
) -> ArrayReport:
    """Write a slice of an array to what is open already, such as a pipe."""
    source = ArrayBytes(lake, ArrayPart(reference, slice, NPY), jobs=jobs)
    received = _write(source, 0, out, name, observer)
    out.flush()
    return ArrayReport(reference, slice, name, source.part.snapshot, received, received)


def _go_on(
    lake: Lake, reference: str, slice: str, file: Path, unfinished: Unfinished, jobs: int, observer: Observer
) -> ArrayReport:
    """Fetch what is not here yet."""
    wanted = {"url": lake.url, "array": reference, "slice": slice}
    noted = dict(unfinished.note())
    snapshot = noted.pop("snapshot", None)
    if noted == wanted and isinstance(snapshot, str) and unfinished.length:
        observer.note(GOING_ON)
        try:
            return _fetch(lake, ArrayPart(reference, slice, NPY, snapshot), file, unfinished, wanted, jobs, observer)
        except (NotFoundError, OutsideError):
            observer.note(BEGUN_ANEW)
    return _fetch(lake, ArrayPart(reference, slice, NPY), file, unfinished, wanted, jobs, observer)


def _fetch(
    lake: Lake,
    part: ArrayPart,
    file: Path,
    unfinished: Unfinished,
    wanted: dict[str, str],
    jobs: int,
    observer: Observer,
) -> ArrayReport:
    """Fetch what is not here yet of a part, or all of it where no state is named."""
    start = unfinished.length if part.snapshot else 0
    source = ArrayBytes(lake, part, start, jobs=jobs)

    def begin() -> None:
        if not part.snapshot:
            unfinished.begin({**wanted, "snapshot": source.part.snapshot})

    received = _write(source, start, unfinished.out, str(file), observer, begin)
    unfinished.finish()
    return ArrayReport(part.reference, part.slice, str(file), source.part.snapshot, received, start + received)


def _write(
    source: ArrayBytes,
    start: int,
    out: BinaryIO,
    name: str,
    observer: Observer,
    begin: Callable[[], None] = lambda: None,
) -> int:
    """Write all that comes behind what is there already, after a call of `begin`; how many bytes that was."""
    received = 0
    with closing(source.pieces()) as pieces:
        for piece in pieces:
            if not received:
                begin()
                observer.expect(1, source.total or 0)
                observer.begin(name, source.total or 0)
                observer.reuse(name, start)
            out.write(piece)
            received += len(piece)
            observer.advance(name, len(piece))
    observer.done(name)
    return received
