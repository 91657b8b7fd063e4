"""Sends an array to a lake: a .npy file, or what else is one, in place of the lake's array or behind its end.

What replaces is seen at once when all of it has come. What is appended is seen piece by piece. A file's sending that
was broken off goes on when the same is asked for again, and appends nothing twice: a note beside the file says where.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ebulk.errors import EbulkError, NetworkError
from ebulk.local.sending import Sending, SendingNote
from ebulk.remote.lake import Lake
from ebulk.remote.session import Session
from ebulk.transfer import array_upload
from ebulk.transfer.disk import unwritable
from ebulk.transfer.npy_source import NpyFile, NpySource
from ebulk.verbs.observer import SILENT, Observer


@dataclass(frozen=True, slots=True)
class ArrayPushReport:
    """What a push of an array did."""

    reference: str
    file: str
    appended: bool
    """Whether it came behind what the lake had, or in place of it."""
    shape: tuple[int, ...]
    """Of the lake's array now."""
    size: int
    """Bytes of the elements that were to be sent."""
    resumed: bool = False
    """Whether an earlier sending was gone on with."""


def push_file(
    lake: Lake, reference: str, path: Path, *, append: bool = False, observer: Observer = SILENT
) -> ArrayPushReport:
    """Send a .npy file. ConflictError: the array that is to be appended to has another dtype, or other axes."""
    with NpyFile(path) as source:
        if append and source.fortran_order:
            raise EbulkError(
                f"{path} has its elements in Fortran's order, in which an array has no end to append to.",
                "Save numpy.ascontiguousarray(array), and append that.",
            )
        note = SendingNote(path)
        size, modified = source.state
        purpose = {"url": lake.url, "array": reference, "append": append, "size": size, "modified": modified}
        try:
            sending = note.load(purpose)
            reached = sending.position

            def noted(position: int) -> None:
                nonlocal reached
                reached = position
                note.save(sending, position)

            try:
                report = push(lake, reference, source, sending, append=append, observer=observer, noted=noted)
            except EbulkError as error:
                if not reached and not isinstance(error, NetworkError):
                    note.clear()  # the lake has refused all of it
                raise
            note.clear()
        except OSError as error:
            raise unwritable(error, Path(error.filename or path)) from error
        return report


def push(
    lake: Lake,
    reference: str,
    source: NpySource,
    sending: Sending,
    *,
    append: bool = False,
    observer: Observer = SILENT,
    noted: Callable[[int], None] = lambda position: None,
) -> ArrayPushReport:
    """Send an array, from where its sending stands.

    If it takes several requests, `noted` is told how far it is, first before anything is sent.
    """
    if not source.shape:
        raise EbulkError(
            f"{source.name} has no axis: it is a single value.", "Give it one, by numpy.atleast_1d(array)."
        )
    with lake.session(1) as session:
        shape = (_append if append else _replace)(session, reference, source, sending, observer, noted)
    observer.done(source.name)
    return ArrayPushReport(
        reference, source.name, append, shape, source.size - source.offset, resumed=sending.position > 0
    )


def _replace(
    session: Session,
    reference: str,
    source: NpySource,
    sending: Sending,
    observer: Observer,
    noted: Callable[[int], None],
) -> tuple[int, ...]:
    observer.expect(1, source.size)
    observer.begin(source.name, source.size)
    observer.reuse(source.name, sending.position)
    array_upload.replace(session, reference, source, sending.key, sending.position, observer, noted)
    return source.shape


def _append(
    session: Session,
    reference: str,
    source: NpySource,
    sending: Sending,
    observer: Observer,
    noted: Callable[[int], None],
) -> tuple[int, ...]:
    size = source.size - source.offset
    observer.expect(1, size)
    observer.begin(source.name, size)
    observer.reuse(source.name, size * sending.position // max(1, source.shape[0]))
    return array_upload.append(session, reference, source, sending.key, sending.position, observer, noted)
