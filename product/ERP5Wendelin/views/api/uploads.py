"""`…/ingestions/{ingestion}/uploads` and `…/{upload}`: tus 1.0.0, one file each, resumable."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, BinaryIO, cast

from Products.ERP5Wendelin.errors import BadInput
from Products.ERP5Wendelin.ingestion import locks, session
from Products.ERP5Wendelin.ingestion import upload as receiver
from Products.ERP5Wendelin.ingestion.delta import Base
from Products.ERP5Wendelin.protocol import TUS_VERSION
from Products.ERP5Wendelin.views import tus
from Products.ERP5Wendelin.views.answer import NO_STORE, Answer, no_content
from Products.ERP5Wendelin.views.call import Call
from Products.ERP5Wendelin.views.problem import UnsupportedMediaType
from Products.ERP5Wendelin.views.wire import format_http_date, parse_digest, parse_mode, parse_mtime_text


def capabilities(call: Call) -> Answer:
    """OPTIONS: what this server can, of tus."""
    return no_content({"Allow": "OPTIONS, POST", "Tus-Resumable": TUS_VERSION, **tus.CAPABILITIES})


def create(call: Call) -> Answer:
    """POST …/uploads: creation, and the first bytes if there is a body."""
    begin(call)
    if call.header("Upload-Defer-Length") is not None:
        raise BadInput("Upload-Defer-Length is not supported: say how long the file is, in Upload-Length.")
    length = tus.parse_size("Upload-Length", call.header("Upload-Length"))
    path, digest, mtime_ns, mode, base, text = read_metadata(call, length)
    if call.body.length:
        check_media_type(call)
    checksum = tus.parse_checksum(call.header("Upload-Checksum"))
    with locks.serialised(session.key_of_ingestion(call.ingestion)):
        upload = receiver.create(call.ingestion, path, length, digest, mtime_ns, mode, text, base)
    offset = receive(call, upload, 0, checksum)
    headers = {"Location": call.ingestion_url(call.ingestion.getId(), "uploads", upload.id), **NO_STORE}
    return Answer(None, HTTPStatus.CREATED, {**headers, **progress(upload, offset)})


def read(call: Call) -> Answer:
    """HEAD …/{upload}: how much of it is here."""
    begin(call)
    upload = receiver.get(call.ingestion, call.names["upload"])
    headers = {"Upload-Length": str(upload.length), **NO_STORE, **progress(upload, upload.offset)}
    if upload.metadata:
        headers["Upload-Metadata"] = upload.metadata
    return Answer(None, HTTPStatus.OK, headers)


def append(call: Call) -> Answer:
    """PATCH …/{upload}: the next bytes."""
    begin(call)
    check_media_type(call)
    offset = tus.parse_size("Upload-Offset", call.header("Upload-Offset"))
    checksum = tus.parse_checksum(call.header("Upload-Checksum"))
    upload = receiver.get(call.ingestion, call.names["upload"])
    return no_content(progress(upload, receive(call, upload, offset, checksum)))


def terminate(call: Call) -> None:
    """DELETE …/{upload}: nothing of it stays."""
    begin(call)
    with locks.serialised(session.key_of_ingestion(call.ingestion)):
        receiver.terminate(call.ingestion, receiver.get(call.ingestion, call.names["upload"]))


def begin(call: Call) -> None:
    """Check that the caller speaks our version of tus; say in the response that we do."""
    call.headers["Tus-Resumable"] = TUS_VERSION
    if call.header("Tus-Resumable") != TUS_VERSION:
        call.headers["Tus-Version"] = TUS_VERSION
    tus.check_version(call.header("Tus-Resumable"))


def check_media_type(call: Call) -> None:
    """Refuse a body that does not say it is a piece of an upload."""
    if call.media_type != tus.MEDIA_TYPE:
        raise UnsupportedMediaType(f"The bytes of an upload have the header Content-Type: {tus.MEDIA_TYPE}.")


def read_metadata(call: Call, length: int) -> tuple[str, bytes | None, int | None, str | None, Base | None, str]:
    """Path, digest, modification time, mode (None: as planned), base, and the header as it was sent."""
    text = call.header("Upload-Metadata") or ""
    metadata = tus.parse_metadata(text)
    path = metadata.get("path", metadata.get("filename"))
    if path is None:
        raise BadInput("Upload-Metadata must have the path of the file in the data set, as 'path' or 'filename'.")
    digest, mtime, mode = (metadata.get(key) for key in ("digest", "mtime", "mode"))
    return (
        path,
        None if digest is None else parse_digest(digest),
        None if mtime is None else parse_mtime_text(mtime),
        None if mode is None else parse_mode(mode),
        read_base(metadata, length),
        text,
    )


def read_base(metadata: Mapping[str, str], length: int) -> Base | None:
    """What an upload of `length` bytes is said to start from; None if from nothing."""
    if "base" not in metadata:
        for key in ("base_length", "changed"):
            if key in metadata:
                raise BadInput(f"Upload-Metadata: {key!r} says something of 'base', which is missing.")
        return None
    return Base(
        parse_digest(metadata["base"], "base"),
        tus.parse_metadata_size("base_length", metadata.get("base_length")),
        tus.parse_ranges("changed", metadata.get("changed", ""), length),
    )


def receive(call: Call, upload: Any, offset: int, checksum: tuple[str, bytes] | None) -> int:
    """Append the body at an offset; return the new one."""
    length = call.body.length
    if length is None:  # the gateway marks the end, or it is in zstd
        length = max(upload.length - offset, 0)
    reached = receiver.receive(call.database, upload, offset, cast(BinaryIO, call.body), length, checksum)
    if call.body.length is None and call.body.read(1):
        raise BadInput(f"The body goes on behind the {upload.length} bytes of the upload.", offset=reached)
    return reached


def progress(upload: Any, offset: int) -> dict[str, str]:
    """Headers that say where an upload is, and until when."""
    headers = {"Upload-Offset": str(offset)}
    if offset < upload.length:
        headers["Upload-Expires"] = format_http_date(upload.expires)
    return headers
