"""Mapped views of an array beside direct access, in one transaction: each sees what the other has written.

A ZBigArray maps its blocks into memory as pages of 2 MiB, which wendelin.core loads where they are touched and stores
when the transaction commits. By itself a page is loaded once, and stays for as long as the connection to the database
does: what others commit in a block that the page's block object does not stand for (one that was added, or replaced, or
whose object has left the cache) never shows, what is written to blocks directly doesn't either, and an array that is
mapped piece by piece fills the memory. So here a page lives no longer than the transaction that has loaded it:

* a page is loaded from what the transaction has written, and leaves it there (wendelin.core takes the bytes out of a
  block that is yet to be committed, which then can't be);
* before blocks are accessed directly, pages that were written to are stored in their blocks (`settle`), as a commit
  does; they stay what they are, and a commit or an abort does what it always does;
* pages of blocks that were written directly are dropped (`show`), and loaded anew where they are touched next;
* when the transaction ends all pages are dropped. Views stay: in the next transaction they show what is there then.

wendelin.core knows of no savepoints: what was written to pages and not stored yet, a rollback leaves.

An error of the database while a page is loaded ends the process: there is nobody whom it could be raised to.
"""

from __future__ import annotations

from itertools import product
from typing import Any
from weakref import WeakSet

from persistent import GHOST
from transaction import Transaction, TransactionManager
from wendelin.bigarray.array_zodb import ZBigArray
from wendelin.bigfile import WRITEOUT_STORE
from wendelin.bigfile.file_zodb import ZBigFile, _ZBigFile, _ZBigFileH
from wendelin.lib.mem import memcpy
from ZODB.Connection import Connection

from . import block
from .block import BLOCK_SIZE


class MappedFile(_ZBigFile):
    """What a ZBigFile loads pages from and stores them to, as `_v_file`; wendelin.core's, but for what is said above.

    `zself` is the ZBigFile.
    """

    zself: ZBigFile
    _handles: WeakSet[_ZBigFileH]
    _loaded: set[int]
    _transaction: Transaction | None

    def __new__(cls, zself: ZBigFile, blksize: int) -> MappedFile:
        """That of a ZBigFile whose blocks are of a size."""
        file: MappedFile = super().__new__(cls, zself, blksize)
        file._handles = zself._v_filehset
        file._loaded = set()
        file._transaction = None
        return file

    def loadblk(self, number: int, buffer: Any) -> None:
        """Fill a page, which is zeros."""
        self._drop_at_end()
        self._loaded.add(number)
        if self.zself._p_state == GHOST and self.zself._p_jar is None:
            return  # the transaction that was to make the array has failed, and nothing is left of it
        zblk = self.zself.blktab.get(number)
        if zblk is not None:
            memcpy(buffer, block.load(zblk))

    def storeblk(self, number: int, buffer: Any) -> None:
        """Store a page that was written to."""
        before = self.zself.blktab.get(number)
        super().storeblk(number, buffer)
        if before is not None and self.zself.blktab[number] is not before:
            block.retire(before, self.zself, number)

    def drop(self, first: int, stop: int) -> None:
        """Forget the pages from `first` up to `stop`, and what was written to them."""
        numbers = {number for number in self._loaded if first <= number < stop}
        for handle, number in product(self._handles, numbers):
            handle.invalidate_page(number)
        self._loaded -= numbers

    def _drop_at_end(self) -> None:
        transaction = block.transaction_of(self.zself)
        if transaction is not self._transaction:
            self._transaction = transaction
            transaction.addAfterCommitHook(self._end)
            transaction.addAfterAbortHook(self._end)

    def _end(self, *_: object) -> None:
        self._transaction = None
        for handle, number in product(self._handles, self._loaded):
            handle.invalidate_page(number)
        self._loaded.clear()


def prepare(zarray: ZBigArray) -> ZBigArray:
    """An array whose pages, when it is mapped, are as said above."""
    zfile = zarray.zfile
    zfile._p_activate()
    if type(zfile._v_file) is not MappedFile:
        zfile._v_file = MappedFile(zfile, zfile.blksize)
    return zarray


def enter(connection: Connection, zarray: ZBigArray) -> None:
    """Make a new array known to a connection, so that it can be mapped in the transaction that makes it.

    If that does not commit, the array is nobody's, and takes no part in transactions that follow.
    """
    connection.add(zarray)
    connection.add(zarray.zfile)
    handles = zarray.zfile._v_filehset

    def leave(is_committed: bool = False) -> None:
        if not is_committed:
            for handle in handles:
                # to a manager of its own, for it wants to leave the one that it has when the connection is closed
                handle.transaction_manager.unregisterSynch(handle)
                handle.transaction_manager = TransactionManager()
                handle.transaction_manager.registerSynch(handle)
            zarray._v_fileh = None

    transaction = connection.transaction_manager.get()
    transaction.addAfterCommitHook(leave)
    transaction.addAfterAbortHook(leave)


def settle(zfile: ZBigFile) -> None:
    """Store what was written to mapped pages in this transaction, so that reading blocks shows it.

    All such pages are stored again by the commit: a millisecond for each, whenever this is called.
    """
    for handle in zfile._v_filehset:
        if handle.zfileh.isdirty():
            handle.zfileh.dirty_writeout(WRITEOUT_STORE)


def show(zfile: ZBigFile, start: int, stop: int) -> None:
    """Let mapped pages of the bytes from `start` up to `stop`, which were written to blocks, show that."""
    if isinstance(zfile._v_file, MappedFile):
        zfile._v_file.drop(start // BLOCK_SIZE, -(-stop // BLOCK_SIZE))
