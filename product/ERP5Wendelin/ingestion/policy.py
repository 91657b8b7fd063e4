"""Ingestion through a policy: what an agent sends under a tag goes where the site's documents and scripts say.

::

    Ingestion Policy   script_id                  what a tag says: a dict, the movement; nothing: a tag it won't take
                       data_operation_script_id   from that, the Data Operation and the parameters of its script
    Data Supply        reference, dates, lines    who supplies what, from when to when, and which operation takes it
    Data Operation     script_id                  does something with the bytes, such as append them to a stream
    Data Product       aggregated_portal_type     in what such data is kept
    Data Ingestion     a copy of the supply's lines for one tag, started; `out_stream` aggregates the stream of the tag

The first chunk of a tag begins its Data Ingestion and makes its Data Stream, or takes the one that has the tag for its
reference; all others find them without the catalogue, by two BTrees. Two first chunks at the same time write the same
key of these, so that one of their transactions conflicts, is tried again, and finds what the other has made.

A movement may have: `reference` (of the Data Ingestion; otherwise the tag), `specialise_reference` (of the Data Supply;
where no supply has it, the policy's own reference), `resource_reference` (of the Data Product, where a supply has
several), `bucket_reference` (handed on).

These functions check the permissions of the current user themselves, so that scripts may call them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from functools import cache, partial
from typing import Any, NamedTuple
from unicodedata import category

from AccessControl.SecurityInfo import ModuleSecurityInfo
from AccessControl.SecurityManagement import getSecurityManager
from Acquisition import aq_base
from Products.CMFCore.interfaces import ICatalogTool
from zope.component import getUtility

from Products.ERP5Wendelin.content import relation
from Products.ERP5Wendelin.content.acting import as_system
from Products.ERP5Wendelin.content.base import now
from Products.ERP5Wendelin.content.ingestion_policy import IngestionPolicy
from Products.ERP5Wendelin.content.located import name_of
from Products.ERP5Wendelin.content.scripts import parameters_of, run, script_of
from Products.ERP5Wendelin.content.state import IN_USE
from Products.ERP5Wendelin.errors import BadInput, Conflict, NotAuthorised, NotFound, TooLarge
from Products.ERP5Wendelin.ingestion.chunk import Chunk
from Products.ERP5Wendelin.ingestion.lines import copy_lines, lines, relations
from Products.ERP5Wendelin.permissions import ModifyPortalContent, PushData
from Products.ERP5Wendelin.protocol import MIB, SLICE_SIZE

CHUNK_SIZE = SLICE_SIZE
"""The most bytes that are taken at once: they are stored in one transaction."""

TAG_LENGTH = 512
"""The most characters of a tag, by which an ingestion is found."""

REFERENCE_LENGTH = 8192
"""The most characters of what a policy's parser is given: the original ebulk's has a path in it."""

UNFIT = ("Cc", "Cs")
"""Unicode's categories of what a tag may not have: control characters, and halves of characters."""

PARSER = "IngestionPolicy_parseSimpleFluentdTag"
OPERATION_FINDER = "IngestionPolicy_getIngestionOperationAndParameterDict"
"""The script of policies that name none."""

OPERATION_ID = "wendelin_ingest_data"
"""The Data Operation of new policies: it stores chunks unchanged."""

OPERATION = "ingestion_operation"
OUTPUT = "out_stream"
"""References of the lines of supplies and ingestions."""

CATEGORY = "big_data/ingestion/stream"
"""What the products and lines of streams are used for."""

YEARS = 10
"""How long a new supply is in effect."""

security = ModuleSecurityInfo("Products.ERP5Wendelin.ingestion.policy")
security.declarePublic("add_policy", "find_operation")


class Ends(NamedTuple):
    """What a supply, or an ingestion, does with what arrives: the lines of its operation and of its product."""

    operation_line: Any
    operation: Any
    product_line: Any
    product: Any


class Piece(NamedTuple):
    """What was sent at once, by the id that its sender gave it: to be stored once, however often it is sent."""

    data: bytes | Chunk
    chunk_id: bytes | None = None


def ingest(policy: Any, reference: str, data_chunk: bytes | Chunk, chunk_id: bytes | None = None) -> None:
    """Take in what has arrived under a tag, in the current transaction.

    The operation's script gets the bytes as `data_chunk`, or, if it has a parameter `chunk`, what the request brings as
    a stream. What has a `chunk_id` that one of the documents it would go to has taken lately is not stored again; see
    `content.recent_chunks`. NotAuthorised: the current user may not push to the policy. BadInput: not a tag, or one
    that the policy does not take. Conflict: the policy is not validated, the operation invalidated, or the supply
    incomplete. NotFound: a script, or a supply for the tag. TooLarge: over CHUNK_SIZE. What scripts raise: see
    `content.scripts.run`.
    """
    Intake(policy).target(reference).store([Piece(data_chunk, chunk_id)])


class Intake:
    """A policy that takes data in, as the current user may, with its scripts: found once for many tags."""

    def __init__(self, policy: Any) -> None:
        _check(policy)
        self._policy = policy
        self._script_of = cache(partial(script_of, policy))
        self._parser = self._script(policy)
        self._finder = self._script_of(policy.getDataOperationScriptId() or OPERATION_FINDER)

    def target(self, reference: str) -> Target:
        """What takes what is sent under a tag. Errors: see `ingest`."""
        movement = run(self._parser, checked_tag(reference, REFERENCE_LENGTH))
        if not movement:
            raise BadInput(
                f"{name_of(self._policy)} does not take the tag {reference!r}. "
                f"Its script {self._policy.getScriptId()} says which tags it takes; send another, or to another policy."
            )
        operation, parameters = run(self._finder, movement, reference)
        if operation is None:
            raise NotFound(f"{name_of(self._policy)} has no Data Operation for the tag {reference!r}.")
        if operation.getValidationState() == "invalidated":
            raise Conflict(f"{name_of(operation)} is invalidated: it takes data once it is validated again.")
        return Target(self._script(operation), parameters)

    def _script(self, document: Any) -> Any:
        """The script that a document names, bound to the policy."""
        id = document.getProperty("script_id")
        if not id:
            raise NotFound(f"{name_of(document)} names no script: set its script_id.")
        return self._script_of(id)


class Target:
    """What takes what is sent under a tag: the script of a Data Operation, with its parameters.

    `sinks` are those documents among them that know chunks again: what data goes to.
    """

    def __init__(self, script: Any, parameters: dict[str, Any]) -> None:
        self.script = script
        self.parameters = parameters
        self.sinks = [
            document
            for documents in parameters.values()
            if isinstance(documents, dict)
            for document in documents.values()
            if hasattr(aq_base(document), "hasChunk")
        ]

    @property
    def takes_stream(self) -> bool:
        """Whether its script takes what a request brings as a stream."""
        return "chunk" in parameters_of(self.script)

    def store(self, pieces: Sequence[Piece], mark: bytes | None = None) -> None:
        """Give the script what is new of several pieces, in their order, joined; in the current transaction.

        `mark`, if there is one, is the id of all pieces that have none of their own: they are stored together, once.
        """
        ids = dict.fromkeys(mark if piece.chunk_id is None else piece.chunk_id for piece in pieces)
        new = [id for id in ids if id is not None and not self._has_chunk(id)]
        taken = list(_new(pieces, mark, set(new)))
        if taken:
            self._take(taken)
        for sink in self.sinks:
            for id in new:
                sink.noteChunk(id)

    def _has_chunk(self, id: bytes) -> bool:
        return any(sink.hasChunk(id) for sink in self.sinks)

    def _take(self, data: Sequence[bytes | Chunk]) -> None:
        if self.takes_stream:
            for each in data:
                run(self.script, chunk=each, **self.parameters)
        else:
            joined = data[0] if len(data) == 1 else b"".join(map(_in_memory, data))
            run(self.script, data_chunk=_in_memory(joined), **self.parameters)


def _new(pieces: Sequence[Piece], mark: bytes | None, new: set[bytes]) -> Iterator[bytes | Chunk]:
    """The data of those pieces that are to be stored: without an id, if their mark is new or there is none; with one
    that is new, the first."""
    for data, id in pieces:
        if id is None:
            if mark is None or mark in new:
                yield data
        elif id in new:
            new.discard(id)
            yield data


def find_operation(policy: Any, movement: dict[str, Any], reference: str) -> tuple[Any, dict[str, Any]]:
    """The Data Operation for a tag and its script's parameters, by the Data Ingestion of the tag that is running.

    If there is none it is begun. Parameters: by the reference of each line, its documents by their portal types, as in
    {'out_stream': {'Data Stream': stream}}. Errors: see `ingest`.
    """
    _check(policy)
    tag = checked_tag(reference)
    ingestion = _running(policy, tag)
    ends = None if ingestion is None else _ends(ingestion, movement)
    documents = {} if ends is None else _documents(ends.product_line)
    if ends is None or not documents:
        ends, documents = _begin(policy, movement, tag)
    parameters = {ends.product_line.getReference(): documents}
    if movement.get("bucket_reference") is not None:
        parameters["bucket_reference"] = movement["bucket_reference"]
    return ends.operation, parameters


def add_policy(tool: Any, reference: str, title: str = "", operation: str = OPERATION_ID) -> tuple[Any, Any, Any]:
    """Make a policy with all that it takes, validated, and return it, its Data Supply and its Data Product.

    `operation` is the id of the Data Operation. Conflict: there is a policy of this name; NotFound: no such operation.
    """
    if not getSecurityManager().checkPermission(ModifyPortalContent, tool):
        raise NotAuthorised("You may not add ingestion policies: it takes the role of manager.")
    site = tool.getPortalObject()
    if relation.find(site, f"data_operation_module/{operation}") is None:
        raise NotFound(f"There is no Data Operation {operation!r} in data_operation_module.")
    policy = tool.newContent(
        "Ingestion Policy", reference, reference=reference, title=title or reference, version="001", script_id=PARSER
    )
    product = site.data_product_module.newContent(
        "Data Product",
        reference=reference,
        title="Append to Data Stream",
        aggregated_portal_type_list=["Data Stream"],
        use=CATEGORY,
    )
    begin = now()
    supply = site.data_supply_module.newContent(
        "Data Supply",
        reference=reference,
        title=title or reference,
        version="001",
        effective_date=begin,
        expiration_date=begin + timedelta(days=365 * YEARS),
    )
    for properties in (
        {"reference": OPERATION, "title": "Ingest Data", "resource": f"data_operation_module/{operation}"},
        {"reference": OUTPUT, "title": "Data Stream", "resource_value": product, "use": CATEGORY},
    ):
        supply.newContent("Data Supply Line", int_index=len(supply.objectIds()) + 1, quantity=1.0, **properties)
    for document in (product, supply, policy):
        document.validate()
    return policy, supply, product


def _check(policy: Any) -> None:
    """Whether the current user may push through a policy, and whether it is in use."""
    if not isinstance(aq_base(policy), IngestionPolicy):
        raise BadInput("Data is taken in by an Ingestion Policy.")
    # its state comes first: contributors have no rights in one that is not in use, and would be told to become what
    # they are
    if policy.getValidationState() not in IN_USE:
        raise Conflict(f"{name_of(policy)} is {policy.getValidationState()}: it takes data once it is validated.")
    if not getSecurityManager().checkPermission(PushData, policy):
        raise NotAuthorised(f"You may not send data to {name_of(policy)}: it takes the role of contributor.")


def checked_tag(reference: str, length: int = TAG_LENGTH) -> str:
    """A tag. BadInput: it is none, whatever the policy."""
    if not isinstance(reference, str) or not reference:
        raise BadInput("Name a tag, such as sensor.product; by HTTP: …/ingest?reference=TAG.")
    if len(reference) > length or any(category(character) in UNFIT for character in reference):
        raise BadInput(f"A tag has at most {length} characters, and no control characters.")
    return reference


def _in_memory(data_chunk: bytes | Chunk) -> bytes:
    if isinstance(data_chunk, Chunk):
        return data_chunk.read(CHUNK_SIZE)
    if len(data_chunk) > CHUNK_SIZE:
        raise TooLarge(f"What is sent at once may have at most {CHUNK_SIZE // MIB} MiB. Send less at a time.")
    return data_chunk


# the ingestion of a tag


def _running(policy: Any, tag: str) -> Any:
    """The started Data Ingestion of a tag, if there is one, and its supply is in use."""
    ingestion = policy.getPortalObject().data_ingestion_module.getRunning(policy.getId(), tag)
    if ingestion is None or ingestion.getSimulationState() != "started":
        return None
    supply = relation.first(ingestion, "specialise")
    return ingestion if supply is not None and _is_in_use(supply) else None


def _begin(policy: Any, movement: dict[str, Any], tag: str) -> tuple[Ends, dict[str, Any]]:
    """Begin the Data Ingestion of a tag, and stop the one before if it is started, for its supply or stream is not in
    use any more."""
    site = policy.getPortalObject()
    module = site.data_ingestion_module
    supply = _find_supply(policy, movement, tag)
    before = module.getRunning(policy.getId(), tag)
    if before is not None and before.getSimulationState() == "started":
        with as_system():
            before.stop({})
    ingestion = module.newContent(
        "Data Ingestion",
        reference=movement.get("reference") or tag,
        title=supply.getTitle(),
        author=getSecurityManager().getUser().getUserName(),
        start_date=now(),
        specialise_value=supply,
        **relations(supply, without="specialise"),
    )
    copy_lines(supply, ingestion)
    ends = _ends(ingestion, movement)
    if ends is None:
        raise Conflict(
            f"{name_of(supply)} is incomplete: it takes a line whose resource is a Data Operation, and one whose "
            "resource is a Data Product."
        )
    documents = {sink.getPortalType(): sink for sink in _sinks(site, ends.product, tag)}
    ends.product_line.setAggregateList(
        [*ends.product_line.getAggregateList(), *(sink.getRelativeUrl() for sink in documents.values())]
    )
    module.noteRunning(policy.getId(), tag, ingestion)
    return ends, documents


def _find_supply(policy: Any, movement: dict[str, Any], tag: str) -> Any:
    """The Data Supply of a tag: in use, and the one that came into effect last if there are several."""
    references = list(dict.fromkeys(filter(None, (movement.get("specialise_reference"), policy.getReference()))))
    search = getUtility(ICatalogTool).unrestrictedSearchResults
    for reference in references:
        found = [brain._unrestrictedGetObject() for brain in search(portal_type="Data Supply", reference=reference)]
        supplies = [supply for supply in found if _is_in_use(supply)]
        if supplies:
            return max(supplies, key=lambda supply: (_date(supply, "effective_date", datetime.min), supply.getId()))
    raise NotFound(
        f"No Data Supply takes the tag {tag!r} of {name_of(policy)}: none with the reference "
        f"{' or '.join(map(repr, references)) or '…'} is validated and in effect. Add or validate one, or change dates."
    )


def _is_in_use(supply: Any) -> bool:
    """Whether a supply is validated and today in effect."""
    if supply.getValidationState() not in IN_USE:
        return False
    time = now().replace(tzinfo=None)
    return _date(supply, "effective_date", datetime.min) <= time < _date(supply, "expiration_date", datetime.max)


def _date(supply: Any, name: str, default: datetime) -> datetime:
    """A date of a supply, without the zone, which is UTC."""
    date = getattr(aq_base(supply), name)
    return default if date is None else date.replace(tzinfo=None)


def _ends(document: Any, movement: dict[str, Any]) -> Ends | None:
    """The operation and the product of a supply's or an ingestion's lines; None if either is missing."""
    operations: list[tuple[Any, Any]] = []
    products: list[tuple[Any, Any]] = []
    for line in lines(document):
        resource = relation.first(line, "resource")
        if resource is not None:
            kept = {"Data Operation": operations, "Data Product": products}.get(resource.getPortalType())
            if kept is not None:
                kept.append((line, resource))
    operations.sort(key=lambda found: found[0].getReference() != OPERATION)
    wanted = movement.get("resource_reference")
    products.sort(key=lambda found: (found[1].getReference() != wanted, found[0].getReference() != OUTPUT))
    return Ends(*operations[0], *products[0]) if operations and products else None


def _documents(line: Any) -> dict[str, Any]:
    """What an ingestion's line says that data goes to, by portal types; nothing if any of it is not in use any more."""
    site = line.getPortalObject()
    found = [relation.find(site, path) for path in relation.paths(line, "aggregate")]
    sinks = [
        document for document in found if document is not None and hasattr(aq_base(document), "getValidationState")
    ]
    if any(sink.getValidationState() not in IN_USE for sink in sinks):
        return {}
    return {sink.getPortalType(): sink for sink in sinks}


def _sinks(site: Any, product: Any, tag: str) -> Iterator[Any]:
    """What a product's data of a tag is kept in: the documents in use with the tag for their reference, or new ones."""
    portal_types = product.getAggregatedPortalTypeList()
    if not portal_types:
        raise Conflict(
            f"{name_of(product)} does not say in what its data is kept: set its aggregated_portal_type_list."
        )
    search = getUtility(ICatalogTool).unrestrictedSearchResults
    for portal_type in portal_types:
        noted = site.data_ingestion_module.getSink(portal_type, tag)
        if noted is not None and noted.getValidationState() in IN_USE:
            yield noted
            continue
        brains = search(portal_type=portal_type, reference=tag, validation_state=IN_USE, limit=1)
        sink = next((brain._unrestrictedGetObject() for brain in brains), None)
        if sink is None:
            sink = site.getDefaultModule(portal_type).newContent(portal_type, reference=tag, title=tag)
            sink.validate()
        site.data_ingestion_module.noteSink(tag, sink)
        yield sink
