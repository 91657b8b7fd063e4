"""The writer of `wendelin fluentd`, whose database changes hands."""

from __future__ import annotations

import contextlib
import logging
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import pytest
import Zope2
from ZODB import DB
from Zope2.App.ClassFactory import ClassFactory

from Products.ERP5Wendelin.errors import NotReady
from Products.ERP5Wendelin.ingestion.batch import BatchWriter, Sent
from Products.ERP5Wendelin.portal import shared_database
from Products.ERP5Wendelin.portal.fluentd_writer import FluentdWriter
from Products.ERP5Wendelin.portal.instance import Instance
from Products.ERP5Wendelin.portal.shared_storage import Guest, Role, SharedFileStorage, SharedStorageSection
from Products.ERP5Wendelin.storage.database import open_storage
from support.shared_storage import Place
from support.site import Lake

TIMEOUT = 60

DYING_HOST = """
import os
import sys
from pathlib import Path
from ZODB import DB
from ZODB.FileStorage import FileStorage
from Products.ERP5Wendelin.portal.shared_storage import Role
from support.shared_storage import Place

directory, name, when = sys.argv[1:]
method = getattr(FileStorage, name)

def die(self, *arguments):
    if when == "after":
        method(self, *arguments)
    os._exit(9)

setattr(FileStorage, name, die)
place = Place(Path(directory))
db = DB(place.open(wait=60, role=Role.HOST))
db.storage.offer(place.socket)
print("ready", flush=True)
sys.stdin.read()
"""
"""A process that has the file open, and dies in the first commit, at some step of FileStorage's."""


@pytest.fixture
def place(data_fs: Path, tmp_path: Path) -> Place:
    """Where an instance has its database."""
    var = Instance(tmp_path).var
    var.mkdir()
    shutil.copy(data_fs, var / "Data.fs")
    return Place(var)


@pytest.fixture
def writer(place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FluentdWriter]:
    """A writer that has the file open; zope.conf has one section."""
    section = SharedStorageSection(
        SimpleNamespace(
            storage=SimpleNamespace(open=lambda: open_storage(place.uri), config=SimpleNamespace(uri=place.uri)),
            socket=str(place.socket),
            getSectionName=lambda: None,
        )
    )

    def open_database() -> DB:
        Zope2.DB = DB(section.open(), class_factory=ClassFactory)
        return Zope2.DB

    monkeypatch.setattr(Zope2, "DB", None)
    monkeypatch.setattr(shared_database, "reopen_database", open_database)
    open_database()
    writer = FluentdWriter(Instance(tmp_path))
    yield writer
    writer.close()


def stored(db: DB, tag: str) -> bytes:
    with Lake(db).open("system") as site:
        data: bytes = site.data_ingestion_module.getSink("Data Stream", tag).getData()
        return data


def test_a_file_that_cannot_be_shared_is_closed_and_opened_again_with_the_next_batch(
    writer: FluentdWriter, place: Place
) -> None:
    writer.hurry()
    writer.close()
    place.socket.mkdir()
    with pytest.raises(OSError, match="storage.socket"):
        writer.write([Sent("a", b"1")])
    place.socket.rmdir()
    assert writer.write([Sent("a", b"2")]) == [None]
    assert stored(Zope2.DB, "a") == b"2"


def test_a_server_that_asks_again_and_again_gets_the_file_once_what_is_being_written_is_committed(
    writer: FluentdWriter, place: Place, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "wendelin.storage")
    begun, go_on = threading.Event(), threading.Event()
    write = BatchWriter.write

    def write_later(self: BatchWriter, *arguments: object) -> object:
        begun.set()
        assert go_on.wait(TIMEOUT)
        return write(self, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(BatchWriter, "write", write_later)
    with ThreadPoolExecutor(1) as thread:
        writing = thread.submit(writer.write, [Sent("a", b"1", b"1")])
        assert begun.wait(TIMEOUT)
        guest = place.open()
        assert isinstance(guest, Guest)
        assert [guest.ask_for_release() for _ in range(3)] == [True] * 3
        guest.close()
        assert sum(each.name == "release" for each in threading.enumerate()) == 1
        go_on.set()
        assert writing.result(TIMEOUT) == [None]
        server = DB(place.open(role=Role.HOST), class_factory=ClassFactory)
        try:
            assert isinstance(server.storage, SharedFileStorage)
            server.storage.offer(place.socket)
            assert thread.submit(writer.write, [Sent("a", b"1", b"1"), Sent("a", b"2", b"2")]).result(TIMEOUT) == [
                None,
                None,
            ]
            assert stored(server, "a") == b"12"
        finally:
            writer.close()
            server.close()
    assert [message for message in caplog.messages if "asked" in message] == ["a server has asked for the database"]


@pytest.mark.parametrize(
    ("step", "when"),
    [
        ("tpc_vote", "before"),
        ("tpc_vote", "after"),
        ("_finish", "before"),
        ("_finish", "after"),
        ("tpc_finish", "after"),
    ],
)
def test_a_batch_whose_host_dies_at_any_step_of_its_commit_is_stored_once(
    step: str, when: str, writer: FluentdWriter, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared_database, "HOST_DELAY", 0.0)
    command = [sys.executable, "-c", DYING_HOST, str(place.socket.parent), step, when]
    folder = Path(__file__).parents[1]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=folder) as host:
        late = threading.Timer(TIMEOUT, host.kill)
        late.start()
        try:
            assert host.stdout is not None
            assert host.stdout.readline() == "ready\n"
            outcomes, deadline = None, time.monotonic() + TIMEOUT
            while outcomes is None:
                assert time.monotonic() < deadline
                with contextlib.suppress(NotReady):  # the writer has heard of the end of its host a moment too late
                    outcomes = writer.write([Sent("a", b"1", b"id"), Sent("a", b"2"), Sent("b", b"3")], b"batch")
            assert outcomes == [None] * 3
            assert host.wait(TIMEOUT) == 9
        finally:
            late.cancel()
            host.kill()
    assert writer.write([Sent("a", b"1", b"id"), Sent("a", b"4")]) == [None, None]
    assert (stored(Zope2.DB, "a"), stored(Zope2.DB, "b")) == (b"124", b"3")
