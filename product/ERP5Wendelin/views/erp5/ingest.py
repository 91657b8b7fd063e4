"""`{portal}/portal_ingestion_policies/{policy}/ingest`: data that agents and the original ebulk send."""

from __future__ import annotations

from email.message import Message

from Products.ERP5Wendelin.errors import BadInput
from Products.ERP5Wendelin.ingestion import policy
from Products.ERP5Wendelin.ingestion.chunk import Chunk
from Products.ERP5Wendelin.views.call import Call


def create(call: Call) -> None:
    """POST: answered once it is committed."""
    reference = call.query.text("reference")
    if not reference:
        raise BadInput("The URL must say what is sent, as in ingest?reference=TAG.")
    policy.ingest(call.policy, reference, chunk_of(call))


def chunk_of(call: Call) -> Chunk:
    """What the request brings."""
    content_type = Message()
    content_type["Content-Type"] = call.header("Content-Type") or ""
    boundary = content_type.get_param("boundary", "")
    return Chunk(call.body, call.media_type, boundary if isinstance(boundary, str) else "")
