"""What the original ebulk sends: files, whole or in pieces, each a Data Ingestion and a version of its data set.

A whole file of up to INLINE is stored and committed in one transaction. A larger one, and one that comes in pieces, is
an `Arrival` of the data set until it is complete; then it is committed in one transaction, too. Until that is done
nobody is told 204, and no reader sees anything.

::

    whole file     drops what has arrived of the file before
    001            the same, if 001 is here already; otherwise it is one of the pieces
    002 …  EOF     belong to what has arrived; the same piece again changes nothing, another one takes its place

When a file is finished its pieces are still known: one that is sent again, because its answer was lost, changes
nothing. A piece with a new number, of a client that announced no size, was overtaken by EOF: it is put in its place,
and the file committed again.

Functions here check the permissions of the current user themselves, so that scripts may call them.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from hashlib import md5
from typing import Any, NamedTuple

import transaction
from AccessControl.SecurityInfo import ModuleSecurityInfo
from AccessControl.SecurityManagement import getSecurityManager
from BTrees.OOBTree import OOBTree
from transaction.interfaces import TransientError

from Products.ERP5Wendelin.content import relation
from Products.ERP5Wendelin.content.acting import as_system
from Products.ERP5Wendelin.content.arrival import FIRST, LAST, Arrival
from Products.ERP5Wendelin.content.base import now
from Products.ERP5Wendelin.content.entry import Entry
from Products.ERP5Wendelin.content.ingestion_reference import IngestionReference, parse
from Products.ERP5Wendelin.content.state import IN_USE
from Products.ERP5Wendelin.errors import (
    BadInput,
    Conflict,
    NotAuthorised,
    NotFound,
    NotReady,
    PushConflict,
    WendelinError,
    WrongOffset,
)
from Products.ERP5Wendelin.ingestion import pieces
from Products.ERP5Wendelin.ingestion.chunk import IN_MEMORY, Chunk, Decoded
from Products.ERP5Wendelin.ingestion.lines import copy_lines
from Products.ERP5Wendelin.ingestion.locks import CATALOGUE, serialised
from Products.ERP5Wendelin.permissions import AddDataSet, ModifyPortalContent, PushData, View
from Products.ERP5Wendelin.storage.stream import ByteStream
from Products.ERP5Wendelin.storage.transaction import pause

INLINE = IN_MEMORY
"""The largest whole file that is stored in the transaction that commits it."""

OUTPUT = "out_stream"
"""Reference of the line of an ingestion that says where what it brought is."""

SIGN_OF_LIFE = timedelta(days=1)
"""How old the sign of life of an ingestion may be whose pieces still come."""

ATTEMPTS = 6
"""How often a piece is received that meets what other processes do."""

PATIENCE = 3
"""Pauses between them are eight times as long as for a small transaction: another may be storing the same 50 MB."""

SUPPLY = "default_ebulk"
"""Id of the Data Supply whose lines each ingestion begins with."""


security = ModuleSecurityInfo("Products.ERP5Wendelin.ingestion.ebulk")
security.declarePublic("parse_tag", "find_operation", "write")


def parse_tag(reference: str) -> dict[str, str]:
    """What a reference says, by the names that ERP5 has for its parts. BadInput: it says nothing."""
    parsed = parse(reference)
    return {
        "supplier": parsed.supplier,
        "dataset_reference": parsed.data_set,
        "filename": parsed.name,
        "extension": parsed.extension,
        "eof": parsed.eof,
        "size": parsed.size,
        "hash": parsed.hash,
        "reference": parsed.ingestion_reference,
        "specialise_reference": SUPPLY,
    }


def find_operation(policy: Any, reference: str) -> tuple[Any, dict[str, str]]:
    """The Data Operation that takes files, and the parameters of its script. NotFound: the supply has none.

    The Data Ingestion is made once the file is known to be well-formed: see `write`.
    """
    supply = _supply(policy.getPortalObject())
    for line in supply.objectValues(portal_type="Data Supply Line"):
        operation = relation.first(line, "resource")
        if operation is not None and operation.getPortalType() == "Data Operation":
            return operation, {"reference": reference}
    raise NotFound(f"The Data Supply {SUPPLY} has no line with a Data Operation. Install its business template again.")


def write(policy: Any, reference: str, chunk: Chunk) -> None:
    """Take in what a request brings of a file; see `receive`. BadInput: its reference, or its form, is malformed."""
    if not isinstance(chunk, Chunk):
        raise BadInput("The bytes of a file are sent to the URL of an ingestion policy.")
    parsed = parse(reference)
    _author()
    with chunk.decoded() as content:
        receive(policy.getPortalObject(), parsed, content)


def receive(site: Any, reference: IngestionReference, content: Decoded) -> None:
    """Store what a request brings of a file; once that is all of it, the data set has the file.

    An unknown data set is made and validated, an invalidated one validated again. NotAuthorised unless the current
    user may push to it.
    """
    author = _author()
    number = LAST if reference.is_whole or reference.is_last else reference.number
    if not reference.is_whole:
        arrival = _find_arrival(site, reference, number, content, author)
        if arrival is None:
            return
    elif content.size <= INLINE:
        _receive_at_once(site, reference, content, author)
        return
    else:
        with serialised(CATALOGUE):
            arrival = _begin(site, reference, author, full_size=content.size)
    _receive_piece(site, reference, arrival, number, content, author)


def _receive_piece(
    site: Any, reference: IngestionReference, arrival: Arrival, number: int, content: Decoded, author: str
) -> None:
    """Store a piece of a file, and finish the file with the last one. NotReady: other processes were quicker.

    Conflicts are not left to the publisher: it would receive the whole request again, and 001, which is here then,
    would start the file over. What is done here is not done twice.
    """
    for attempt in range(1, ATTEMPTS + 1):
        try:
            pieces.receive(arrival, number, content, author)
            transaction.begin()
            if arrival.complete:
                _finish(site, reference.data_set, arrival, author)
            return
        except (TransientError, WrongOffset):
            pause(attempt + PATIENCE)
    raise NotReady(
        f"{reference.path!r} could not be put together: other servers were changing the same things, again and again. "
        "What is here of it stays; send the last piece again."
    )


def is_known(site: Any, reference: IngestionReference) -> bool:
    """Whether a client need not send a file, or piece: its data set has it, and it is not said to be modified.

    So it is, too, while the pieces of a file are all here and it is being finished.
    """
    data_set = site.data_set_module.getDataSet(reference.data_set)
    if data_set is None or not _may(View, data_set) or data_set.getValidationState() == "invalidated":
        return False
    arrival = data_set.getArrival(reference.path)
    if arrival is not None and not arrival.finished and _is_alive(site, arrival):
        return arrival.complete
    return not reference.size and data_set.manifest.get(reference.path) is not None


def remove(site: Any, data_set_reference: str, path: str) -> None:
    """Let a file leave its data set, and drop what has arrived of it. What is not there need not leave."""
    author = _author()
    with serialised(CATALOGUE):
        data_set = _data_set(site, data_set_reference, PushData)
        _drop(site, data_set, path)
        data_set.commit(OOBTree(), [path], author, f"remove {path}", now())


def rename(site: Any, old: tuple[str, str], new: tuple[str, str], reference: str) -> None:
    """Give a file another path, or data set; `reference` is its new ingestion reference.

    NotFound: there is no such file or data set. Conflict: there is a file of the new name.
    """
    author = _author()
    with serialised(CATALOGUE):
        source, target = _data_set(site, old[0], PushData), _data_set(site, new[0], PushData)
        entry = source.manifest.get(old[1])
        if entry is None:
            raise NotFound(f"{old[0]!r} has no file {old[1]!r} to rename.")
        if target.manifest.get(new[1]) is not None:
            raise Conflict(f"{new[0]!r} has a file {new[1]!r} already. Choose another name, or remove that first.")
        _drop(site, source, old[1])
        message = f"rename {old[1]} to {new[1]}"
        staged = OOBTree({new[1]: tuple(entry)})
        if old[0] == new[0]:
            source.commit(staged, [old[1]], author, message, now())
        else:
            target.commit(staged, [], author, message, now())
            source.commit(OOBTree(), [old[1]], author, message, now())
        md5_digest = source.getMd5(entry.digest)
        if md5_digest is not None:
            target.noteMd5(entry.digest, md5_digest)
        target.noteIngestionReference(new[1], reference)


def increase_version(site: Any, reference: str) -> str:
    """Count a data set's own version, such as 001, on; return it."""
    with serialised(CATALOGUE):
        version: str = _data_set(site, reference, ModifyPortalContent).increaseDatasetVersion()
        return version


def describe(site: Any, reference: str, description: str) -> None:
    """Set the description of a data set."""
    with serialised(CATALOGUE):
        _data_set(site, reference, ModifyPortalContent).edit(description=description)


class Expired(NamedTuple):
    """What came of dropping what nobody continues."""

    files: int
    """Files that came in part and were dropped."""
    problems: list[str]
    """Sentences, each about a file that is here and can't be finished."""


def drop_expired(site: Any, keep_going: Callable[[], bool] = lambda: True) -> Expired:
    """Drop what has arrived of files that nobody continues, in transactions of their own, while `keep_going()`.

    Files of which all has arrived, and that were not finished because the server was killed, are finished.
    """
    files, problems = 0, []
    for data_set, arrival in _all_arrivals(site):
        if not keep_going():
            break
        try:
            files += _drop_or_finish(site, data_set, arrival)
        except WendelinError as error:
            problems.append(f"{data_set.getReference()!r}: {error}")
    return Expired(files, problems)


def _all_arrivals(site: Any) -> Iterator[tuple[Any, Arrival]]:
    """Each arrival with its data set; what was loaded on the way is given back."""
    module = site.data_set_module
    for id in list(module.objectIds()):
        data_set = module._getOb(id, None)
        for arrival in () if data_set is None else data_set.arrivals():
            yield data_set, arrival
            site._p_jar.cacheGC()
        site._p_jar.cacheGC()


def _drop_or_finish(site: Any, data_set: Any, arrival: Arrival) -> bool:
    """Drop what has arrived of a file if nobody continues it; finish what is complete. Whether bytes were dropped."""
    if _is_abandoned(site, arrival):
        with serialised(CATALOGUE):
            if not arrival.dropped and _is_abandoned(site, arrival):  # it may have been begun again
                _drop(site, data_set, arrival.path)
                return not arrival.finished
    elif arrival.complete and not arrival.finished and data_set.getValidationState() != "invalidated":
        _finish(site, data_set.getReference(), arrival, _author_of(site, arrival))
    return False


# arrivals


class _Known(Exception):
    """A piece of a finished file, sent again."""


def _find_arrival(
    site: Any, reference: IngestionReference, number: int, content: Decoded, author: str
) -> Arrival | None:
    """The arrival that a piece belongs to; None if it is a piece of a finished file that was sent again."""
    try:
        arrival = _arrival_of(site, reference, number, content)
        if arrival is None:
            with serialised(CATALOGUE):
                # another piece of the file may have come first
                arrival = _arrival_of(site, reference, number, content) or _begin(site, reference, author)
    except _Known:
        return None
    return _continue(site, reference, arrival, author)


def _arrival_of(site: Any, reference: IngestionReference, number: int, content: Decoded) -> Arrival | None:
    """The arrival that a piece is one of; None if it begins another. `_Known`: see there."""
    data_set = site.data_set_module.getDataSet(reference.data_set)
    if data_set is None or data_set.getValidationState() == "invalidated":
        return None
    _check(PushData, data_set)
    arrival = data_set.getArrival(reference.path)
    if arrival is None or not (arrival.finished or _is_alive(site, arrival)):
        return None
    here = arrival.find(number)
    if number == FIRST and here is not None:
        return None
    if arrival.finished:
        if reference.size or not _is_current(data_set, arrival):
            return None
        if here is not None:
            if here.sha256 == content.sha256:
                raise _Known
            return None
    return arrival


def _begin(site: Any, reference: IngestionReference, author: str, full_size: int | None = None) -> Arrival:
    """Let a file arrive, from its beginning, in the current transaction. PushConflict: its path is a folder's."""
    data_set = _open_data_set(site, reference.data_set)
    data_set.manifest.refuse_clash(reference.path)  # before anything is stored
    _drop(site, data_set, reference.path)
    ingestion = _new_ingestion(site, data_set, reference.ingestion_reference, author)
    announced = reference.full_size if full_size is None else full_size
    arrival = Arrival(ingestion.getId(), reference.path, reference.ingestion_reference, announced)
    data_set.addArrival(arrival)
    return arrival


def _continue(site: Any, reference: IngestionReference, arrival: Arrival, author: str) -> Arrival:
    """Let more of a file arrive; what was finished is open again."""
    announced = reference.full_size
    is_announced = announced is not None and announced != arrival.full_size
    ingestion = _ingestion(site, arrival)
    is_old = ingestion is not None and now() - ingestion.modified > SIGN_OF_LIFE
    if arrival.finished or is_announced or is_old:
        with serialised(CATALOGUE):
            pieces.refuse_dropped(arrival)
            if announced is not None:
                arrival.full_size = announced
            if arrival.finished:
                data_set = _open_data_set(site, reference.data_set)
                arrival.ingestion = _new_ingestion(site, data_set, arrival.reference, author).getId()
                arrival.finished = False
            elif ingestion is not None:
                ingestion.touch()  # or it would expire while its pieces come
            arrival.touch()
    return arrival


def _drop(site: Any, data_set: Any, path: str) -> None:
    """Drop what has arrived of a file, and cancel its ingestion."""
    arrival = data_set.getArrival(path)
    if arrival is None:
        return
    ingestion = _ingestion(site, arrival)
    data_set.dropArrival(path)
    if ingestion is not None and ingestion.getSimulationState() == "started":
        with as_system():
            ingestion.cancel()


def _is_alive(site: Any, arrival: Arrival) -> bool:
    """Whether a file that is not finished may be continued: nobody has cancelled its ingestion, or let it expire."""
    ingestion = _ingestion(site, arrival)
    return ingestion is not None and ingestion.getSimulationState() == "started" and arrival.expires >= now()


def _is_abandoned(site: Any, arrival: Arrival) -> bool:
    """Whether nobody continues a file, or sends again a piece of one that is finished."""
    return arrival.expires < now() or not (arrival.finished or _is_alive(site, arrival))


def _is_current(data_set: Any, arrival: Arrival) -> bool:
    """Whether the data set still has the file as it arrived."""
    entry = data_set.manifest.get(arrival.path)
    return entry is not None and entry.digest == arrival.digest


def _ingestion(site: Any, arrival: Arrival) -> Any:
    return site.data_ingestion_module._getOb(arrival.ingestion, None)


def _author_of(site: Any, arrival: Arrival) -> str:
    return str(_ingestion(site, arrival).author)


# committing


def _receive_at_once(site: Any, reference: IngestionReference, content: Decoded, author: str) -> None:
    """Store a small file, and commit it."""
    data = content.file.read()
    stream = ByteStream() if data else None
    with serialised(CATALOGUE):
        data_set = _open_data_set(site, reference.data_set)
        _drop(site, data_set, reference.path)
        if stream is not None:
            stream.append(data, final=True)
        ingestion = _new_ingestion(site, data_set, reference.ingestion_reference, author)
        entry = _entry(stream, content.size, content.sha256)
        _commit(ingestion, data_set, reference.path, entry, md5(data, usedforsecurity=False).digest())
    if stream is not None:
        stream.release()


def _finish(site: Any, data_set_reference: str, arrival: Arrival, author: str) -> None:
    """Commit a file that has arrived, unless another request has. PushConflict: its path is a folder's by now."""
    try:
        while not _commit_arrival(site, data_set_reference, arrival, author):
            pass
    except PushConflict:
        with serialised(CATALOGUE):
            if not arrival.dropped:
                _drop(site, site.data_set_module.getDataSet(data_set_reference), arrival.path)
        raise


def _commit_arrival(site: Any, data_set_reference: str, arrival: Arrival, author: str) -> bool:
    """The same; False if a piece was replaced while digests were computed."""
    stream, end = arrival.stream, arrival.end
    sha256_digest, md5_digest = pieces.digests(arrival)
    with serialised(CATALOGUE):
        pieces.refuse_dropped(arrival)
        if not arrival.complete or arrival.finished:
            return True
        if arrival.stream is not stream or arrival.end != end:
            return False
        data_set = _open_data_set(site, data_set_reference)
        entry = _entry(stream if end else None, end, sha256_digest)
        _commit(_ingestion(site, arrival), data_set, arrival.path, entry, md5_digest)
        arrival.finished = True
        arrival.digest = sha256_digest
        arrival.touch()
    return True


def _entry(stream: ByteStream | None, size: int, digest: bytes) -> Entry:
    """The entry of a file; its client does not say when it was modified."""
    return Entry(stream, 0, size, digest, time.time_ns())


def _commit(ingestion: Any, data_set: Any, path: str, entry: Entry, md5_digest: bytes) -> None:
    """Let the data set have a file, and the ingestion be stopped."""
    made = data_set.commit(OOBTree({path: tuple(entry)}), [], ingestion.author, ingestion.message, now())
    data_set.noteMd5(entry.digest, md5_digest)
    data_set.noteIngestionReference(path, ingestion.getReference())
    _relate(ingestion, data_set, path)
    ingestion.file_count.set(1)
    ingestion.size.set(entry.size)
    with as_system():  # who sends the last piece need not be who sent the first
        ingestion.stop(
            {"version": made.number, "added": made.added, "modified": made.modified, "removed": made.removed}
        )


def _relate(ingestion: Any, data_set: Any, path: str) -> None:
    """Let the output line of an ingestion lead to what it has brought."""
    stream = data_set.getDataStream(path)
    for line in ingestion.objectValues(portal_type="Data Ingestion Line"):
        if line.getReference() == OUTPUT:
            line.edit(aggregate_list=[stream.getRelativeUrl(), data_set.getRelativeUrl()])


def _new_ingestion(site: Any, data_set: Any, reference: str, author: str) -> Any:
    """A Data Ingestion that has started, with lines as its Data Supply has them."""
    supply = _supply(site)
    ingestion = site.data_ingestion_module.newContent(
        portal_type="Data Ingestion",
        reference=reference,
        title=reference.partition("/")[2],
        data_set=data_set.getReference(),
        base_version=data_set.manifest.version,
        message=f"original ebulk: {reference}",
        author=author,
        specialise=supply.getRelativeUrl(),
    )
    copy_lines(supply, ingestion)
    return ingestion


def _supply(site: Any) -> Any:
    """The Data Supply of all that the original ebulk sends."""
    supply = site.data_supply_module._getOb(SUPPLY, None)
    if supply is None or supply.getValidationState() not in IN_USE:
        raise NotFound(
            f"There is no Data Supply {SUPPLY} in use. Validate it, or install the business template "
            "erp5_wendelin_data_lake_ingestion."
        )
    return supply


# data sets


def _open_data_set(site: Any, reference: str) -> Any:
    """The data set to push to, in a state in which its readers see it; made if there is none."""
    data_set = site.data_set_module.getDataSet(reference)
    if data_set is None:
        _check(AddDataSet, site)
        data_set = site.data_set_module.newDataSet(reference)
        data_set.validate()
    elif data_set.getValidationState() == "invalidated":
        _check(PushData, site)
        with as_system():
            data_set.validate()
    else:
        _check(PushData, data_set)
    return data_set


def _data_set(site: Any, reference: str, permission: str) -> Any:
    """The data set of a reference, as far as the current user may see it, and may do something with it."""
    data_set = site.data_set_module.getDataSet(reference)
    if data_set is None or not _may(View, data_set):
        raise NotFound(f"There is no data set {reference!r} that you may see. Check the spelling.")
    _check(permission, data_set)
    return data_set


def _may(permission: str, context: Any) -> bool:
    return bool(getSecurityManager().checkPermission(permission, context))


def _check(permission: str, context: Any) -> None:
    if not _may(permission, context):
        raise NotAuthorised("You may not push to this data lake, or not to this data set: ask its administrator.")


def _author() -> str:
    """The id of the current user; NotAuthorised for nobody."""
    id = getSecurityManager().getUser().getId()
    if id is None:
        raise NotAuthorised("Log in first: to push to a data lake takes an account.")
    return str(id)
