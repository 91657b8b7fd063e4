"""Files of arrays in data sets, and what is read of them."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from typing import Any

import numpy
import transaction

from Products.ERP5Wendelin.compute.imports.incoming import Incoming
from Products.ERP5Wendelin.compute.imports.perform import choose, import_array
from Products.ERP5Wendelin.compute.imports.stored_file import StoredFile
from Products.ERP5Wendelin.storage.transaction import separate_connection
from support import pushes

REFERENCE = "brain_mri"


def pushed(site: Any, files: Mapping[str, bytes], reference: str = REFERENCE) -> Any:
    """A data set with one more version, which has these files."""
    data_set = site.data_set_module.getDataSet(reference)
    if data_set is None:
        data_set = site.data_set_module.newDataSet(reference)
        transaction.commit()
    pushes.push(data_set, files)
    return data_set


def imported(site: Any, path: str, content: bytes, key: str = "") -> Any:
    """The Data Array that a file is made."""
    return import_array(choose(pushed(site, {path: content}), path, key=key))


@contextmanager
def incoming(site: Any, path: str, content: bytes, key: str = "") -> Iterator[Incoming]:
    """What a file holds, as an import reads it."""
    choice = choose(pushed(site, {path: content}), path, key=key)
    with (
        separate_connection(site._p_jar.db()) as connection,
        closing(choice.format.open(StoredFile(choice.entry, connection, choice.name), key)) as found,
    ):
        yield found


def elements(found: Incoming, start: int = 0) -> numpy.ndarray:
    """Its elements from `start` on."""
    pieces = [numpy.array(piece) for piece in found.pieces(start)]
    return numpy.concatenate(pieces) if pieces else numpy.empty(0, found.dtype)


def same(document: Any, expected: Any) -> bool:
    """Whether a Data Array has the dtype, shape and bytes of an ndarray: NaN is equal to itself here."""
    found, expected = document.getArrayIndex(...), numpy.asarray(expected)
    return (found.dtype, found.shape, found.tobytes()) == (expected.dtype, expected.shape, expected.tobytes())


def npy(values: Any) -> bytes:
    """A .npy file, as NumPy writes it."""
    target = io.BytesIO()
    numpy.save(target, values)
    return target.getvalue()
