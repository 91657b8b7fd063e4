"""Digests of local files: `sha-256:` and 64 hexadecimal digits on the wire, 32 raw bytes in the index."""

from __future__ import annotations

import hashlib
import os
import threading
from typing import NamedTuple

from ebulk.errors import ChangedError, EbulkError
from ebulk.local.names import shown
from ebulk.local.scan import Found, found_from
from ebulk.model import FOLDER, SYMLINK
from ebulk.protocol import SMALL_FILE_SIZE

ALGORITHM = "sha-256:"
CHUNK_SIZE = 1024 * 1024
EMPTY_DIGEST = hashlib.sha256().digest()
"""Of no bytes: that of an empty file, and of a folder."""

ATTEMPTS = 3
"""How often a file is read again that changed while it was read."""


class StoppedError(Exception):
    """Hashing was called off; nobody waits for the result."""


class Measured(NamedTuple):
    """A file and its sha-256; `found` is its state before and after it was read."""

    found: Found
    digest: bytes
    head: bytes | None = None
    """The sha-256 of its beginning, where that was asked for and the file goes on behind it."""
    content: bytes | None = None
    """The bytes of a small file, which are in memory now and need not be read again."""


def to_text(digest: bytes) -> str:
    """A raw digest as the wire has it."""
    return ALGORITHM + digest.hex()


def to_raw(text: str) -> bytes:
    """The wire's digest as raw bytes; EbulkError for one that isn't a sha-256."""
    try:
        raw = bytes.fromhex(text.removeprefix(ALGORITHM))
    except ValueError:
        raw = b""
    if not text.startswith(ALGORITHM) or len(raw) != hashlib.sha256().digest_size:
        raise EbulkError(f"The lake sent the digest {shown(text)}, which is no sha-256.", "Update ebulk, or the lake.")
    return raw


def measure(root: str, found: Found, stop: threading.Event | None = None, head: int = 0) -> Measured:
    """Hash a file below `root` as it is now; on the way also its first `head` bytes, unless that is 0.

    ChangedError: it changed each time while it was read. EbulkError: it can't be read. StoppedError: `stop` was set.
    """
    if found.mode == FOLDER:
        return Measured(found, EMPTY_DIGEST)
    path = f"{root}/{found.disk}"
    try:
        for _ in range(ATTEMPTS):
            measured = _measure_link(path, found) if found.mode == SYMLINK else _measure_file(path, found, stop, head)
            if measured:
                return measured
    except FileNotFoundError as error:
        raise ChangedError(f"{shown(found.path)} was removed meanwhile.", "Run the same command again.") from error
    except OSError as error:
        raise EbulkError(
            f"{shown(found.path)} cannot be read: {(error.strerror or str(error)).lower()}.",
            "Make it readable or move it away, then try again.",
        ) from error
    raise ChangedError(
        f"{shown(found.path)} changes while it is read.", "Run the same command again when nothing writes to it."
    )


def _measure_link(path: str, found: Found) -> Measured | None:
    before = os.lstat(path)
    target = os.fsencode(os.readlink(path))
    after = found_from(found.path, found.disk, os.lstat(path))
    if found_from(found.path, found.disk, before) != after:
        return None
    return Measured(after, hashlib.sha256(target).digest())


def _measure_file(path: str, found: Found, stop: threading.Event | None, head: int) -> Measured | None:
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        before = found_from(found.path, found.disk, os.fstat(descriptor))
        if before.size < SMALL_FILE_SIZE:
            return _measure_small(descriptor, before)
        digest = hashlib.sha256()
        head = head if head < before.size else 0
        hash_next(descriptor, digest, head, stop)
        beginning = digest.digest() if head else None
        # One byte more than there are: a file that grows meanwhile is noticed.
        hash_next(descriptor, digest, before.size - head + 1, stop)
        after = found_from(found.path, found.disk, os.fstat(descriptor))
    finally:
        os.close(descriptor)
    return Measured(after, digest.digest(), beginning) if before == after else None


def _measure_small(descriptor: int, before: Found) -> Measured | None:
    """The same for a file that is read at once: each call of the system hands the interpreter to another thread."""
    # One byte more than there are: a file that grows meanwhile is noticed.
    content = os.read(descriptor, before.size + 1)
    after = found_from(before.path, before.disk, os.fstat(descriptor))
    if before != after or len(content) != before.size:
        return None
    return Measured(after, hashlib.sha256(content).digest(), content=content)


def hash_next(descriptor: int, digest: hashlib._Hash, length: int, stop: threading.Event | None = None) -> None:
    """Hash the next `length` bytes of a file, or fewer if it ends before. StoppedError: `stop` was set."""
    # Python asks for memory of the size given, also for a file of a few bytes.
    while length and (chunk := os.read(descriptor, min(CHUNK_SIZE, length))):
        digest.update(chunk)
        length -= len(chunk)
        if stop is not None and stop.is_set():
            raise StoppedError
