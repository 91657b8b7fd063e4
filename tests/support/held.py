"""Pieces of uploads that are on their way when something else happens."""

from __future__ import annotations

import io
import threading
from concurrent.futures import Future
from typing import Any

from Products.ERP5Wendelin.ingestion import upload
from Products.ERP5Wendelin.storage.transaction import separate_connection


class Held(io.BytesIO):
    """Gives its bytes only when told to, and tells when it is asked for them."""

    def __init__(self, content: bytes) -> None:
        super().__init__(content)
        self.asked = threading.Event()
        self.go_on = threading.Event()

    def read(self, size: int | None = -1) -> bytes:
        self.asked.set()
        assert self.go_on.wait(60)
        return super().read(size)


def in_thread(
    lake: Any, oid: bytes, offset: int, source: io.BytesIO, length: int, checksum: upload.Checksum | None = None
) -> Future[int]:
    """Send a piece of the upload that has this oid, as a request on another connection would."""
    sent: Future[int] = Future()

    def send() -> None:
        try:
            with separate_connection(lake.db) as connection:
                sent.set_result(upload.receive(lake.db, connection.get(oid), offset, source, length, checksum))
        except BaseException as error:
            sent.set_exception(error)

    threading.Thread(target=send, daemon=True).start()
    return sent
