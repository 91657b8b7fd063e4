"""Writers that run in a process of their own, to be killed or measured.

`python -m support.storage_child VERB URI OID TOTAL SLICE_SIZE …`; VERB is a function below and OID is hexadecimal.
"""

from __future__ import annotations

import os
import resource
import signal
import sys
from typing import Any

from Products.ERP5Wendelin.storage.database import open_database
from Products.ERP5Wendelin.storage.transaction import append_slices, separate_connection
from support.pattern import Pattern


def kill_between(database: Any, oid: bytes, total: int, slice_size: int, kill_at: str) -> None:
    """Die when the source is asked for what follows byte `kill_at`."""

    class Deadly(Pattern):
        def read(self, size: int, /) -> bytes:
            if self.position >= int(kill_at):
                die()
            return super().read(size)

    append_slices(database, oid, Deadly(total), total, offset=0, note="killed", slice_size=slice_size)


def kill_in_commit(database: Any, oid: bytes, total: int, slice_size: int, step: str) -> None:
    """Die in the commit of the second slice, once the storage has done a step of it."""

    def join(owner: Any) -> None:
        if owner.offset > slice_size:
            owner._p_jar.transaction_manager.get().join(Killer(step))

    append_slices(database, oid, Pattern(total), total, offset=0, note="killed", on_slice=join, slice_size=slice_size)


def measure(database: Any, oid: bytes, total: int, slice_size: int) -> None:
    """Print how much the peak of resident memory grows by an append and a reading."""
    before = peak()
    append_slices(database, oid, Pattern(total), total, offset=0, note="large", slice_size=slice_size)
    print(read(database, oid), peak() - before)


class Killer:
    """A resource that does each step of two-phase commit after the storage, and dies in one of them."""

    transaction_manager = None

    def __init__(self, step: str) -> None:
        self._step = step

    def sortKey(self) -> str:
        return "\U0010ffff"

    def tpc_begin(self, transaction: Any) -> None:
        self._arrive("tpc_begin")

    def commit(self, transaction: Any) -> None:
        self._arrive("commit")

    def tpc_vote(self, transaction: Any) -> None:
        self._arrive("tpc_vote")

    def tpc_finish(self, transaction: Any) -> None:
        self._arrive("tpc_finish")

    def tpc_abort(self, transaction: Any) -> None:
        raise AssertionError("The process was to die before.")

    abort = tpc_abort

    def _arrive(self, step: str) -> None:
        if step == self._step:
            die()


def die() -> None:
    """End this process as a power cut would, as far as the operating system lets it."""
    os.kill(os.getpid(), signal.SIGKILL)


def peak() -> int:
    """The most resident memory this process has had, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def read(database: Any, oid: bytes) -> int:
    """Read a stream from its beginning to its end, and return its size."""
    with separate_connection(database) as connection:
        return sum(map(len, connection.get(oid).stream.chunks()))


if __name__ == "__main__":
    verb, uri, oid, total, slice_size, *more = sys.argv[1:]
    opened = open_database(uri)
    VERBS = {"kill_between": kill_between, "kill_in_commit": kill_in_commit, "measure": measure}
    VERBS[verb](opened, bytes.fromhex(oid), int(total), int(slice_size), *more)
    opened.close()
