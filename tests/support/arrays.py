"""Arrays on a served lake, and .npy files of them."""

from __future__ import annotations

import io
from typing import Any

import numpy
import transaction

from support.http_server import Response, Server


def npy(values: Any, version: tuple[int, int] | None = None) -> bytes:
    """A .npy file, as NumPy writes it."""
    file = io.BytesIO()
    numpy.lib.format.write_array(file, numpy.asanyarray(values), version)
    return file.getvalue()


def loaded(answer: Response) -> numpy.ndarray:
    """The array that an answer brings."""
    assert answer.status == 200, answer.body
    assert len(answer.body) == int(answer.headers["Content-Length"])
    array: numpy.ndarray = numpy.load(io.BytesIO(answer.body))
    return array


def store(server: Server, reference: str, values: Any, user: str = "ada") -> None:
    """Make an array of these values; the last block of each is not full, as after an append."""
    values = numpy.asanyarray(values)
    with server.lake.open(user) as site:
        document = site.data_array_module.getDataArray(reference) or site.data_array_module.newDataArray(reference)
        document.initArray(values.shape, values.dtype)
        document.array[...] = values
        transaction.commit()


def unfinished(server: Server) -> list[str]:
    """The keys of what is being received, or was and is not given up."""
    with server.lake.open() as site:
        return list(site.data_array_module._arrivals or ())
