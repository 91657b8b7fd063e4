"""A shared FileStorage, for the tests and for the other processes that they start."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import transaction
from persistent.mapping import PersistentMapping
from ZODB import DB

from Products.ERP5Wendelin.portal.shared_storage import Guest, Role, SharedFileStorage, open_shared
from Products.ERP5Wendelin.storage.database import open_storage


class Place:
    """A directory with a Data.fs and a socket."""

    def __init__(self, directory: Path) -> None:
        self.uri = f"file://{directory / 'Data.fs'}"
        self.socket = directory / "storage.socket"

    def open(self, wait: float = 5, role: Role = Role.EITHER) -> SharedFileStorage | Guest:
        return open_shared(lambda: open_storage(self.uri), self.socket, wait, role)

    def serve(self) -> DB:
        """What `wendelin serve` has: the database over the storage it offers."""
        db = DB(self.open())
        db.storage.offer(self.socket)
        return db


@contextmanager
def opened(db: DB) -> Iterator[PersistentMapping]:
    """The root on a connection with a transaction of its own."""
    manager = transaction.TransactionManager()
    connection = db.open(manager)
    try:
        yield connection.root()
    finally:
        manager.abort()
        connection.close()


def begin(root: PersistentMapping) -> None:
    root._p_jar.transaction_manager.begin()


def commit(root: PersistentMapping) -> None:
    root._p_jar.transaction_manager.commit()
