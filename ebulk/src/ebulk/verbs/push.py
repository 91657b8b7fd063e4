"""Sends what changed in a folder since the last push or pull, as one new version.

::

    scan and compare with the index     what changed: rows of `pending`
    hash, plan, send                    a pipeline: files are hashed while others are planned and sent
    look again                          nothing may have changed meanwhile
    stop                                the lake makes the version
    commit the index                    one transaction; then the journal is cleared

It may be killed anywhere. The journal names the ingestion, `pending` holds the digests, and the lake knows what it has
received: the same command again goes on, and doesn't send twice what the lake has committed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import chain, islice
from typing import TypeVar

from ebulk.errors import ChangedError, ConflictError, EbulkError, NotFoundError
from ebulk.local.append import finish_appends
from ebulk.local.compare import Kind, outer_join
from ebulk.local.digest import Measured, to_text
from ebulk.local.filter import NO_FILTER, Filter
from ebulk.local.folder import Folder
from ebulk.local.index import Index, Known, Pending, Totals, is_settled
from ebulk.local.journal import Journal, PushUnderWay
from ebulk.local.lock import Lock
from ebulk.local.names import shown
from ebulk.local.scan import Found, is_there
from ebulk.model import ALL, FOLDER, STAGED, SYMLINK, Base, FileEntry, Ingestion, LocalFile, Scope, StopResult
from ebulk.protocol import BUNDLE_SIZE, PLAN_LENGTH, PLAN_SIZE, SMALL_FILE_SIZE
from ebulk.remote.lake import Lake
from ebulk.transfer.upload import Sent, send
from ebulk.verbs.collect import Collector, nothing_staged
from ebulk.verbs.conflict import HINT, explained
from ebulk.verbs.hashing import Hashed, Hasher, base_of
from ebulk.verbs.links import Link, leads_out_of, named
from ebulk.verbs.observer import SILENT, Observer
from ebulk.verbs.problems import listed

SENT_KINDS = (Kind.NEW.value, Kind.MODIFIED.value, Kind.SUSPECT.value)
STALE = "stale"

Item = TypeVar("Item")

LISTED_PATHS = 100
"""The most paths in conflict that a lake names: of so many, there may be more."""


@dataclass(frozen=True, slots=True)
class PushReport:
    """What a push did."""

    reference: str
    version: int
    """The new version; where nothing changed, the one the folder came from."""
    new: int
    modified: int
    removed: int
    renamed: int
    """How many of the new files are removed ones under another name."""
    unchanged: int
    sent: Totals
    present: Totals
    """Changed files that needed no upload, since the lake has their content."""
    total: Totals
    """The files of the folder, as of the new version."""
    resumed: bool
    """Whether it went on with a push that was broken off."""
    others: bool
    """Whether somebody else pushed since the folder's last pull: there is something to pull."""
    unstaged: int
    """Changes that stay here, since they are not staged; as far as can be told without reading files."""
    left_out: int = 0
    """Changes that stay here, since the filter does not take them; as far as can be told without reading files."""
    reused: int = 0
    """Bytes of modified files that were not sent, since the lake took them over from the version before."""
    travelled: int = 0
    """Bytes that were sent: of files as they travel, in zstd or another time, and of what is told about them."""

    @property
    def changed(self) -> bool:
        """Whether there was anything to push."""
        return bool(self.new or self.modified or self.removed)


@dataclass(slots=True)
class _Counts:
    new: int = 0
    modified: int = 0
    unchanged: int = 0
    present_files: int = 0
    present_size: int = 0


def push(
    folder: Folder,
    lake: Lake,
    *,
    message: str = "",
    scope: Scope = ALL,
    filter: Filter = NO_FILTER,
    restart: bool = False,
    jobs: int = 4,
    observer: Observer = SILENT,
) -> PushReport:
    """Push what has changed in a folder, is in `scope` and is taken by `filter`; the rest stays as it is.

    `restart` gives up what an interrupted push has sent.

    STAGED is ALL for the first push of a data set, unless something is staged. EbulkError: something has changed, and
    nothing is staged. ConflictError: somebody else changed the same files. ChangedError: a file changed while it was
    sent.
    """
    with Lock(folder.control / "lock") as lock, Index(folder.control / "index.db") as index:
        finish_appends(folder, index)
        return _Push(folder, lake, lock, index, scope, filter, jobs, observer).run(message, restart)


class _Push:
    def __init__(
        self,
        folder: Folder,
        lake: Lake,
        lock: Lock,
        index: Index,
        scope: Scope,
        filter: Filter,
        jobs: int,
        observer: Observer,
    ) -> None:
        self._folder = folder
        self._lake = lake
        self._sent_before = lake.traffic.sent
        self._lock = lock
        self._index = index
        self._scope = scope
        self._filter = filter
        self._jobs = jobs
        self._observer = observer
        self._journal = Journal(folder.control / "push.json")
        self._root = str(folder.root)
        self._counts = _Counts()
        self._unchanged = 0
        self._unstaged = 0
        self._left_out = 0
        self._is_first = False  # nothing has been pushed to the data set, nor begun to be
        self._links: list[Link] = []  # which are sent and lead out of the data set
        self._restored: list[FileEntry] = []  # as in the base again, after the lake heard otherwise

    def run(self, message: str, restart: bool) -> PushReport:
        under_way = self._resume(restart)
        self._collect(resume=under_way is not None)
        if not self._index.base_version():
            self._is_first = not self._lake.create_data_set(self._folder.reference).version and not under_way
        sent, ingestion = self._transfer(under_way, message, self._index.push_base())
        if ingestion is None:
            return self._nothing(under_way)
        self._observer.stage("Making the version")
        try:
            result = self._lake.stop(ingestion)
        except ConflictError as conflict:
            result = self._lake.stop(ingestion, self._base_beyond(conflict, ingestion))
        report = self._report(result, sent, resumed=under_way is not None)
        self._finish(result)
        return replace(report, total=self._index.totals(), others=self._index.base_version() < result.version)

    # a push that was broken off

    def _resume(self, restart: bool) -> Ingestion | None:
        """The push to go on with, or None; one that the lake has committed already is brought to its end here."""
        begun = self._journal.load()
        ingestion = self._begun(begun, restart) if begun else None
        if self._scope == STAGED and self._index.is_pristine():
            same_command = ingestion and begun and begun.scope == ALL
            if same_command or not self._index.staged_count():
                self._scope = ALL
        if ingestion and begun and begun.scope != self._scope:
            raise EbulkError(
                f"A push of {_scope_text(begun.scope)} was broken off and is not finished.",
                "Finish it by the same command as then, or give up what it has sent by --restart.",
            )
        return ingestion

    def _begun(self, begun: PushUnderWay, restart: bool) -> Ingestion | None:
        try:
            ingestion = self._lake.ingestion(self._folder.reference, begun.ingestion)
        except NotFoundError:  # it has expired
            self._journal.clear()
            return None
        if ingestion.state == "stopped" and ingestion.result is not None:
            self._finish(ingestion.result)
            return None
        if ingestion.state == "started" and not restart:
            return ingestion
        if ingestion.state == "started":
            self._lake.cancel(ingestion)
        self._journal.clear()
        return None

    # what changed

    def _collect(self, *, resume: bool) -> None:
        self._observer.stage("Scanning")
        self._index.take_staged(self._scope.directory)
        collector = Collector(self._root, self._index, self._scope, self._filter, self._observer)
        self._index.replace_pending(collector.rows(), resume=resume)
        self._index.leave_staged(collector.left_staged)
        self._unchanged, self._unstaged, self._left_out = collector.unchanged, collector.unstaged, collector.left_out

    # hash, plan, send

    def _transfer(self, under_way: Ingestion | None, message: str, base: int) -> tuple[Sent, Ingestion | None]:
        """Send all that changed; no ingestion where nothing did."""
        self._counts = _Counts(unchanged=self._unchanged)
        self._restored.clear()
        self._observer.expect(*self._index.pending_totals(*SENT_KINDS))
        with Hasher(self._root, self._jobs) as hasher:
            changes = self._changes(hasher)
            first = next(changes, None)
            if first is None and not self._index.pending_totals(Kind.REMOVED.value).files:
                return Sent(0, 0), None
            if self._scope.staged and not self._index.staged_count():
                raise nothing_staged()
            ingestion = under_way or self._start(message, base)
            self._plan_removed(ingestion)
            missing = self._missing(ingestion, chain([first] if first else (), changes))
            sent = send(self._lake, ingestion, missing, jobs=self._jobs, progress=self._observer)
        if self._restored:
            self._lake.plan(ingestion, self._restored, (), ())
        self._check_unchanged()
        self._warn_of_links()
        return sent, ingestion

    def _start(self, message: str, base: int) -> Ingestion:
        ingestion = self._lake.start_ingestion(self._folder.reference, message, base)
        self._journal.save(PushUnderWay(ingestion.id, base, self._scope.directory, message, self._scope.staged))
        return ingestion

    def _changes(self, hasher: Hasher) -> Iterator[LocalFile]:
        """The new and modified files, with their digests, which are written down as they come."""
        all_hashed = chain.from_iterable(hasher.run(self._index.pending(*SENT_KINDS)))
        for hashed in _batches(all_hashed, _size_of_hashed):
            self._write_down(hashed)
            for row, measured in hashed:
                if self._is_change(row, measured):
                    self._look_at_link(measured.found)
                    yield _local_file(self._root, measured, base_of(row, measured))
                    continue
                if row.planned and row.known is not None:
                    self._restored.append(row.known.entry)
                self._counts.unchanged += 1
                self._observer.skip(row.path, row.size)

    def _write_down(self, hashed: list[Hashed]) -> None:
        clock = self._lock.clock()
        fresh = [measured for row, measured in hashed if row.digest is None]
        if fresh:
            self._index.set_digests([(each.found, each.digest, is_settled(each.found, clock)) for each in fresh])

    def _is_change(self, row: Pending, measured: Measured) -> bool:
        if row.known is None:
            self._counts.new += 1
            return True
        changed = (row.known.digest, row.known.mode) != (measured.digest, measured.found.mode)
        self._counts.modified += changed
        return changed

    def _look_at_link(self, found: Found) -> None:
        if found.mode == SYMLINK and (target := leads_out_of(self._root, found.path, found.disk)) is not None:
            self._links.append((found.path, target))

    def _warn_of_links(self) -> None:
        if self._links:
            self._observer.note(
                f"Pushed as they are, though they lead out of the data set: {named(sorted(self._links))}."
                " A pull elsewhere refuses symbolic links of this kind, unless they are left out by --exclude."
            )

    def _missing(self, ingestion: Ingestion, files: Iterable[LocalFile]) -> Iterator[LocalFile]:
        """Those of the files whose content the lake has not."""
        for batch in _batches(files, _size_of_file):
            asked = []
            for file in batch:
                if self._is_missing(file):
                    yield file
                else:
                    asked.append(file)
            missing = self._lake.plan(ingestion, [file.entry for file in asked], (), ())
            for file in asked:
                if file.entry.path in missing:
                    yield file
                else:
                    self._counts.present_files += 1
                    self._counts.present_size += file.entry.size
                    self._observer.skip(file.entry.path, file.entry.size)

    def _is_missing(self, file: LocalFile) -> bool:
        """Whether the lake cannot have a content: small ones it looks for in the same data set only."""
        entry = file.entry
        return self._is_first and 0 < entry.size < SMALL_FILE_SIZE and entry.mode != FOLDER

    def _plan_removed(self, ingestion: Ingestion) -> None:
        """Tell the lake what is removed, also of what it heard of before the push was broken off."""
        removed = []
        for row in self._index.pending(Kind.REMOVED.value, STALE):
            if row.kind == STALE and row.known is not None:
                self._restored.append(row.known.entry)
            else:
                removed.append(row.path)
        if removed:
            self._lake.plan(ingestion, (), removed, ())

    # the end

    def _check_unchanged(self) -> None:
        self._observer.stage("Checking that nothing changed meanwhile")
        pending = self._index.pending(*SENT_KINDS)
        changed = [row.path for row in pending if not is_there(self._root, row.found)]
        if changed:
            raise ChangedError(
                f"Not pushed, since these files changed meanwhile: {listed(changed)}.",
                "Run the same command again when nothing writes to them: only what changed is sent.",
            )

    def _base_beyond(self, conflict: ConflictError, ingestion: Ingestion) -> int:
        """The version to push on top of if the conflict is with what this folder has already; raises it if not.

        That is so when the folder was pulled after the push was broken off, when the other change was our own push, and
        when files were left out of a pull, so that the folder as a whole is behind what it has of others.
        """
        if not conflict.paths:
            raise ConflictError(str(conflict), HINT) from conflict
        newest = self._lake.data_set(self._folder.reference).version
        if len(conflict.paths) < LISTED_PATHS:
            paths = [path for path in conflict.paths if not self._is_here(path, newest)]
        else:
            paths = list(islice(self._conflicts(newest), LISTED_PATHS))
        if not paths:
            return newest
        base = ingestion.base_version
        raise explained(self._lake, self._folder.reference, base, paths, self._index) from conflict

    def _is_here(self, path: str, version: int) -> bool:
        """Whether the lake's file of this path is the one that this folder's changes are made to."""
        return _is_same(self._lake.entry(self._folder.reference, version, path), self._index.find(path))

    def _conflicts(self, version: int) -> Iterator[str]:
        """The changed paths for which the lake has neither what the changes are made to, nor what they make of it."""
        _, entries = self._lake.manifest(self._folder.reference, version)
        rows = ((row.path, row) for row in self._index.pending(*SENT_KINDS, Kind.REMOVED.value))
        for path, row, entry in outer_join(rows, ((entry.path, entry) for entry in entries)):
            if row is None or _is_same(entry, row.known) or _is_same(entry, row):
                continue
            if row.known is None or (row.digest, row.mode) != (row.known.digest, row.known.mode):
                yield path

    def _finish(self, result: StopResult) -> None:
        self._index.commit_push(result.version)
        self._journal.clear()

    def _nothing(self, under_way: Ingestion | None) -> PushReport:
        """Nothing changed, as reading the touched files has shown."""
        if under_way:
            self._lake.cancel(under_way)
        self._index.commit_push(None)
        self._journal.clear()
        version = self._index.base_version(self._scope.directory)
        nothing = Totals(0, 0)
        return PushReport(
            reference=self._folder.reference,
            version=version,
            new=0,
            modified=0,
            removed=0,
            renamed=0,
            unchanged=self._counts.unchanged,
            sent=nothing,
            present=nothing,
            total=self._index.totals(),
            resumed=False,
            others=False,
            unstaged=self._unstaged,
            left_out=self._left_out,
        )

    def _report(self, result: StopResult, sent: Sent, *, resumed: bool) -> PushReport:
        counts = self._counts
        return PushReport(
            reference=self._folder.reference,
            version=result.version,
            new=counts.new,
            modified=counts.modified,
            removed=self._index.pending_totals(Kind.REMOVED.value).files,
            renamed=self._index.renamed_count(),
            unchanged=counts.unchanged,
            sent=Totals(sent.files, sent.bytes),
            present=Totals(counts.present_files, counts.present_size),
            total=self._index.totals(),
            resumed=resumed,
            others=False,
            unstaged=self._unstaged,
            left_out=self._left_out,
            reused=sent.reused,
            travelled=self._lake.traffic.sent - self._sent_before,
        )


def _is_same(entry: FileEntry | None, file: Known | Pending | None) -> bool:
    """Whether the lake has what the index, or the folder, has."""
    if entry is None or file is None or file.digest is None:
        return entry is None and (file is None or file.digest is None)
    return (entry.digest, entry.mode) == (to_text(file.digest), file.mode)


def _scope_text(scope: Scope) -> str:
    if scope.staged:
        return "what was staged"
    return f"the folder {shown(scope.directory)}" if scope.directory else "the whole data set"


def _local_file(root: str, measured: Measured, base: Base | None) -> LocalFile:
    found = measured.found
    entry = FileEntry(found.path, found.size, to_text(measured.digest), found.mtime_ns, found.mode)
    return LocalFile(entry, f"{root}/{found.disk}", base, measured.content)


def _size_of_hashed(hashed: Hashed) -> int:
    return hashed[1].found.size


def _size_of_file(file: LocalFile) -> int:
    return file.entry.size


def _batches(items: Iterable[Item], size_of: Callable[[Item], int]) -> Iterator[list[Item]]:
    """Lists of files for one plan each: enough for a request and for a bundle, not so many that their sending waits."""
    batch: list[Item] = []
    small = large = 0
    for item in items:
        batch.append(item)
        size = size_of(item)
        if size < SMALL_FILE_SIZE:
            small += size
        else:
            large += size
        if len(batch) == PLAN_LENGTH or small >= BUNDLE_SIZE or large >= PLAN_SIZE:
            yield batch
            batch, small, large = [], 0, 0
    if batch:
        yield batch
