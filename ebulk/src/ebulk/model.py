"""Small values that the layers hand to each other."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Protocol, TypeAlias

Ranges: TypeAlias = tuple[tuple[int, int], ...]
"""Of a file's bytes: pairs (start, stop), half open, ascending, with gaps between them."""

REGULAR = "100644"
EXECUTABLE = "100755"
SYMLINK = "120000"
FOLDER = "040000"
"""An empty folder: what is in others says that they are there."""


@dataclass(frozen=True, slots=True)
class FileEntry:
    """A file of a data set: what the lake's manifest says of it."""

    path: str
    """Relative, `/`-separated, NFC."""
    size: int
    """Bytes."""
    digest: str
    """`sha-256:` and 64 hexadecimal digits."""
    mtime_ns: int
    """Modification time, nanoseconds since the epoch."""
    mode: str = REGULAR
    """git's mode: REGULAR, EXECUTABLE, SYMLINK (the content is the link's target) or FOLDER (no content)."""


@dataclass(frozen=True, slots=True)
class Base:
    """Content of the lake that a file of the folder was made from."""

    digest: str
    size: int
    appended: bool
    """Whether the file begins with it, and goes on."""


@dataclass(frozen=True, slots=True)
class LocalFile:
    """A file of the folder to be sent."""

    entry: FileEntry
    source: Path | str
    """Where its bytes are."""
    base: Base | None = None
    """The content of the lake that most of them may be in."""
    content: bytes | None = None
    """They themselves, of a small file that was read lately."""


@dataclass(frozen=True, slots=True)
class Scope:
    """What a push sends of what has changed: all of it (`ALL`), what is in one folder, or what is staged (`STAGED`)."""

    directory: str = ""
    """The only folder, relative to the data set; "" for all of it."""
    staged: bool = False
    """Only what is staged."""


ALL = Scope()
STAGED = Scope(staged=True)


@dataclass(frozen=True, slots=True)
class DataSetInfo:
    """A data set, as `GET /data-sets/{reference}` describes it."""

    reference: str
    title: str
    state: str
    version: int
    size: int
    file_count: int


@dataclass(frozen=True, slots=True)
class VersionInfo:
    """One version of a data set: what its push changed, and what it then held."""

    number: int
    date: str
    """RFC 3339, UTC."""
    author: str
    message: str
    added: int
    modified: int
    removed: int
    size: int
    file_count: int


@dataclass(frozen=True, slots=True)
class StreamInfo:
    """A stream, as `GET /streams` lists it: bytes that are only ever appended to."""

    reference: str
    title: str
    state: str
    size: int
    """Bytes that were ever appended: the offset where it ends."""
    start: int
    """Offset of the first byte that is kept: what was before it, retention has dropped."""
    modified: str | None
    """When bytes came last (RFC 3339, UTC); None as long as none did."""


@dataclass(frozen=True, slots=True)
class ArrayInfo:
    """An array, as `GET /arrays` lists it, or `GET /arrays/{reference}` describes it."""

    reference: str
    title: str
    state: str
    shape: tuple[int, ...] | None
    """None as long as nobody gave it one; it has no dtype and no bytes then."""
    dtype: Any
    """As NumPy's `dtype.str` has it (`"<f8"`), or for records as `dtype.descr`, in JSON's lists."""
    size: int
    """Bytes of its elements."""
    description: str = ""
    names: tuple[str, ...] = ()
    """Of its columns; none where elements are plain."""
    snapshot: str | None = None
    """The state of the lake that this is true of; not in a list."""


class Record(NamedTuple):
    """One event of a stream."""

    time: int
    """Nanoseconds since the epoch."""
    record: Any
    """What was sent, as JSON has it: as a rule, a dict."""


@dataclass(frozen=True, slots=True)
class Upload:
    """A tus upload that the lake has begun to receive."""

    location: str
    path: str
    offset: int
    length: int
    digest: str | None


@dataclass(frozen=True, slots=True)
class Ingestion:
    """A push under way."""

    reference: str
    id: str
    state: str
    base_version: int
    uploads: tuple[Upload, ...]
    result: StopResult | None


@dataclass(frozen=True, slots=True)
class StopResult:
    """What a push changed."""

    version: int
    added: int
    modified: int
    removed: int


class Progress(Protocol):
    """Told by transfers what happens, from any thread; the command line draws it, a library user may ignore it."""

    def begin(self, path: str, size: int) -> None:
        """A file's transfer begins."""

    def advance(self, path: str, count: int) -> None:
        """`count` more bytes of it have arrived; negative when bytes must be sent again."""

    def reuse(self, path: str, count: int) -> None:
        """`count` more bytes of it need no transfer, since they are there from before: they count, but not as speed."""

    def done(self, path: str) -> None:
        """It is complete and verified."""

    def note(self, message: str) -> None:
        """Something a person may want to know, such as a retry."""
