"""`{portal}/portal_ingestion_policies/{policy}/ingest`: data that agents and the original ebulk send.

An agent keeps what it has sent until it is answered, and asks by the status what to do with it then:

=====================  ==============================================================================================
204                    it is in the database; if it came with the key of one that is, that one is
4xx                    sending it again would be no use. fluentd sets the chunk aside, Fluent Bit drops it
503 with Retry-After   it may be taken later: the storage is full or away; the policy's operation or supply is not in
                       use or incomplete. Agents keep it, and send it again
500                    a script of the site failed. Fluent Bit sends it again, fluentd does if it is told to
=====================  ==============================================================================================

What the lake's administrator has to mend is no reason to lose data; to invalidate a policy is how to have agents stop,
who are then answered 404. The original ebulk, which sends forms, is answered as it always was: 404, 409 and 507.
"""

from __future__ import annotations

from contextlib import ExitStack
from email.message import Message
from hashlib import sha256
from threading import BoundedSemaphore
from weakref import WeakKeyDictionary

import transaction
from ZODB import DB

from Products.ERP5Wendelin.errors import BadInput, Conflict, NotFound, NotReady, StorageFull
from Products.ERP5Wendelin.ingestion.batch import Sent
from Products.ERP5Wendelin.ingestion.chunk import FORM, MULTIPART, Chunk
from Products.ERP5Wendelin.ingestion.forward.notices import Notices
from Products.ERP5Wendelin.ingestion.policy import CHUNK_SIZE, Intake, Piece
from Products.ERP5Wendelin.ingestion.together import group_commit
from Products.ERP5Wendelin.views.access import name_in
from Products.ERP5Wendelin.views.call import Call
from Products.ERP5Wendelin.views.idempotency import KEY, parse_key

TAG = "Fluent-Tag"
"""The header that has the tag where the URL has none: the URL of Fluent Bit's output is the same for all tags."""

LARGE_CHUNKS = BoundedSemaphore(4)
"""Chunks of more than 2 MiB that are in memory at the same time: 64 MiB each at the most, and as much while they are
joined."""

_notices: WeakKeyDictionary[DB, Notices] = WeakKeyDictionary()
"""What is logged once a minute, though agents send again each second."""


def create(call: Call) -> None:
    """POST: answered once it is committed."""
    try:
        _take(call, _tag(call))
    except (Conflict, NotFound, StorageFull) as error:
        if call.media_type in (FORM, MULTIPART):
            raise
        policy = call.policy.getId()
        notices = _notices.setdefault(call.database, Notices())
        notices.warn((policy, type(error)), f"what an agent sends to the policy {policy!r} is not taken now: {error}")
        raise NotReady(str(error)) from error


def chunk_of(call: Call) -> Chunk:
    """What the request brings."""
    content_type = Message()
    content_type["Content-Type"] = call.header("Content-Type") or ""
    boundary = content_type.get_param("boundary", "")
    return Chunk(call.body, call.media_type, boundary if isinstance(boundary, str) else "")


def _take(call: Call, tag: str) -> None:
    """Store what the request brings: in its own transaction if a script takes it as a stream; else with all others."""
    key = parse_key(call.header(KEY))
    target = Intake(call.policy).target(tag)
    chunk = chunk_of(call)
    if target.takes_stream:
        target.store([Piece(chunk)])
        return
    with ExitStack() as held:
        data = chunk.read(CHUNK_SIZE, lambda: held.enter_context(LARGE_CHUNKS))
        id = None if key is None else key + sha256(data).digest()
        user = name_in(call.site.acl_users)
        if user is None:
            target.store([Piece(data, id)])
        else:
            transaction.abort()  # what was begun here for a new tag: it is begun with what is stored
            group_commit(call.database).write(Sent(tag, data, id, user, call.policy.getId()))


def _tag(call: Call) -> str:
    """The tag: `reference` in the URL, or else the header."""
    reference = call.query.text("reference")
    if reference:
        return reference
    header = call.header(TAG)
    if not header:
        raise BadInput("The URL must say what is sent, as in ingest?reference=TAG.")
    try:
        return header.encode("latin-1").decode()
    except UnicodeDecodeError:
        raise BadInput(f"The header {TAG} is not UTF-8.") from None
