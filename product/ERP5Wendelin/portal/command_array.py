"""`wendelin array list`, `show`, `import`, `export`: Data Arrays, and the files they are made from and made into."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from Products.ERP5Wendelin.compute.exports.perform import export_array
from Products.ERP5Wendelin.compute.imports.formats import FORMATS
from Products.ERP5Wendelin.compute.imports.perform import choose, import_array
from Products.ERP5Wendelin.compute.loop import Status
from Products.ERP5Wendelin.content.data_array import DataArray
from Products.ERP5Wendelin.content.site import enter_site
from Products.ERP5Wendelin.errors import BadInput, Conflict, NotFound
from Products.ERP5Wendelin.portal.instance import find, opened, perform
from Products.ERP5Wendelin.portal.progress_line import ProgressLine, quantity
from Products.ERP5Wendelin.portal.session import Session
from Products.ERP5Wendelin.storage.array_index import parse

DESCRIPTION = """\
Data Arrays, and files of data sets that they are made from.

  wendelin array list /srv/lake
                              reference, state, shape, dtype, bytes
  wendelin array import /srv/lake brain_mri scans/ada.nii.gz
                              make a file of a data set an array
  wendelin array export /srv/lake brain_mri/scans/ada.nii.gz ada.zarr
                              write an array to a .npy file or a Zarr folder
"""

IMPORT_DESCRIPTION = """\
Make a file of a data set a Data Array, in bounded memory. Nobody sees the array
before it is whole. An import that was interrupted goes on where it was when it
is run again.

Formats: .npy, .npz, CSV, HDF5, Parquet, NIfTI. What of a file is meant, if it
holds more than one thing, is said by --key:

  .npz          the name of an array
  HDF5          the path of a dataset
  Parquet, CSV  a column, or several with commas: records of these
  NIfTI         raw: the stored values, without scaling
"""

BYTES = "bytes"

PAGE = 100
"""How many arrays are looked up at a time."""


def add_parser(subparsers: Any) -> None:
    raw = argparse.RawDescriptionHelpFormatter
    parser = subparsers.add_parser(
        "array", help="list, import and export arrays", description=DESCRIPTION, formatter_class=raw
    )
    verbs = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)

    listing = verbs.add_parser(
        "list",
        help="list arrays",
        description="Print a line an array, tabulators between: reference, state, shape, dtype, size in bytes.",
    )
    listing.add_argument("directory", metavar="DIR", help="the instance")
    listing.set_defaults(run=run_list)

    show = verbs.add_parser("show", help="show an array", description="Print what is known of an array.")
    show.add_argument("directory", metavar="DIR", help="the instance")
    show.add_argument("reference", metavar="REFERENCE", help="the array's")
    show.set_defaults(run=run_show)

    importing = verbs.add_parser(
        "import", help="make a file of a data set an array", description=IMPORT_DESCRIPTION, formatter_class=raw
    )
    importing.add_argument("directory", metavar="DIR", help="the instance")
    importing.add_argument("data_set", metavar="DATA_SET", help="the data set's reference")
    importing.add_argument("path", metavar="PATH", help="the file's path in the data set")
    importing.add_argument("--reference", default="", help="the array's (default: DATA_SET/PATH, and /KEY)")
    importing.add_argument("--key", default="", help="what of the file")
    importing.add_argument(
        "--version", type=int, metavar="N", help="of which version of the data set (default: the newest)"
    )
    importing.add_argument("--format", default="", choices=list(FORMATS), help="where the file's name does not tell it")
    importing.add_argument("--replace", action="store_true", help="put it in place of what the array has")
    importing.add_argument("--user", metavar="NAME", help="act as this user (default: one who may all)")
    importing.set_defaults(run=run_import)

    export = verbs.add_parser(
        "export",
        help="write an array to a file or a folder",
        description="Write an array, or a slice of it, to a .npy file, or to a folder that Zarr reads, as it is at one"
        " moment. It is written as TARGET.part, and renamed once it is whole.",
    )
    export.add_argument("directory", metavar="DIR", help="the instance")
    export.add_argument("reference", metavar="REFERENCE", help="the array's")
    export.add_argument("target", metavar="TARGET", type=Path, help="a name that ends in .npy or .zarr")
    export.add_argument("--slice", default="", metavar="SLICE", help="as in 0:100,::2 (default: all of it)")
    export.add_argument("--chunks", default="", metavar="LENGTHS", help="of Zarr's chunks, as in 100,512,512")
    export.add_argument("--replace", action="store_true", help="put it in place of what is there")
    export.set_defaults(run=run_export)


def run_list(arguments: argparse.Namespace) -> None:
    for line in perform(find(arguments.directory), lambda app: list(map(described, arrays(enter_site(app))))):
        print(line)


def arrays(site: Any) -> Iterator[Any]:
    """The arrays and views of a site by their references."""
    after = ""
    while found := site.data_array_module.searchDataArrays(after=after, limit=PAGE):
        yield from found
        after = found[-1].getReference()


def described(document: Any) -> str:
    """An array in a line."""
    shape, dtype, size = "-", "-", 0
    with suppress(Conflict, BadInput):  # it has no elements yet, or is a view of what does not go together
        reader = document.getReader()
        shape, dtype, size = shown_shape(reader.shape), shown_dtype(reader.dtype), reader.nbytes
    return "\t".join((document.getReference(), document.getValidationState(), shape, dtype, str(size)))


def shown_shape(shape: tuple[int, ...]) -> str:
    """A shape in a table, as in 100x512x512."""
    return "x".join(map(str, shape))


def shown_dtype(dtype: Any) -> str:
    """A dtype in a table: '<f8', or its columns."""
    return ",".join(f"{name}:{dtype[name].str}" for name in dtype.names) if dtype.names else str(dtype.str)


def run_show(arguments: argparse.Namespace) -> None:
    def show(app: Any) -> list[str]:
        return facts(array_of(enter_site(app), arguments.reference))

    for line in perform(find(arguments.directory), show):
        print(line)


def facts(document: Any) -> list[str]:
    """What is known of an array, a line each."""
    reference, state, shape, dtype, size = described(document).split("\t")
    provenance = document.getProvenance() if document.getPortalType() == DataArray.portal_type else None
    values = {
        "reference": reference,
        "title": document.getTitle(),
        "state": state,
        "shape": shape,
        "dtype": dtype,
        "bytes": size,
        "modified": document.getModificationDate().strftime("%Y-%m-%dT%H:%M:%SZ"),
        **{f"from {name}": value for name, value in (provenance or {}).items()},
    }
    return [f"{name}: {value}" for name, value in values.items() if value not in ("", None)]


def array_of(site: Any, reference: str) -> Any:
    """The Data Array of a reference, or NotFound."""
    document = site.data_array_module.getDataArray(reference)
    if document is None:
        raise NotFound(f"There is no Data Array {reference!r}. `wendelin array list DIR` names them.")
    return document


def run_import(arguments: argparse.Namespace) -> None:
    with opened(find(arguments.directory)) as app:
        session = Session(app, arguments.debug)
        if arguments.user is not None:
            session.act_as(arguments.user)
        data_set = session.site.data_set_module.getDataSet(arguments.data_set)
        if data_set is None:
            raise NotFound(f"There is no data set {arguments.data_set!r}.")
        choice = choose(data_set, arguments.path, key=arguments.key, version=arguments.version, format=arguments.format)
        watch = Watch(arguments.path)
        document = import_array(choice, arguments.reference, replace=arguments.replace, on_progress=watch.show)
        watch.line.clear()
        made = summary(document.getArrayShape(), document.getArrayDtype(), document.getSize())
        print(f"Imported {document.getReference()}: {made}")


def run_export(arguments: argparse.Namespace) -> None:
    index, chunks = parse(arguments.slice), lengths(arguments.chunks)
    with opened(find(arguments.directory)) as app:
        document = array_of(enter_site(app), arguments.reference)
        watch = Watch(arguments.reference)
        shape, size = export_array(
            document, arguments.target, index, chunks=chunks, replace=arguments.replace, on_progress=watch.show
        )
        watch.line.clear()
        print(f"Wrote {arguments.target}: {summary(shape, document.getArrayDtype(), size)}")


class Watch:
    """Shows how far an import or export is, and first where it goes on."""

    def __init__(self, source: str) -> None:
        self.line = ProgressLine(sys.stderr)
        self._source = source
        self._begun: tuple[int, float] | None = None

    def show(self, done: int, total: int) -> None:
        """Show that so many bytes are done."""
        now = time.monotonic()
        if self._begun is None:
            self._begun = done, now
            if done:
                print(f"Going on behind the first {quantity(done, BYTES)} of {quantity(total, BYTES)}.", flush=True)
        first, start = self._begun
        rate = (done - first) / (now - start) if done > first else None
        self.line.show(Status(self._source, BYTES, done, done, done, total, rate))


def summary(shape: tuple[int, ...], dtype: Any, size: int) -> str:
    """Shape, dtype and size in bytes of an array."""
    return f"{shown_shape(shape)} {shown_dtype(dtype)}, {size} bytes"


def lengths(text: str) -> tuple[int, ...]:
    """Lengths of chunks, with commas between."""
    try:
        return tuple(int(part) for part in text.split(",")) if text else ()
    except ValueError:
        raise BadInput(
            f"{text!r} are no lengths of chunks: write whole numbers with commas, as in 100,512,512."
        ) from None
