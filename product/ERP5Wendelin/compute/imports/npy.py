"""`.npy` files (NEP 1), and `.npz`: zip archives of them."""

from __future__ import annotations

import io
import zipfile
from functools import partial
from typing import Any, BinaryIO

from Products.ERP5Wendelin.compute.imports.incoming import Binary, Incoming, check_expansion
from Products.ERP5Wendelin.compute.imports.keys import chosen, refuse_key
from Products.ERP5Wendelin.compute.imports.stored_file import StoredFile
from Products.ERP5Wendelin.content.npy import read_header
from Products.ERP5Wendelin.errors import BadInput

SUFFIX = ".npy"


def open_npy(file: StoredFile, key: str) -> Incoming:
    """The array of a .npy file."""
    refuse_key(file, key)
    return _incoming(file.name, lambda: _rewound(file), file.size)


def open_npz(file: StoredFile, key: str) -> Incoming:
    """The array of a .npz file that `key` names, or its only one."""
    with file.understood_as("npz"):
        archive = zipfile.ZipFile(io.BufferedReader(file))
        names = [name.removesuffix(SUFFIX) for name in archive.namelist() if name.endswith(SUFFIX)]
        member = archive.getinfo(chosen(file.name, "arrays", names, key) + SUFFIX)
        check_expansion(file, member.file_size)
        return _incoming(f"{member.filename} of {file.name}", partial(_opened, archive, member), member.file_size)


def _incoming(name: str, opened: Any, size: int) -> Incoming:
    """The array of a .npy file of so many bytes."""
    try:
        header = read_header(opened())
    except BadInput as error:
        raise BadInput(f"{name}: {error}") from None
    if header.size + header.nbytes > size:
        raise BadInput(
            f"{name} is cut off: an array of shape {header.shape} and dtype {header.dtype} has {header.nbytes} bytes, "
            f"and {size - header.size} are there. Push it again."
        )
    if header.size + header.nbytes < size:
        raise BadInput(
            f"{name} has {size - header.size - header.nbytes} bytes behind its array of shape {header.shape} and dtype "
            f"{header.dtype}. A file with several arrays is to be written by numpy.savez."
        )

    def at_elements() -> BinaryIO:
        file = opened()
        file.seek(header.size)
        return file

    return Binary(at_elements, header.shape, header.dtype, fortran_order=header.fortran_order)


def _rewound(file: StoredFile) -> StoredFile:
    file.seek(0)
    return file


def _opened(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> BinaryIO:
    return archive.open(member)  # type: ignore[return-value]
