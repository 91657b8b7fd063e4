"""Exporting a Data Array, or a slice of it, to a file or folder that other programs read.

It is written beside its name, as NAME.part, and renamed once it is whole: there is never half of it under its name.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from AccessControl.SecurityManagement import getSecurityManager

from Products.ERP5Wendelin.compute.exports.npy import write_npy
from Products.ERP5Wendelin.compute.exports.selection import Progress, Selection, selected
from Products.ERP5Wendelin.compute.exports.zarr_array import write_zarr
from Products.ERP5Wendelin.errors import BadInput, Conflict, NotAuthorised, StorageFull
from Products.ERP5Wendelin.permissions import View
from Products.ERP5Wendelin.storage.transaction import is_full

Writer = Callable[[Selection, Path, Progress], None]


def export_array(
    document: Any,
    target: Path,
    index: tuple[Any, ...] = (),
    *,
    chunks: tuple[int, ...] = (),
    replace: bool = False,
    on_progress: Progress = lambda done, total: None,
) -> tuple[tuple[int, ...], int]:
    """Write what an index selects to TARGET.npy or TARGET.zarr; return its shape, and its size in bytes.

    `chunks` are those of Zarr. NotAuthorised; Conflict: the target is there, and not to be replaced; BadInput: another
    suffix, or an index that does not fit; StorageFull.
    """
    if not getSecurityManager().checkPermission(View, document):
        raise NotAuthorised("You may not see this Data Array.")
    write = _writer(target, chunks)
    if target.exists() and not replace:
        raise Conflict(f"{target} is there already. Name another target, or replace it (--replace).")
    part = target.with_name(f"{target.name}.part")
    with selected(document, index) as selection:
        try:
            _remove(part)
            write(selection, part, on_progress)
            _put(part, target)
        except BaseException as error:
            _remove(part)
            if is_full(error):
                raise StorageFull(
                    f"There is no room for the {selection.nbytes} bytes of {target}: nothing of it is there. Make "
                    "room, or name another target."
                ) from error
            raise
        return selection.shape, selection.nbytes


def _writer(target: Path, chunks: tuple[int, ...]) -> Writer:
    """What writes a target, by its suffix."""
    if target.suffix == ".zarr":
        return partial(write_zarr, chunks=chunks)
    if target.suffix != ".npy":
        raise BadInput(f"{target} does not tell its format: its name should end in .npy or .zarr.")
    if chunks:
        raise BadInput("A .npy file has no chunks: leave them out, or name a target that ends in .zarr.")
    return write_npy


def _put(part: Path, target: Path) -> None:
    """Let a target be what was written, in place of what it was."""
    if not target.is_dir():
        part.replace(target)
        return
    old = target.with_name(f"{target.name}.old")
    _remove(old)
    target.rename(old)
    part.rename(target)
    _remove(old)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
