"""One at a time, where many requests would conflict for certain.

Parallel bundles of one push insert into the same BTrees. Whatever starts or ends a push, or changes a data set, writes
to the catalogue, whose sets grow, shrink and split all the time: with eight clients one request in three met another's
transaction, some eleven times, and the longer a stop took the surer it did. Conflicts would be retried, but each retry
does its work again; within a process it is cheaper to wait. Between processes conflicts remain, and are retried.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock
from zlib import crc32

import transaction

_LOCKS = [Lock() for _ in range(64)]
"""Keys share them: a bounded number of locks, and two pushes seldom meet in one."""

CATALOGUE = "catalogue"
"""The key of all that writes to the catalogue, or adds to a module; its lock is its own."""

_CATALOGUE_LOCK = Lock()


@contextmanager
def serialised(key: str) -> Iterator[None]:
    """Run a transaction of this thread while no other with the same key runs; commit it at the end.

    It begins once the lock is held, so that it sees what the one before committed. What fails is aborted; a conflict
    with another process goes on to the publisher, which tries the request again. Not to be nested: two keys may share
    a lock.
    """
    with turn(key):
        transaction.begin()
        try:
            yield
            transaction.commit()
        except BaseException:
            transaction.abort()
            raise


def turn(key: str) -> Lock:
    """The lock of a key, for who sees to the transaction: it is to begin and to end while the lock is held."""
    return _CATALOGUE_LOCK if key == CATALOGUE else _LOCKS[crc32(key.encode()) % len(_LOCKS)]
