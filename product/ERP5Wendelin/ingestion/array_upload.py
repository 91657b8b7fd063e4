"""Arrays that come as .npy files (NEP 1): a whole one, of any size, at once or in pieces; rows to append; a slice.

A whole file goes to an arrival (`storage.array_arrival`), slice by slice, each committed, in memory for one of them. So
nobody sees any of it before it is all here and an array is made of it, in one small transaction. What comes in pieces
goes on where it was; what nobody goes on with expires, as uploads to data sets do. A file in Fortran order is put into
C order on the way, by a temporary file of its size (`blockwise.boxes`).

Rows and slices are values in memory that are written in one transaction, so they are of bounded size.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, NamedTuple, Protocol

import numpy
from ZODB import DB

from Products.ERP5Wendelin.blockwise.boxes import BOX_SIZE, Box, fortran_boxes, in_c_order, shape_of
from Products.ERP5Wendelin.content.base import now
from Products.ERP5Wendelin.content.npy import Header, checked_dtype, descr_of, read_header
from Products.ERP5Wendelin.errors import BadInput, Conflict, NotReady, TooLarge, WrongOffset
from Products.ERP5Wendelin.protocol import MIB, SLICE_SIZE
from Products.ERP5Wendelin.storage.array import Array
from Products.ERP5Wendelin.storage.array_arrival import ArrayArrival
from Products.ERP5Wendelin.storage.array_slice import ArraySlice
from Products.ERP5Wendelin.storage.transaction import append_slices, in_transaction, separate_connection

SPREAD = 4 * SLICE_SIZE
"""Bytes that may be written anew for a slice with gaps."""

ADVICE = "Send it whole: nothing was stored."


class Source(Protocol):
    """What a file is read from: the body of a request."""

    def read(self, size: int, /) -> bytes:
        """Up to `size` bytes; none at the end."""


class Piece(NamedTuple):
    """The bytes of a file of `total` bytes from `start` up to `stop`."""

    start: int
    stop: int
    total: int


class Upload:
    """What is stored of one .npy file, under a key, by a user; each method begins and ends transactions of its own."""

    def __init__(self, database: DB, module: Any, key: str, user: str) -> None:
        """`module` is the module of Data Arrays."""
        self.key = f"upload/{key}"
        self._database = database
        self._module_oid: bytes = module._p_oid
        self._user = user

    def receive(self, source: Source, length: int | None) -> None:
        """Store a whole file, of so many bytes if that is known; drop it if it can't be.

        BadInput: it is no .npy file, it has more bytes than its header says, or fewer, or it can't be an array here.
        """
        header = read_header(source)
        if length is not None:
            _check_length(header, length - header.size)
        self._begin(header)
        try:
            in_order = _InCOrder(source, header) if header.fortran_order and len(header.shape) > 1 else source
            reached = self._store(in_order, 0, header.nbytes, header.nbytes)
            _check_length(header, reached + len(source.read(1)))
        except BaseException:
            self.drop()
            raise

    def receive_piece(self, source: Source, piece: Piece) -> int:
        """Store the next piece of a file; return up to where it has been stored by then, in bytes of the file.

        WrongOffset, with that as `extra["offset"]`, for another piece than the next. BadInput: as `receive`.
        """
        known = self._known()
        if known is None:
            self._check_start(piece, 0)
            header = read_header(source)
            self._check_first(header, piece)
            self._begin(header)
            offset = 0
        else:
            header, offset = known
            _check_total(header, piece)
            if piece.stop == piece.total == header.size + offset:  # it came before, and the array was not made of it
                return piece.total
            self._check_start(piece, header.size + offset)
        stop = piece.stop - header.size
        try:
            return header.size + self._store(source, offset, stop - offset, header.nbytes)
        except WrongOffset as error:
            reached = header.size + int(error.extra["offset"])
            if reached == piece.stop:  # the same piece came twice at the same time, and the other one was stored
                return reached
            raise self._wrong_offset(reached) from None

    def place(self, module: Any, document: Any) -> None:
        """In the current transaction let a document have the array of what was stored.

        NotReady: it is not there, for it was given to the document by another request, or dropped.
        """
        arrival = module.getArrival(self.key)
        if arrival is None:
            raise NotReady("The same was sent twice at the same time. Send it once more, to be told what became of it.")
        header = _header_of(arrival)
        document.array = arrival.finish(header.shape, header.dtype)
        document.provenance = None
        document.notifyModified()
        document.reindexObject(idxs=["reference"])  # any one will do: what has changed is a column
        module.dropArrival(self.key)

    def is_here(self) -> bool:
        """Whether some of it is stored."""
        return self._known() is not None

    def drop(self) -> None:
        """Drop what is stored."""
        with separate_connection(self._database) as connection:
            module = connection.get(self._module_oid)
            in_transaction(connection, lambda: module.dropArrival(self.key), note=self._note, user=self._user)

    @property
    def _note(self) -> str:
        return "receive a .npy file"

    def _known(self) -> tuple[Header, int] | None:
        """The file's header, and how many bytes of elements are stored; None: nothing of it is."""
        with separate_connection(self._database) as connection:
            arrival = connection.get(self._module_oid).getArrival(self.key)
            return None if arrival is None else (_header_of(arrival), arrival.offset)

    def _begin(self, header: Header) -> None:
        Array(header.shape, header.dtype)  # which refuses what cannot be stored, before anything is
        source = {"shape": header.shape, "descr": descr_of(header.dtype), "header_size": header.size}
        with separate_connection(self._database) as connection:

            def begin() -> None:
                connection.get(self._module_oid).beginArrival(self.key, source, now())

            in_transaction(connection, begin, note=self._note, user=self._user)

    def _store(self, source: Source, offset: int, length: int, total: int) -> int:
        with separate_connection(self._database) as connection:
            oid = connection.get(self._module_oid).getArrival(self.key)._p_oid
        return append_slices(
            self._database,
            oid,
            source,
            length,
            offset=offset,
            note=self._note,
            user=self._user,
            total=total,
            on_slice=_touch,
        )

    def _check_start(self, piece: Piece, expected: int) -> None:
        if piece.start != expected:
            raise self._wrong_offset(expected)

    def _check_first(self, header: Header, piece: Piece) -> None:
        _check_total(header, piece)
        if piece.stop < header.size:
            raise BadInput(f"The first piece must have the whole header of the .npy file, {header.size} bytes.")
        if header.fortran_order and len(header.shape) > 1:
            raise BadInput(
                "A .npy file in Fortran order is not taken in pieces. Send it at once, or write it in C order, as "
                "numpy.save does with what numpy.ascontiguousarray gives."
            )

    def _wrong_offset(self, offset: int) -> WrongOffset:
        return WrongOffset(f"{offset} bytes of this upload are here. Go on from byte {offset}.", offset=offset)


class _InCOrder:
    """The elements of a file in Fortran order, in C order."""

    def __init__(self, source: Source, header: Header) -> None:
        self._source = source
        self._header = header
        most = max(BOX_SIZE // header.dtype.itemsize, 1)
        parts = fortran_boxes(header.shape, most)
        self._pieces: Iterator[numpy.ndarray] = in_c_order(header.shape, header.dtype, parts, self._box)
        self._rest = memoryview(b"")

    def read(self, size: int, /) -> bytes:
        """Up to `size` bytes; none at the end."""
        while not self._rest:
            piece = next(self._pieces, None)
            if piece is None:
                return b""
            self._rest = piece.view(numpy.uint8).data
        data = bytes(self._rest[:size])
        self._rest = self._rest[size:]
        return data

    def _box(self, box: Box) -> numpy.ndarray:
        shape = shape_of(box)
        data = numpy.empty(math.prod(shape), self._header.dtype)
        _fill(data.view(numpy.uint8).data, self._source, self._header)
        return data.reshape(shape, order="F")


def read_values(source: Source) -> numpy.ndarray:
    """The array of a whole small file. TooLarge: its elements have more than 64 MiB. BadInput: as `Upload.receive`."""
    header = read_header(source)
    if header.nbytes > SLICE_SIZE:
        raise TooLarge(
            f"What is written at once may have at most {SLICE_SIZE // MIB} MiB, and the .npy file has {header.nbytes} "
            "bytes of elements. Cut it, and send one part after the other."
        )
    if not header.dtype.itemsize:
        raise BadInput(f"The elements of the .npy file, of dtype {header.dtype}, have no size.")
    data = numpy.empty(math.prod(header.shape), header.dtype)
    _fill(data.view(numpy.uint8).data, source, header)
    _check_length(header, header.nbytes + len(source.read(1)))
    return data.reshape(header.shape, order="F" if header.fortran_order else "C")


def check_appendable(array: Array, values: numpy.ndarray) -> None:
    """Conflict unless values can be appended to an array, as what they are.

    TooLarge: in the array's dtype, as which they are stored, they are more than can be written in a transaction.
    """
    _check_dtype(array, values)
    if values.ndim != len(array.shape) or values.shape[1:] != array.shape[1:]:
        raise Conflict(
            f"Values of shape {values.shape} cannot be appended to an array of shape {array.shape}: only the first "
            "axis may differ."
        )
    nbytes = values.size * array.dtype.itemsize
    if nbytes > SLICE_SIZE:
        raise TooLarge(
            f"What is written at once may have at most {SLICE_SIZE // MIB} MiB, and as elements of {array.dtype} these "
            f"values have {nbytes} bytes. Cut the .npy file, and send one part after the other."
        )


def check_writable(array: Array, index: Any, values: numpy.ndarray) -> None:
    """Conflict unless values can be written to what an index selects: by NumPy's rules of broadcasting.

    BadInput: the index does not fit the array. TooLarge: it selects more than can be written in a transaction.
    """
    _check_dtype(array, values)
    chosen = ArraySlice.of(array.shape, array.dtype.itemsize, index)
    try:
        fits = numpy.broadcast_shapes(values.shape, chosen.shape) == chosen.shape
    except ValueError:
        fits = False
    if not fits:
        raise Conflict(f"Values of shape {values.shape} cannot be written to a slice of shape {chosen.shape}.")
    if chosen.nbytes > SLICE_SIZE or chosen.touched > SPREAD:
        raise TooLarge(
            f"A slice that is written may have at most {SLICE_SIZE // MIB} MiB, spread over {SPREAD // MIB} MiB of the "
            "array. Cut it, and write one part after the other."
        )


def _check_dtype(array: Array, values: numpy.ndarray) -> None:
    if not numpy.can_cast(values.dtype, array.dtype, "safe"):
        raise Conflict(
            f"Values of dtype {values.dtype} might lose something in an array of dtype {array.dtype}. Convert them "
            "first, as with values.astype."
        )


def _fill(target: memoryview, source: Source, header: Header) -> None:
    """Fill memory from a source; BadInput where that ends before."""
    while target:
        data = source.read(min(len(target), MIB))
        if not data:
            raise BadInput(f"{_claim(header)} {ADVICE}")
        target[: len(data)] = data
        target = target[len(data) :]


def _check_length(header: Header, nbytes: int) -> None:
    """BadInput unless there are as many bytes of elements as the header says."""
    if nbytes < header.nbytes:
        raise BadInput(f"{_claim(header)} {ADVICE}")
    if nbytes > header.nbytes:
        raise BadInput(f"There are bytes behind the {header.nbytes} of the .npy file's elements. {ADVICE}")


def _claim(header: Header) -> str:
    return (
        f"The .npy file was cut off: an array of shape {header.shape} and dtype {header.dtype} has {header.nbytes} "
        "bytes, and fewer came."
    )


def _check_total(header: Header, piece: Piece) -> None:
    if piece.total != header.size + header.nbytes:
        raise BadInput(
            f"The header Content-Range speaks of {piece.total} bytes, and the .npy file of this upload has "
            f"{header.size + header.nbytes}: use another key for another file."
        )


def _header_of(arrival: ArrayArrival) -> Header:
    source = arrival.source
    return Header(source["shape"], checked_dtype(source["descr"]), False, source["header_size"])


def _touch(arrival: ArrayArrival) -> None:
    arrival.touched = now()
