"""Writes what agents send, in whatever process has the database open at the moment.

The database changes hands meanwhile, as `shared_database` says, and within a `write`, so that nothing of it is seen
outside. What was written while the host was killed may be stored, and is written again: that stores nothing twice,
since the ids of chunks and batches are in the database.
"""

from __future__ import annotations

from collections.abc import Sequence

from ZODB import DB

from Products.ERP5Wendelin.errors import WendelinError
from Products.ERP5Wendelin.ingestion.batch import BatchWriter, Sent
from Products.ERP5Wendelin.portal.instance import Instance
from Products.ERP5Wendelin.portal.shared_database import SharedDatabase


class FluentdWriter:
    """Writes into the database of an instance, and opens it anew whenever that is needed."""

    def __init__(self, instance: Instance) -> None:
        """Use the database that Zope's start has opened."""
        self._database = SharedDatabase(instance)
        self._writer: tuple[DB, BatchWriter] | None = None

    def write(self, sent: Sequence[Sent], batch: bytes | None = None) -> list[WendelinError | None]:
        """As BatchWriter's. Conflict: another process has the file open, and does not share it."""
        return self._database.run(lambda database: self._writer_to(database).write(sent, batch))

    def hurry(self) -> None:
        """Wait for no host any more: this process is about to end."""
        self._database.hurry()

    def close(self) -> None:
        """Close the database; the next `write` opens it again."""
        self._database.close()

    def _writer_to(self, database: DB) -> BatchWriter:
        """What writes to a database, and remembers refusals, for as long as that one is open."""
        if self._writer is None or self._writer[0] is not database:
            self._writer = database, BatchWriter(database)
        return self._writer[1]
