"""What is done with the folder of a data set: one function for each verb of the command line.

Each takes the folder first: a path, what `open_folder` returns, or None for the data set around the working directory.
`lake` is a `Lake`, a URL, or None for the folder's own. `include` and `exclude` are patterns as in a `.gitignore`: what
they leave out stays as it is, here and in the lake. `progress` is a function that gets a `Snapshot` some times a
second, or an `Observer`, which is told everything; both are called from the threads of a transfer.

All return what the command line reports, and raise an `EbulkError`. KeyboardInterrupt may come at any time: the same
call again goes on where it was.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeAlias

from ebulk.library.lake import Lake, opened
from ebulk.library.progress import Told, observer_for
from ebulk.local.filter import Filter
from ebulk.local.folder import Folder
from ebulk.local.names import check_directory, check_reference
from ebulk.local.selection import Selection
from ebulk.model import ALL, STAGED, Scope, VersionInfo
from ebulk.remote.lake import Lake as RemoteLake
from ebulk.transfer.crew import JOBS
from ebulk.user import User
from ebulk.verbs import diff as diff_verb
from ebulk.verbs import init as init_verb
from ebulk.verbs import pull as pull_verb
from ebulk.verbs import push as push_verb
from ebulk.verbs import stage as stage_verbs
from ebulk.verbs import status as status_verb
from ebulk.verbs.clone import prepare_clone
from ebulk.verbs.diff import DiffReport
from ebulk.verbs.observer import Observer
from ebulk.verbs.pull import PullReport
from ebulk.verbs.push import PushReport
from ebulk.verbs.stage import StageReport
from ebulk.verbs.status import StatusReport

AnyFolder: TypeAlias = Folder | str | os.PathLike[str] | None
AnyLake: TypeAlias = Lake | str | None
Patterns: TypeAlias = str | Sequence[str]
"""One or several."""

AnyProgress: TypeAlias = Observer | Told | None


def init(path: str | os.PathLike[str], reference: str | None = None, *, url: str | None = None) -> Folder:
    """Make a folder, which is made if there is none, a data set: named like the folder unless `reference` is given."""
    return init_verb.init(Path(path), reference, url)


def open_folder(path: str | os.PathLike[str] | None = None) -> Folder:
    """The data set folder at `path`, or the one around the working directory. EbulkError when there is none."""
    return User(os.environ).folder(None if path is None else Path(path))


def push(
    folder: AnyFolder = None,
    message: str = "",
    *,
    all: bool = False,
    directory: str = "",
    include: Patterns = (),
    exclude: Patterns = (),
    restart: bool = False,
    jobs: int = JOBS,
    lake: AnyLake = None,
    progress: AnyProgress = None,
) -> PushReport:
    """Send what is staged, or `all` that has changed, or what has changed in `directory`, as one new version.

    The first push of a data set sends all. `restart` gives up what an interrupted push has sent.

    ConflictError: somebody else changed the same files. ChangedError: a file changed while it was sent.
    """
    opened_folder = _folder(folder)
    part = check_directory(directory)
    with opened(lake, opened_folder) as remote:
        report = push_verb.push(
            opened_folder,
            remote,
            message=message,
            scope=Scope(part) if part else ALL if all or directory else STAGED,
            filter=_filter(include, exclude),
            restart=restart,
            jobs=jobs,
            observer=observer_for(progress),
        )
        opened_folder.with_url(remote.url)
        return report


def pull(
    folder: AnyFolder = None,
    *,
    version: int | None = None,
    directory: str = "",
    include: Patterns = (),
    exclude: Patterns = (),
    discard_changes: bool = False,
    jobs: int = JOBS,
    lake: AnyLake = None,
    progress: AnyProgress = None,
) -> PullReport:
    """Bring a folder to the newest version, or to `version`; all of it, or its folder `directory`.

    ConflictError, with nothing touched: files changed both here and in the lake; with `discard_changes` the lake's are
    taken.
    """
    opened_folder = _folder(folder)
    with opened(lake, opened_folder) as remote:
        return _pull(
            opened_folder, remote, version, directory, _filter(include, exclude), discard_changes, jobs, progress
        )


def clone(
    reference: str,
    path: str | os.PathLike[str] | None = None,
    *,
    version: int | None = None,
    directory: str = "",
    include: Patterns = (),
    exclude: Patterns = (),
    jobs: int = JOBS,
    lake: AnyLake = None,
    progress: AnyProgress = None,
) -> PullReport:
    """Pull a data set into a new folder, named like the data set unless `path` is given.

    One that was broken off goes on. NotFoundError, and no folder: there is no such data set or version.
    """
    check_reference(reference)
    with opened(lake) as remote:
        made = prepare_clone(remote, reference, Path(reference if path is None else path), version)
        return _pull(made, remote, version, directory, _filter(include, exclude), False, jobs, progress)


def status(
    folder: AnyFolder = None,
    *,
    directory: str = "",
    include: Patterns = (),
    exclude: Patterns = (),
    progress: AnyProgress = None,
) -> StatusReport:
    """What has changed in a folder since its last push or pull, and what of it is staged. Asks no lake."""
    return status_verb.status(
        _folder(folder),
        directory=check_directory(directory),
        filter=_filter(include, exclude),
        observer=observer_for(progress),
    )


def add(folder: AnyFolder, paths: Patterns) -> StageReport:
    """Stage what is new, modified or removed below `paths`, which are relative to the data set; patterns as `*.csv`."""
    return stage_verbs.add(*_selected(folder, paths))


def remove(
    folder: AnyFolder,
    paths: Patterns,
    *,
    cached: bool = False,
    recursive: bool = False,
    force: bool = False,
) -> StageReport:
    """Stage the removal of files, and remove them here unless `cached`.

    EbulkError, with nothing removed: a folder is named and not `recursive`, or changes would be lost and not `force`.
    """
    return stage_verbs.remove(*_selected(folder, paths), cached=cached, recursive=recursive, force=force)


def reset(folder: AnyFolder, paths: Patterns = ".") -> StageReport:
    """Unstage what is below `paths`, or all; the files stay as they are."""
    return stage_verbs.reset(*_selected(folder, paths))


def log(folder: AnyFolder = None, *, lake: AnyLake = None) -> Iterator[VersionInfo]:
    """The versions of a folder's data set, newest first."""
    opened_folder = _folder(folder)
    with opened(lake, opened_folder) as remote:
        yield from remote.versions(opened_folder.reference)


@contextmanager
def diff(
    folder: AnyFolder = None, old: int | None = None, new: int | None = None, *, lake: AnyLake = None
) -> Iterator[DiffReport]:
    """What differs between two versions, the newest unless `new` is given; without `old`, between folder and version.

    A context manager: a difference of any size is kept on disk meanwhile.
    """
    opened_folder = _folder(folder)
    if old is None:
        with diff_verb.diff_folder(opened_folder) as report:
            yield report
        return
    with (
        opened(lake, opened_folder) as remote,
        diff_verb.diff_versions(remote, opened_folder.reference, old, new) as report,
    ):
        yield report


def _pull(
    folder: Folder,
    lake: RemoteLake,
    version: int | None,
    directory: str,
    filter: Filter,
    discard: bool,
    jobs: int,
    progress: AnyProgress,
) -> PullReport:
    report = pull_verb.pull(
        folder,
        lake,
        version=version,
        directory=check_directory(directory),
        filter=filter,
        discard=discard,
        jobs=jobs,
        observer=observer_for(progress),
    )
    folder.with_url(lake.url)
    return report


def _folder(folder: AnyFolder) -> Folder:
    return folder if isinstance(folder, Folder) else open_folder(folder)


def _filter(include: Patterns, exclude: Patterns) -> Filter:
    return Filter(_listed(include), _listed(exclude))


def _listed(words: Patterns) -> list[str]:
    return [words] if isinstance(words, str) else list(words)


def _selected(folder: AnyFolder, paths: Patterns) -> tuple[Folder, Selection]:
    opened_folder = _folder(folder)
    return opened_folder, Selection(opened_folder.root, opened_folder.root, _listed(paths))
