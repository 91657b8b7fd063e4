"""Brings a folder to a version of its data set, and keeps what was changed here.

What is to be done is worked out before anything is touched (`reconcile`), and then done file by file (`arrive`).
"""

from __future__ import annotations

from dataclasses import dataclass

from ebulk.local.append import finish_appends
from ebulk.local.batch import Batch
from ebulk.local.filter import NO_FILTER, Filter
from ebulk.local.folder import Folder
from ebulk.local.incoming import Incoming
from ebulk.local.index import Index, Totals
from ebulk.local.lock import Lock
from ebulk.local.tree import Tree
from ebulk.remote.lake import Lake
from ebulk.verbs.arrive import Arrival, fetch_targets
from ebulk.verbs.conflict import pull_conflict
from ebulk.verbs.observer import SILENT, Observer
from ebulk.verbs.reconcile import Reconciler


@dataclass(frozen=True, slots=True)
class PullReport:
    """What a pull did."""

    reference: str
    version: int
    previous: int
    """The version that the folder came from."""
    new: int
    modified: int
    removed: int
    moved: int
    """Files that were only renamed here, since their content was here under a path that is gone."""
    adopted: int
    """Files that were here already, without coming from the lake, and are the same."""
    unchanged: int
    kept: int
    """Local changes that stay as they are."""
    received: Totals
    total: Totals
    travelled: int = 0
    """Bytes that were received: of files as they travel, in zstd or another time, and of what is told about them."""
    reused: int = 0
    """Bytes of modified files that were here, in those before them."""
    left_out: int = 0
    """Files that stay as they are, or are not here, since the filter does not take them."""

    @property
    def changed(self) -> bool:
        """Whether the pull changed anything here."""
        return bool(self.new or self.modified or self.removed or self.moved)


def pull(
    folder: Folder,
    lake: Lake,
    *,
    version: int | None = None,
    directory: str = "",
    filter: Filter = NO_FILTER,
    discard: bool = False,
    jobs: int = 4,
    observer: Observer = SILENT,
) -> PullReport:
    """Bring the newest version here, or `version`; of all the data set, or of its folder `directory`.

    Files that `filter` does not take stay as they are: they are neither fetched nor removed. ConflictError, with
    nothing touched: files changed both here and in the lake; with `discard` the lake's are taken.
    """
    with (
        Lock(folder.control / "lock") as lock,
        Index(folder.control / "index.db") as index,
        Incoming() as incoming,
        Tree(folder.root, incoming.keeps) as tree,
    ):
        received_before = lake.traffic.received
        finish_appends(folder, index)
        number, entries = lake.manifest(folder.reference, version, f"{directory}/" if directory else "")
        previous = index.base_version(directory)
        batch = Batch(index)
        work = Reconciler(folder, lock, index, batch, incoming, tree, filter, discard, observer)
        work.plan(entries, directory)
        work.check_places()
        if work.conflicts:
            raise pull_conflict(lake, folder.reference, previous, number, work.conflicts)
        targets = fetch_targets(lake, folder, number, incoming, jobs)
        work.check_links()
        work.check_room()
        counts = work.counts
        arrival = Arrival(folder, index, batch, incoming, tree, counts, observer)
        fetched = arrival.apply(lake, number, jobs, work.blocking)
        index.set_version(directory, number, complete=work.complete)
        return PullReport(
            reference=folder.reference,
            version=number,
            previous=previous,
            new=counts.new,
            modified=counts.modified,
            removed=counts.removed,
            moved=counts.moved,
            adopted=counts.adopted,
            unchanged=counts.unchanged,
            kept=counts.kept,
            received=Totals(targets.files + fetched.files, targets.bytes + fetched.bytes),
            total=index.totals(),
            reused=fetched.reused,
            travelled=lake.traffic.received - received_before,
            left_out=counts.left_out,
        )
