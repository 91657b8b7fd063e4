"""What fluentd's plug-in for Wendelin sends: records in MessagePack, each a time and what was logged then."""

from __future__ import annotations

import json
from typing import Any

import msgpack
from AccessControl.SecurityInfo import ModuleSecurityInfo

from Products.ERP5Wendelin.content.msgpack_records import unpacked
from Products.ERP5Wendelin.errors import BadInput

security = ModuleSecurityInfo("Products.ERP5Wendelin.ingestion.fluentd")
security.declarePublic("contents")

TIMES = (int, float, msgpack.ExtType, msgpack.Timestamp)
"""What times come as."""


def contents(data_chunk: bytes) -> bytes:
    """The contents of the records of a chunk, one after the other; the chunk itself if it is not made of such records.

    Texts, in UTF-8, and bytes are taken as they are, and anything else as a line of JSON.
    """
    try:
        records = list(unpacked(data_chunk))
    except BadInput:
        return data_chunk
    if not all(map(_is_record, records)):
        return data_chunk
    return b"".join(_encoded(content) for _, content in records)


def _is_record(value: Any) -> bool:
    """Whether a value is [time, content]."""
    return isinstance(value, list) and len(value) == 2 and isinstance(value[0], TIMES)


def _encoded(content: Any) -> bytes:
    if isinstance(content, bytes):
        return content
    text = content if isinstance(content, str) else json.dumps(content, ensure_ascii=False, default=_text) + "\n"
    return text.encode("utf-8", "surrogateescape")


def _text(value: Any) -> str:
    """What JSON has no form for, such as bytes within a record, as text."""
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
