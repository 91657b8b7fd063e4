"""Small pushes, made within the process: what a client would plan and send."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

import transaction

from Products.ERP5Wendelin.ingestion import bundle, locks, session, upload

MTIME_NS = 1_700_000_000_123_456_789


def anybody_may(data_set: Any) -> bool:
    """A `may_view` that allows everything."""
    return True


def planned(path: str, content: bytes, mode: str = "100644", mtime_ns: int = MTIME_NS) -> session.PlannedFile:
    """What a client plans of a file."""
    return session.PlannedFile(path, len(content), sha256(content).digest(), mtime_ns, mode)


def tar_of(files: Mapping[str, bytes]) -> io.BytesIO:
    """A bundle of files."""
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for path, content in files.items():
            member = tarfile.TarInfo(path)
            member.size = len(content)
            member.pax_headers = {"mtime": "1700000000.123456789"}
            archive.addfile(member, io.BytesIO(content))
    target.seek(0)
    return target


def start(data_set: Any, base_version: int | None = None, message: str = "") -> Any:
    """A started push, committed."""
    ingestion = session.start(data_set, "ada", message, base_version)
    transaction.commit()
    return ingestion


def plan(
    ingestion: Any,
    files: Mapping[str, bytes] = {},
    removed: Any = (),
    renamed: Any = (),
    may_view: Any = anybody_may,
) -> list[str]:
    """Plan files by their content; what has to be sent."""
    with locks.serialised(session.key_of_ingestion(ingestion)):
        return session.plan(ingestion, [planned(*each) for each in files.items()], removed, renamed, may_view)


def send(ingestion: Any, files: Mapping[str, bytes]) -> Any:
    """Send files as one bundle."""
    with locks.serialised(session.key_of_ingestion(ingestion)):
        return bundle.receive(ingestion, tar_of(files))


def send_large(ingestion: Any, path: str, content: bytes) -> Any:
    """Send a file as an upload; the upload."""
    sent = upload.create(ingestion, path, len(content), None, None, None)
    transaction.commit()
    upload.receive(ingestion._p_jar.db(), sent, 0, io.BytesIO(content), len(content))
    transaction.begin()
    return sent


def stop(ingestion: Any) -> dict[str, int]:
    """Commit a push."""
    with locks.serialised(locks.CATALOGUE):
        return session.stop(ingestion, "ada")


def push(data_set: Any, files: Mapping[str, bytes], **plans: Any) -> dict[str, int]:
    """A whole push of small files."""
    ingestion = start(data_set, plans.pop("base_version", None))
    missing = plan(ingestion, files, **plans)
    if missing:
        send(ingestion, {path: files[path] for path in missing})
    return stop(ingestion)


def content_of(data_set: Any, path: str, version: int | None = None) -> bytes | None:
    """The bytes of a file, None if there is none."""
    entry = data_set.manifest.get(path, version)
    if entry is None:
        return None
    if entry.stream is None:
        return b""
    content: bytes = entry.stream.read(entry.offset, entry.offset + entry.size)
    return content


def contents_of(data_set: Any, version: int | None = None) -> dict[str, bytes | None]:
    """All files of a version, with their bytes."""
    return {path: content_of(data_set, path, version) for path, _ in data_set.manifest.items(version=version)}
