"""The writer of `wendelin fluentd`, whose database changes hands."""

from __future__ import annotations

import logging
import shutil
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import pytest
import Zope2
from ZODB import DB
from Zope2.App.ClassFactory import ClassFactory

from Products.ERP5Wendelin.ingestion.batch import BatchWriter, Sent
from Products.ERP5Wendelin.portal import fluentd_writer
from Products.ERP5Wendelin.portal.fluentd_writer import FluentdWriter
from Products.ERP5Wendelin.portal.instance import Instance
from Products.ERP5Wendelin.portal.shared_storage import Guest, Role, SharedFileStorage, SharedStorageSection
from Products.ERP5Wendelin.storage.database import open_storage
from support.shared_storage import Place
from support.site import Lake

TIMEOUT = 60


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
            storage=SimpleNamespace(open=lambda: open_storage(place.uri)),
            socket=str(place.socket),
            getSectionName=lambda: None,
        )
    )

    def open_database() -> DB:
        Zope2.DB = DB(section.open(), class_factory=ClassFactory)
        return Zope2.DB

    monkeypatch.setattr(Zope2, "DB", None)
    monkeypatch.setattr(fluentd_writer, "reopen_database", open_database)
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
    caplog.set_level(logging.INFO, "wendelin.fluentd")
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
