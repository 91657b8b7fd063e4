"""A push from start to end: start, plan, stop, cancel.

All run in the caller's transaction, and are to be called within `locks.serialised`: `plan`, as `bundle.receive`, with
`key_of_ingestion`, the others with `locks.CATALOGUE`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from hashlib import sha256
from itertools import chain, islice
from typing import Any, NamedTuple

from Products.CMFCore.interfaces import ISiteRoot
from zope.component import getUtility

from Products.ERP5Wendelin.content.base import now
from Products.ERP5Wendelin.content.entry import FOLDER, SYMLINK, Entry
from Products.ERP5Wendelin.content.path import PATH_SIZE, check_path
from Products.ERP5Wendelin.errors import BadInput, Conflict, Gone, Incomplete, NotFound, PushConflict
from Products.ERP5Wendelin.ingestion.expiry import cancel_expired
from Products.ERP5Wendelin.protocol import FILE_MODES, SMALL_FILE_SIZE

EMPTY_DIGEST = sha256().digest()

DIGEST_SIZE = 32

MESSAGE_LENGTH = 10_000
"""Characters of a message: it is shown in a list of versions."""

SHOWN = 100
"""The most paths an error names."""

MTIME_NS_MAX = 2**63 - 1
SIZE_MAX = 2**63 - 1

MayView = Callable[[Any], bool]


class PlannedFile(NamedTuple):
    """A file that a push will bring."""

    path: str
    size: int
    digest: bytes
    """sha-256, 32 raw bytes."""
    mtime_ns: int
    mode: str


def key_of_ingestion(ingestion: Any) -> str:
    """What plans and bundles of one push are serialised by."""
    return f"ingestion {ingestion.getId()}"


def start(data_set: Any, author: str, message: str = "", base_version: int | None = None) -> Any:
    """Start a push to a data set and return the ingestion, wrapped; expired ones of the data set are cancelled.

    `base_version` is the version the pusher's files came from, the newest unless given. NotFound: no such version.
    """
    if not isinstance(message, str) or len(message) > MESSAGE_LENGTH:
        raise BadInput(f"message must be text of at most {MESSAGE_LENGTH} characters.")
    manifest = data_set.manifest
    if base_version is not None:
        _check_version(data_set, base_version)
    cancel_expired(data_set.getReference())
    return getUtility(ISiteRoot).data_ingestion_module.newContent(
        data_set=data_set.getReference(),
        base_version=manifest.version if base_version is None else base_version,
        message=message,
        author=author,
    )


def _check_version(data_set: Any, number: int) -> None:
    """NotFound unless there is this version, or it is 0, which there is before the first."""
    if number:
        data_set.manifest.get_version(number)


def check_started(ingestion: Any) -> None:
    """Refuse what comes too late: Gone for an expired ingestion, Conflict for one that has ended."""
    state = ingestion.getSimulationState()
    if state != "started":
        raise Conflict(f"The ingestion {ingestion.getId()} is {state}. Start another one.", state=state)
    if ingestion.expires < now():
        raise Gone(f"The ingestion {ingestion.getId()} has expired: nothing arrived for days. Start another one.")


def data_set_of(ingestion: Any) -> Any:
    """The data set that a push goes to."""
    data_set = getUtility(ISiteRoot).data_set_module.getDataSet(ingestion.data_set)
    if data_set is None:
        raise NotFound(f"The data set {ingestion.data_set!r} is gone.")
    return data_set


def plan(
    ingestion: Any,
    files: Iterable[PlannedFile],
    removed: Iterable[str],
    renamed: Iterable[tuple[str, str]],
    may_view: MayView,
) -> list[str]:
    """Note what a push will change, and return the paths whose content has to be sent, in the order of `files`.

    The rest the lake holds where this user may read it: in the data set, in this ingestion, or, if large, in another
    data set for which `may_view` is true. A path that was planned before is planned anew; of one call, removals come
    first, then renamings, then files. BadInput names what can't be understood; abort the transaction then.
    """
    check_started(ingestion)
    data_set = data_set_of(ingestion)
    for path in removed:
        ingestion.remove(check_path(path))
    for old, new in renamed:
        _rename(ingestion, data_set, check_path(old), check_path(new))
    missing = [each.path for each in map(_checked, files) if not _take_over(ingestion, data_set, each, may_view)]
    ingestion.touch()
    return missing


def _rename(ingestion: Any, data_set: Any, old: str, new: str) -> None:
    """Let a path have the entry that another has in the base version, which goes."""
    version = ingestion.base_version
    entry = data_set.manifest.get(old, version)
    if entry is None:
        raise BadInput(f"Version {version} of {data_set.getReference()!r} has no file {old!r} to rename.", paths=[old])
    ingestion.removed.add(old)  # if it is staged, too, it stays: names may be swapped
    ingestion.stage(new, entry)


def _checked(file: PlannedFile) -> PlannedFile:
    check_file(*file)
    if not file.size and file.digest != EMPTY_DIGEST:
        raise BadInput(f"{file.path!r} is planned as empty with the digest of other content. Read the file again.")
    return file


def check_file(path: str, size: int, digest: bytes | None, mtime_ns: int, mode: str) -> None:
    """Refuse a file that no data set may hold: BadPath or BadInput. `digest` None: not known."""
    check_path(path)
    if not 0 <= size <= SIZE_MAX:
        raise BadInput(f"The size of {path!r} must be a number of bytes from 0 to 2**63 - 1.")
    if digest is not None and len(digest) != DIGEST_SIZE:
        raise BadInput(f"The digest of {path!r} must be a sha-256.")
    if abs(mtime_ns) > MTIME_NS_MAX:
        raise BadInput(f"The modification time of {path!r} is out of range.")
    if mode not in FILE_MODES:
        raise BadInput(f"The mode of {path!r} must be one of {', '.join(FILE_MODES)}.")
    if mode == SYMLINK and size > PATH_SIZE:
        raise BadInput(f"{path!r} is a symbolic link: its target may have at most {PATH_SIZE} bytes.")
    if mode == FOLDER and size:
        raise BadInput(f"{path!r} is a folder: it has no content, so its size must be 0.")


def _take_over(ingestion: Any, data_set: Any, file: PlannedFile, may_view: MayView) -> bool:
    """Stage a file if the lake holds its content, otherwise expect it."""
    found = _find(ingestion, data_set, file, may_view)
    if found is None:
        ingestion.expect(*file)
        return False
    entry = Entry(*found, file.size, file.digest, file.mtime_ns, file.mode)
    if ingestion.staged.get(file.path) != entry:
        ingestion.stage(file.path, entry)
    return True


def _find(ingestion: Any, data_set: Any, file: PlannedFile, may_view: MayView) -> tuple[Any, int] | None:
    """Stream and offset of a content, wherever the pusher may read it."""
    if not file.size:
        return None, 0
    for found in _places(ingestion, data_set, file, may_view):
        if found is not None and found.digest == file.digest and found.size == file.size:
            return found.stream, found.offset
    return None


def _places(ingestion: Any, data_set: Any, file: PlannedFile, may_view: MayView) -> Iterator[Entry | None]:
    staged = ingestion.staged.get(file.path)
    yield staged and Entry._make(staged)
    yield data_set.manifest.find_content(file.digest)
    if file.size >= SMALL_FILE_SIZE:
        if file.digest in ingestion.contents:
            yield Entry._make((*ingestion.contents[file.digest], file.digest, 0, file.mode))
        yield getUtility(ISiteRoot).data_set_module.findContent(file.digest, may_view)


def stop(ingestion: Any, author: str, base_version: int | None = None) -> dict[str, int]:
    """Commit a push to its data set: {"version", "added", "modified", "removed"}. Repeated, it gives the same answer.

    `base_version` replaces the push's own, for who has pulled meanwhile; NotFound when there is no such version.
    Incomplete, with `missing`, when planned content has not arrived. PushConflict, with `paths` and `version`, when
    another push changed the same paths since the base version to something else, or a path would be file and folder at
    once.
    """
    if ingestion.getSimulationState() == "stopped":
        return dict(ingestion.result)
    check_started(ingestion)
    _refuse_incomplete(ingestion)
    data_set = data_set_of(ingestion)
    if base_version is not None:
        _check_version(data_set, base_version)
        ingestion.base_version = base_version
    _refuse_conflicts(ingestion, data_set.manifest)
    made = data_set.commit(ingestion.staged, ingestion.removed, author, ingestion.message, now())
    result = {"version": data_set.manifest.version, "added": 0, "modified": 0, "removed": 0}
    if made is not None:
        result.update(added=made.added, modified=made.modified, removed=made.removed)
    ingestion.stop(result)
    return result


def _refuse_incomplete(ingestion: Any) -> None:
    count = len(ingestion.expected)
    if count:
        missing = list(islice(ingestion.expected, SHOWN))
        files = "1 file is" if count == 1 else f"{count} files are"
        raise Incomplete(
            f"{files} planned and not here yet, such as {missing[0]!r}. Send them, then stop again.",
            missing=missing,
            missing_count=count,
        )


def _refuse_conflicts(ingestion: Any, manifest: Any) -> None:
    if ingestion.base_version == manifest.version:
        return
    changed = manifest.changed_since(ingestion.base_version)
    paths = list(islice(_conflicts(ingestion, manifest, changed), SHOWN))
    if paths:
        raise PushConflict(
            f"Another push has changed {paths[0]!r} since version {ingestion.base_version}"
            f"{f' (and {len(paths) - 1} more of your paths)' if len(paths) > 1 else ''}. "
            f"Pull version {manifest.version}, decide which to keep, and push again.",
            paths=paths,
            version=manifest.version,
        )


def _conflicts(ingestion: Any, manifest: Any, changed: Any) -> Iterator[str]:
    """The pusher's paths that others have changed to something else than the pusher has."""
    mine = chain(ingestion.staged.items(), ((path, None) for path in ingestion.removed if path not in ingestion.staged))
    for path, entry in mine:
        if path in changed and not _same_content(entry, manifest.get(path)):
            yield path


def _same_content(mine: tuple[Any, ...] | None, theirs: Entry | None) -> bool:
    """Whether both have removed a path, or given it the same content and mode."""
    if mine is None or theirs is None:
        return mine is theirs
    entry = Entry._make(mine)
    return (entry.digest, entry.mode) == (theirs.digest, theirs.mode)


def cancel(ingestion: Any) -> None:
    """Give up a push: nothing of it stays. Conflict for one that is stopped; one that is cancelled stays so."""
    state = ingestion.getSimulationState()
    if state == "stopped":
        raise Conflict(
            f"The ingestion {ingestion.getId()} is stopped: what it brought is in the data set, and stays there.",
            state=state,
        )
    if state == "started":
        ingestion.cancel()
