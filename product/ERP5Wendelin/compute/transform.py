"""A stream made an array by a script, chunk by chunk: what the skin scripts DataStream_transform,
DataStream_readChunkListAndTransform and DataStream_copyCSVToDataArray call.

As in Wendelin the script is called as `script(stream, chunk_list, start, end, data_array_reference, **parameters)`, and
returns (start, end) of what it has used: less than it was given where a record is cut off, which the next chunk then
begins with. Wendelin runs each chunk as an activity; here they are one after the other, in one transaction or, with
`commit`, in several. All chunks together have each byte once: no border is left out or read twice.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy
from AccessControl.SecurityInfo import ModuleSecurityInfo
from AccessControl.SecurityManagement import getSecurityManager

from Products.ERP5Wendelin.blockwise.blocks import TRANSACTION_SIZE
from Products.ERP5Wendelin.blockwise.csv_blocks import iter_csv
from Products.ERP5Wendelin.content.array_document import may_write
from Products.ERP5Wendelin.content.located import name_of
from Products.ERP5Wendelin.content.scripts import run, script_of
from Products.ERP5Wendelin.errors import BadInput, NotAuthorised, NotFound, TooLarge
from Products.ERP5Wendelin.permissions import View
from Products.ERP5Wendelin.protocol import MIB, SLICE_SIZE

security = ModuleSecurityInfo("Products.ERP5Wendelin.compute.transform")
security.declarePublic("transform", "read_and_transform", "copy_csv")

CHUNK_LENGTH = 1 * MIB


def transform(
    stream: Any,
    chunk_length: int = CHUNK_LENGTH,
    transform_script_id: str | None = None,
    data_array_reference: str | None = None,
    parallelize: bool | int = False,
    start: int | None = None,
    commit: Callable[[], Any] | None = None,
    **parameters: Any,
) -> int:
    """Let a script transform all of a stream from `start` on; return the offset up to which it is done.

    That is the end, or where a record begins that has not all arrived: to go on from there once it has. With
    `parallelize` each chunk is of exactly `chunk_length` bytes and stands for itself, whatever the script returns.
    `commit` is called behind each 64 MiB, and at the end. TooLarge: more than a gigabyte without `commit`.
    """
    _check(stream, chunk_length)
    start = stream.getStartOffset() if start is None else start
    size = stream.getSize()
    if commit is None and size - start > TRANSACTION_SIZE:
        raise TooLarge(
            f"{size - start} bytes are too many for one transaction, which takes {TRANSACTION_SIZE} at the most. Give "
            "`commit`, which is called behind each 64 MiB: transaction.commit, or commit in wendelin run."
        )
    step = _Step(stream, transform_script_id, data_array_reference, parameters)
    committed = start
    while start < size:
        end = min(start + chunk_length, size)
        if parallelize:
            step.take(start, end)
            start = end
        else:
            reached = _used(step, start, end, size, chunk_length)
            if reached == start:
                break
            start = reached
        if commit is not None and start - committed >= SLICE_SIZE:
            commit()
            committed = start
    if commit is not None and start > committed:
        commit()
    return start


def read_and_transform(
    stream: Any,
    start: int,
    end: int,
    chunk_length: int = CHUNK_LENGTH,
    transform_script_id: str | None = None,
    data_array_reference: str | None = None,
    recursive: bool | int = True,
    **parameters: Any,
) -> int:
    """Let a script transform the bytes from `start` up to `end`, and then, if `recursive`, all that follow.

    Return the offset up to which it is done; see `transform`.
    """
    _check(stream, chunk_length)
    size = stream.getSize()
    if start >= size:
        return size
    step = _Step(stream, transform_script_id, data_array_reference, parameters)
    reached = step.take(start, min(end, size))
    if not recursive or reached == start:
        return reached
    return transform(stream, chunk_length, transform_script_id, data_array_reference, start=reached, **parameters)


def copy_csv(
    stream: Any, chunk_list: Sequence[bytes], start: int, end: int, data_array_reference: str | None = None
) -> tuple[int, int]:
    """Append the lines of CSV in chunks to the Data Array of a reference; return (start, end) of what was used.

    A line without an end is left for the next chunk. An array that has none yet, or one of one axis, gets all numbers
    one after the other, as float64 unless it has another dtype; one of more axes, or of records, gets a row for each
    line. What is missing is NaN. BadInput: what does not fit, with its place. NotFound, NotAuthorised: the array.
    """
    text = b"".join(chunk_list)
    text = text[: text.rfind(b"\n") + 1]
    array = _target(stream, data_array_reference)
    if text:
        if array.getArray() is None:
            array.initArray((0,), numpy.float64)
        if len(array.getArrayShape()) == 1 and not array.getArrayDtypeNames():
            array.appendArray(_numbers(text, name_of(stream), start))
        else:
            _append_rows(array, text, f"{name_of(stream)}, counted from byte {start} on")
    return start, start + len(text)


def _numbers(text: bytes, name: str, offset: int) -> numpy.ndarray:
    """All numbers of lines, which may have any number of them: Wendelin's CSV is one list."""
    found = []
    for line in text.splitlines(keepends=True):
        for field in line.split(b",") if line.strip() else []:
            try:
                found.append(float(field) if field.strip() else numpy.nan)
            except ValueError:
                raise BadInput(
                    f"{name}: the line from byte {offset} on has {field.strip()[:40]!r}, which is no number."
                ) from None
        offset += len(line)
    return numpy.array(found)


def _append_rows(array: Any, text: bytes, name: str) -> None:
    dtype, row = array.getArrayDtype(), array.getArrayShape()[1:]
    for rows in iter_csv([text], dtype=dtype, delimiter=",", header=False, name=name):
        if dtype.names:
            array.appendArray(rows)
            continue
        columns = rows.dtype.names
        if len(columns) != math.prod(row):
            raise BadInput(
                f"{name}: lines have {len(columns)} fields, and rows of the array {math.prod(row)} elements."
            )
        array.appendArray(numpy.stack([rows[column] for column in columns], -1).reshape(-1, *row))


def _target(stream: Any, reference: str | None) -> Any:
    """The Data Array to write to."""
    if not reference:
        raise BadInput("Say which Data Array is to be written to: give data_array_reference.")
    array = stream.getPortalObject().data_array_module.getDataArray(reference)
    if array is None:
        raise NotFound(f"There is no Data Array {reference!r}, or you may not see it: make it first.")
    if not may_write(array):
        raise NotAuthorised(f"You may not write to {name_of(array)}: ask its owner for the permission to push to it.")
    return array


def _check(stream: Any, chunk_length: int) -> None:
    if chunk_length < 1:
        raise BadInput(f"A chunk has at least one byte: {chunk_length} is no chunk_length.")
    if not getSecurityManager().checkPermission(View, stream):
        raise NotAuthorised("You may not view this stream.")


class _Step:
    """Calls the script with chunks of a stream."""

    def __init__(
        self, stream: Any, script_id: str | None, data_array_reference: str | None, parameters: dict[str, Any]
    ) -> None:
        if not script_id:
            raise BadInput("Say which script transforms the stream: give transform_script_id.")
        self._stream = stream
        self._script = script_of(stream, script_id)
        self._reference = data_array_reference
        self._parameters = parameters

    def take(self, start: int, end: int) -> int:
        """Give it the bytes from `start` up to `end`; return the end of what it has used of them."""
        chunks = self._stream.readChunkList(start, end)
        used = run(self._script, self._stream, chunks, start, end, self._reference, **self._parameters)
        reached = end if used is None else int(used[1])
        if not start <= reached <= end:
            raise BadInput(
                f"{self._script.getId()} says that it has used the bytes {start} to {reached}, and was given those up "
                f"to {end}: it must return (start, end) of what it has used, or nothing for all."
            )
        return reached


def _used(step: _Step, start: int, end: int, size: int, chunk_length: int) -> int:
    """The end of what the script uses from `start` on: of as many chunks together as the first record needs."""
    while True:
        reached = step.take(start, end)
        if reached > start or end == size:
            return reached
        end = min(end + chunk_length, size)
