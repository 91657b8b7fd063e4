"""Formats that arrays are imported from, known by the ends of files' names."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from Products.ERP5Wendelin.compute.imports.csv_table import open_csv
from Products.ERP5Wendelin.compute.imports.hdf5 import open_hdf5
from Products.ERP5Wendelin.compute.imports.incoming import Incoming
from Products.ERP5Wendelin.compute.imports.nifti import open_nifti
from Products.ERP5Wendelin.compute.imports.npy import open_npy, open_npz
from Products.ERP5Wendelin.compute.imports.parquet import open_parquet
from Products.ERP5Wendelin.compute.imports.stored_file import StoredFile
from Products.ERP5Wendelin.errors import BadInput


class Format(NamedTuple):
    """A format: its name, the suffixes of its files, and what opens one; `open(file, key)` raises BadInput."""

    name: str
    suffixes: tuple[str, ...]
    open: Callable[[StoredFile, str], Incoming]


FORMATS = {
    format.name: format
    for format in (
        Format("npy", (".npy",), open_npy),
        Format("npz", (".npz",), open_npz),
        Format("csv", (".csv", ".tsv"), open_csv),
        Format("hdf5", (".h5", ".hdf5", ".hdf", ".he5"), open_hdf5),
        Format("parquet", (".parquet", ".pq"), open_parquet),
        Format("nifti", (".nii", ".nii.gz"), open_nifti),
    )
}


def format_of(path: str, name: str = "") -> Format:
    """The format of a name, or else of a file's path. BadInput lists what there is."""
    if name:
        if name in FORMATS:
            return FORMATS[name]
        raise BadInput(f"There is no format {name!r}. There are: {', '.join(FORMATS)}.")
    for format in FORMATS.values():
        if path.lower().endswith(format.suffixes):
            return format
    known = ", ".join(suffix for format in FORMATS.values() for suffix in format.suffixes)
    raise BadInput(
        f"{path!r} does not tell its format: its name should end in one of {known}. Or name the format (--format)."
    )
