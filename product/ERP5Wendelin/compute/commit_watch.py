"""Commit watch: something to be done in each commit on a connection, whoever asks for it, in whichever transaction.

A hook belongs to one transaction, and nothing tells when the next one begins. What takes part in all of them is a
synchronizer: it is told that a transaction is about to end, joins it, and if it is by a commit, has its turn there
before the connection to the database has its own. wendelin.core stores what was written to mapped arrays in this way.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from transaction import Transaction
from transaction._transaction import Status
from ZODB.Connection import Connection


class CommitWatch:
    """Calls a function within each commit, from `start` to `stop`; what it raises makes the commit fail.

    It may change objects of the connection. Each transaction gets a note.
    """

    def __init__(self, connection: Connection, function: Callable[[], Any], note: str) -> None:
        self.transaction_manager = connection.transaction_manager
        self._connection = connection
        self._function = function
        self._note = note
        self._is_started = False

    def start(self) -> None:
        """Begin with the transaction that there is."""
        if not self._is_started:
            self.transaction_manager.registerSynch(self)
            self._is_started = True

    def stop(self) -> None:
        """Take part in no transaction any more."""
        if self._is_started:
            self.transaction_manager.unregisterSynch(self)
            self._is_started = False

    def beforeCompletion(self, current: Transaction) -> None:
        """Join a transaction that is about to end, and with us the connection, which can't later."""
        connection = self._connection
        if connection.opened is None or current.status is not Status.ACTIVE:
            return
        current.note(self._note)
        current.join(self)
        if connection._needs_to_join:
            current.join(connection)
            connection._needs_to_join = False

    def afterCompletion(self, current: Transaction) -> None:
        """Nothing is to be done."""

    def newTransaction(self, current: Transaction) -> None:
        """Nothing is to be done."""

    def sortKey(self) -> str:
        """Before all others."""
        return "\0"

    def commit(self, current: Transaction) -> None:
        """It is a commit: do what is to be done."""
        self._function()

    def abort(self, current: Transaction) -> None:
        """Nothing of ours is to be dropped; nor stored, in the steps of a commit."""

    tpc_begin = tpc_vote = tpc_finish = tpc_abort = abort
