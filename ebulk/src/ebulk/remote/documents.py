"""From the lake's JSON to values, with every type checked: what doesn't fit is no answer of a lake.

Numbers with a fraction arrive as text (see `Reply.json`), so that times stay exact.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any, TypeVar

from ebulk import model
from ebulk.errors import EbulkError
from ebulk.protocol import from_timestamp, nanoseconds

T = TypeVar("T")

SHA_256 = re.compile("sha-256:[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class User:
    """Who the lake takes us for."""

    name: str
    roles: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Received:
    """A file of a bundle as the lake stored it."""

    path: str
    size: int
    digest: str


def member(document: object, name: str, kind: type[T]) -> T:
    """The member of a JSON object, which must be of this type."""
    value = document.get(name) if isinstance(document, dict) else None
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise _unclear(f"{name!r} is {value!r}")
    return value


def optional(document: object, name: str, kind: type[T]) -> T | None:
    """The member of a JSON object, or None where it is null or absent."""
    return None if isinstance(document, dict) and document.get(name) is None else member(document, name, kind)


def items(document: object, name: str = "items") -> list[Any]:
    """The list that is a member of a JSON object."""
    return list(member(document, name, list))


def user(document: object) -> User:
    """`GET /user`."""
    return User(member(document, "name", str), tuple(str(role) for role in items(document, "roles")))


def data_set(document: object) -> model.DataSetInfo:
    """`GET /data-sets/{ref}`."""
    return model.DataSetInfo(
        reference=member(document, "reference", str),
        title=member(document, "title", str),
        state=member(document, "state", str),
        version=member(document, "version", int),
        size=member(document, "size", int),
        file_count=member(document, "file_count", int),
    )


def version(document: object) -> model.VersionInfo:
    """An item of `GET /data-sets/{ref}/versions`."""
    return model.VersionInfo(
        number=member(document, "number", int),
        date=member(document, "date", str),
        author=member(document, "author", str),
        message=member(document, "message", str),
        added=member(document, "added", int),
        modified=member(document, "modified", int),
        removed=member(document, "removed", int),
        size=member(document, "size", int),
        file_count=member(document, "file_count", int),
    )


def stream(document: object) -> model.StreamInfo:
    """An item of `GET /streams`."""
    return model.StreamInfo(
        reference=member(document, "reference", str),
        title=member(document, "title", str),
        state=member(document, "state", str),
        size=_size(document, "size"),
        start=_size(document, "start"),
        modified=optional(document, "modified", str),
    )


def array(document: object) -> model.ArrayInfo:
    """`GET /arrays/{reference}`, or an item of `GET /arrays`."""
    shape = optional(document, "shape", list)
    return model.ArrayInfo(
        reference=member(document, "reference", str),
        title=member(document, "title", str),
        state=member(document, "state", str),
        shape=None if shape is None else array_shape(document),
        dtype=None if shape is None else _dtype(document),
        size=_size(document, "size"),
        description=optional(document, "description", str) or "",
        names=tuple(str(name) for name in optional(document, "names", list) or ()),
        snapshot=optional(document, "snapshot", str),
    )


def array_shape(document: object) -> tuple[int, ...]:
    """The member `shape`: a length for each axis."""
    shape = items(document, "shape")
    if not shape or not all(type(length) is int and length >= 0 for length in shape):
        raise _unclear(f"'shape' is {shape!r:.100}")
    return tuple(shape)


def record(line: bytes | str) -> model.Record:
    """A line of what `GET /streams/{reference}?format=jsonl` answers."""
    try:
        document = json.loads(line)
        return model.Record(from_timestamp(member(document, "time", str)), document["record"])
    except (ValueError, KeyError, RecursionError):
        raise _unclear(f"{line!r:.100} is no record") from None


def gap(text: str) -> str:
    """A sentence about what a lake says of bytes that are no records."""
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        raise _unclear(f"{text!r:.100} is about no bytes") from None
    start, end = member(document, "start", int), member(document, "end", int)
    return f"Bytes {start:,} to {end:,} of the stream are left out: {member(document, 'reason', str)}."


def entry(document: object) -> model.FileEntry:
    """An item of `GET /data-sets/{ref}/manifest`. Whether the path may be written is not decided here."""
    return model.FileEntry(
        path=member(document, "path", str),
        size=_size(document, "size"),
        digest=_digest(document),
        mtime_ns=_mtime(document),
        mode=member(document, "mode", str),
    )


def ingestion(document: object) -> model.Ingestion:
    """`GET /data-sets/{ref}/ingestions/{id}`."""
    result = optional(document, "result", dict)
    return model.Ingestion(
        reference=member(document, "data_set", str),
        id=member(document, "id", str),
        state=member(document, "state", str),
        base_version=member(document, "base_version", int),
        uploads=tuple(upload(item) for item in items(document, "uploads")),
        result=None if result is None else stop_result(result),
    )


def upload(document: object) -> model.Upload:
    """An item of an ingestion's `uploads`."""
    return model.Upload(
        location=member(document, "location", str),
        path=member(document, "path", str),
        offset=_size(document, "offset"),
        length=_size(document, "length"),
        digest=optional(document, "digest", str),
    )


def stop_result(document: object) -> model.StopResult:
    """`POST …/stop`."""
    return model.StopResult(
        version=member(document, "version", int),
        added=member(document, "added", int),
        modified=member(document, "modified", int),
        removed=member(document, "removed", int),
    )


def changed_ranges(document: object, size: int, base_size: int) -> model.Ranges | None:
    """`GET /data-sets/{ref}/delta/{path}`; None if it is not about files of these sizes."""
    if (member(document, "size", int), member(document, "base_size", int)) != (size, base_size):
        return None
    ranges = items(document, "changed")
    try:
        edges = [int(edge) for start, stop in ranges for edge in (start, stop)]
    except (TypeError, ValueError):
        raise _unclear(f"'changed' is {ranges!r:.100}") from None
    if [0, *edges, size] != sorted([0, *edges, size]):
        raise _unclear(f"'changed' is {ranges!r:.100}")
    return tuple(zip(edges[::2], edges[1::2], strict=True))


def received(document: object) -> Received:
    """An item of what `POST …/bundle` answers."""
    return Received(member(document, "path", str), _size(document, "size"), member(document, "digest", str))


def _size(document: object, name: str) -> int:
    size = member(document, name, int)
    if size < 0:
        raise _unclear(f"{name!r} is {size}")
    return size


def _dtype(document: object) -> Any:
    """What it means, whoever makes arrays of it has to see."""
    value = document.get("dtype") if isinstance(document, dict) else None
    if not isinstance(value, str | list):
        raise _unclear(f"'dtype' is {value!r:.100}")
    return value


def _digest(document: object) -> str:
    """A digest becomes part of a file name: nothing but hexadecimal digits may pass."""
    digest = member(document, "digest", str)
    if not SHA_256.fullmatch(digest):
        raise _unclear(f"{digest!r} is no sha-256 digest")
    return digest


def _mtime(document: object) -> int:
    value = document.get("mtime") if isinstance(document, dict) else None
    try:
        return nanoseconds(str(value))
    except ValueError:
        raise _unclear(f"{value!r} is no time") from None


def _unclear(reason: str) -> EbulkError:
    return EbulkError(
        f"The lake's answer cannot be understood: {reason}.",
        "Lake and ebulk may be of different versions; `pip install --upgrade ebulk` gets the newest.",
    )
