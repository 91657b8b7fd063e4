"""Importing a file of a data set into a Data Array: in bounded memory and transactions, seen by nobody before its end.

What has been read is kept as an arrival (`storage.array_arrival`), so an import that was interrupted, or killed, goes
on where it was when it is asked for again: for the same file, by its digest, and the same key. The array tells in its
`provenance` what it was made of.

All of it is done in transactions of its own, none of which is the caller's. What the caller sees of the array begins
with the caller's next transaction.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Any, NamedTuple

import transaction
from AccessControl.SecurityManagement import getSecurityManager
from ZODB import DB
from ZODB.utils import z64

from Products.ERP5Wendelin.blockwise.snapshot import Snapshot
from Products.ERP5Wendelin.compute.imports.formats import Format, format_of
from Products.ERP5Wendelin.compute.imports.incoming import Bytes, Incoming
from Products.ERP5Wendelin.compute.imports.stored_file import StoredFile
from Products.ERP5Wendelin.content.base import now
from Products.ERP5Wendelin.content.data_array import DataArray
from Products.ERP5Wendelin.content.entry import FOLDER, SYMLINK, Entry
from Products.ERP5Wendelin.content.state import IN_USE
from Products.ERP5Wendelin.errors import BadInput, Conflict, NotAuthorised, NotFound, TooLarge, WrongOffset
from Products.ERP5Wendelin.ingestion.locks import CATALOGUE, turn
from Products.ERP5Wendelin.permissions import AddDataSet, PushData, View
from Products.ERP5Wendelin.storage.array import Array
from Products.ERP5Wendelin.storage.transaction import append_slices, in_transaction, separate_connection

ATTEMPTS = 10
"""How often the document is made, should others change the catalogue at the same time."""

Progress = Callable[[int, int], None]
"""Called with the bytes that are stored, and how many there will be."""


class Choice(NamedTuple):
    """What is to be imported: a file of a data set, and what of it."""

    data_set: Any
    path: str
    version: int
    """Of the data set."""
    key: str
    format: Format
    entry: Entry

    @property
    def name(self) -> str:
        """What messages call the file."""
        return f"{self.path!r} (version {self.version} of {self.data_set.getReference()!r})"

    def source(self, incoming: Incoming) -> dict[str, Any]:
        """What an array tells of where it comes from."""
        return {
            "data_set": self.data_set.getReference(),
            "version": self.version,
            "path": self.path,
            "digest": f"sha-256:{self.entry.digest.hex()}",
            "format": self.format.name,
            "key": self.key,
            **incoming.details,
        }


def choose(data_set: Any, path: str, *, key: str = "", version: int | None = None, format: str = "") -> Choice:
    """The file of a path, in the newest version of a data set unless one is given.

    NotFound: no such file or version; NotAuthorised: not for the current user; BadInput: no file that can be imported.
    """
    if not getSecurityManager().checkPermission(View, data_set):
        raise NotAuthorised("You may not see this data set.")
    reference, number = data_set.getReference(), data_set.getVersion() if version is None else version
    entry = data_set.manifest.get(path, number)
    if entry is None:
        raise NotFound(f"Version {number} of the data set {reference!r} has no file {path!r}.")
    if entry.mode in (SYMLINK, FOLDER):
        kind = "symbolic link" if entry.mode == SYMLINK else "folder"
        raise BadInput(f"{path!r} of {reference!r} is a {kind}: name a file.")
    return Choice(data_set, path, number, key, format_of(path, format), entry)


def import_array(
    choice: Choice, reference: str = "", *, replace: bool = False, on_progress: Progress = lambda done, total: None
) -> Any:
    """Import a file into the Data Array of a reference, and return it, as the caller's next transaction sees it.

    The reference is that of the data set with path and key, unless given. A new document is validated if the data set
    is. Conflict: there is such an array already, unless it is to be replaced; or the current transaction has changes,
    which would be lost. NotAuthorised: who may not make, or write to, one.
    """
    site = choice.data_set.getPortalObject()
    if not site._p_jar._needs_to_join:
        raise Conflict("What was changed must be committed, or aborted, before a file is imported.")
    reference = reference or "/".join(
        filter(None, (choice.data_set.getReference(), choice.path, choice.key.strip("/")))
    )
    document = _writable(site.data_array_module, reference, replace)
    if document is None and not getSecurityManager().checkPermission(AddDataSet, site.data_array_module):
        raise NotAuthorised("You may not add Data Arrays.")
    if document is not None:
        fill_array(document, choice, on_progress=on_progress)
        _commit(lambda: document.reindexObject(idxs=["reference"]))  # any one will do: what has changed is a column
        return document
    with _arrived(site.data_array_module, f"import/{reference}", choice, on_progress) as incoming:
        return _commit(lambda: _make(site.data_array_module, reference, choice, incoming))


def fill_array(document: Any, choice: Choice, *, on_progress: Progress = lambda done, total: None) -> None:
    """Import a file into a Data Array that there is, in place of what it has; replaced as a whole, in the end.

    NotAuthorised: who may not write to it; Conflict: it is not committed, or in memory alone.
    """
    if not getSecurityManager().checkPermission(PushData, document):
        raise NotAuthorised(f"You may not write to the Data Array {document.getReference() or document.getId()!r}.")
    document._p_activate()  # what is not loaded has no serial
    if document._p_jar is None or document._p_serial == z64:
        raise Conflict("A Data Array must be committed before a file is imported into it.")
    module = document.getPortalObject().data_array_module
    key = f"import/{document.getRelativeUrl()}"
    with _arrived(module, key, choice, on_progress) as incoming, separate_connection(module._p_jar.db()) as connection:

        def give() -> None:
            _give(connection.get(module._p_oid), key, connection.get(document._p_oid), choice, incoming)

        in_transaction(connection, give, note=f"import {choice.path}", user=_user())


def _writable(module: Any, reference: str, replace: bool) -> Any:
    """The array that a reference stands for, None if one can be made.

    Conflict: it is not to be replaced, or shows others, or cannot be seen; BadInput: a bad reference.
    """
    document = module.getDataArray(reference)
    if document is None:
        module.checkFree(reference)
        return None
    if document.getPortalType() != DataArray.portal_type:
        raise Conflict(
            f"{reference!r} is a {document.getPortalType()}, which shows other arrays. Give another reference."
        )
    if not replace:
        raise Conflict(
            f"There is a Data Array {reference!r} already. Give another reference (--reference), or replace it "
            "(--replace)."
        )
    return document


@contextmanager
def _arrived(module: Any, key: str, choice: Choice, on_progress: Progress) -> Iterator[Incoming]:
    """Store what a file holds as the arrival of a key, or go on with it; in the end, it is all there."""
    database: DB = module._p_jar.db()
    with Snapshot.of(choice.data_set._p_jar).opened() as connection:
        file = StoredFile(choice.entry, connection, choice.name)
        with closing(choice.format.open(file, choice.key)) as incoming:
            Array(incoming.shape, incoming.dtype)  # which refuses what cannot be stored, before anything is
            oid, offset = _begin(database, module._p_oid, key, choice.source(incoming))
            on_progress(offset, incoming.nbytes)
            try:
                _store(database, oid, offset, file, incoming, choice, on_progress)
            except (BadInput, TooLarge):
                _drop(database, module._p_oid, key)
                raise
    yield incoming


def _begin(database: DB, module_oid: bytes, key: str, source: dict[str, Any]) -> tuple[bytes, int]:
    """The object id of an arrival, and how many bytes it has: of one that was begun with the same, or of a new one."""
    with separate_connection(database) as connection:

        def begin() -> Any:
            module = connection.get(module_oid)
            arrival = module.getArrival(key)
            if arrival is None or not _is_same(arrival.source, source):
                arrival = module.beginArrival(key, source, now())
            return arrival

        arrival = in_transaction(connection, begin, note="begin an import", user=_user())
        return arrival._p_oid, arrival.offset


def _store(
    database: DB,
    oid: bytes,
    offset: int,
    file: StoredFile,
    incoming: Incoming,
    choice: Choice,
    on_progress: Progress,
) -> None:
    total = incoming.nbytes

    def on_slice(arrival: Any) -> None:
        arrival.touched = now()
        on_progress(arrival.offset, total)

    source = _Understood(file, choice.format.name, incoming, offset)
    try:
        reached = append_slices(
            database,
            oid,
            source,
            total - offset,
            offset=offset,
            note=f"import {choice.path}",
            user=_user(),
            total=total,
            on_slice=on_slice,
        )
    except WrongOffset:
        raise Conflict(f"{choice.name} is being imported by another process as well: let one of them finish.") from None
    if reached < total:
        raise BadInput(f"{choice.name} holds {reached} bytes of elements, and says that it holds {total}.")


class _Understood:
    """The bytes of what a file holds; what is wrong with them is BadInput."""

    def __init__(self, file: StoredFile, format: str, incoming: Incoming, offset: int) -> None:
        self._file = file
        self._format = format
        with file.understood_as(format):
            self._bytes = Bytes(incoming, offset)

    def read(self, size: int, /) -> bytes:
        with self._file.understood_as(self._format):
            return self._bytes.read(size)


def _commit(function: Callable[[], Any]) -> Any:
    """Commit what a function does that writes to the catalogue, in a transaction of this thread; return its result."""
    with turn(CATALOGUE):
        for attempt in transaction.manager.attempts(ATTEMPTS):
            with attempt:
                result = function()
    return result


def _make(module: Any, reference: str, choice: Choice, incoming: Incoming) -> Any:
    """In the current transaction make the document of what has arrived."""
    _writable(module, reference, replace=False)
    document = module.newDataArray(reference)
    _give(module, f"import/{reference}", document, choice, incoming)
    if choice.data_set.getValidationState() in IN_USE:
        document.validate()
    return document


def _give(module: Any, key: str, document: Any, choice: Choice, incoming: Incoming) -> None:
    """In the current transaction let a document have the array that has arrived."""
    arrival, source = module.getArrival(key), choice.source(incoming)
    if arrival is None or arrival.offset != incoming.nbytes or not _is_same(arrival.source, source):
        raise Conflict(f"{choice.name} is being imported by another process as well: let one of them finish.")
    document.array = arrival.finish(incoming.shape, incoming.dtype)
    document.provenance = source
    document.notifyModified()
    module.dropArrival(key)


def _is_same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Whether two sources are the same: by their texts, since NaN is not equal to itself."""
    return repr(one) == repr(other)


def _drop(database: DB, module_oid: bytes, key: str) -> None:
    with separate_connection(database) as connection:
        in_transaction(connection, lambda: connection.get(module_oid).dropArrival(key), note="give up an import")


def _user() -> str:
    user = getSecurityManager().getUser()
    return "" if user is None else user.getId() or ""
