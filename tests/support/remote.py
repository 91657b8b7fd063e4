"""A lake on a ZEO server, over a network that breaks where a test says so."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import ZEO
from ZEO.ClientStorage import ClientStorage
from ZODB.DB import DB
from Zope2.App.ClassFactory import ClassFactory

from support.faults import FaultyNetwork, faulty_network
from support.site import Lake, publish


@contextmanager
def remote_lake(data_fs: Path, folder: Path) -> Iterator[tuple[Lake, FaultyNetwork]]:
    """The lake, which requests reach, and the network to its server. Its client gives a lost server up at once."""
    shutil.copy(data_fs, folder / "Data.fs")
    (host, port), stop = ZEO.server(str(folder / "Data.fs"))
    try:
        with faulty_network(f"{host}:{port}") as network:
            near, _, near_port = network.address.rpartition(":")
            db = DB(ClientStorage((near, int(near_port)), wait_timeout=60), class_factory=ClassFactory)
            db.storage._server.timeout = 0.1  # what it waits for its first connection is another matter
            publish(db)
            try:
                yield Lake(db), network
            finally:
                db.close()
    finally:
        stop()
