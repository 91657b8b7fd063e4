"""Data Ingestion: one arrival of data; for ebulk, one push.

What arrives is kept here, where no reader of the data set looks, until the ingestion stops and the data set's manifest
takes it over in one transaction. Everything is then, or when it is cancelled, let go of.

State (public format): that of `content.folder` (its lines), and `data_set` (its reference), `base_version`, `message`,
`author`, `result` (dict or None), and

* `staged`, OOBTree path -> entry (plain tuple, see `content.entry`): received, or taken over from what the lake holds;
* `expected`, OOBTree path -> (size, digest, mtime_ns, mode): to be received (`digest` None: any);
* `removed`, OOTreeSet of paths;
* `uploads`, OOBTree id -> `content.upload.Upload`, complete ones too: who missed the last answer asks for them;
* `contents`, OOBTree digest -> (stream, offset, size) of staged content of at least SMALL_FILE_SIZE, so that a file
  renamed between two attempts of one push is not sent again. Small ones are cheaper to send than to keep in order;
* `file_count`, `size`: BTrees.Length, which resolve their own conflicts: what is staged, or was when it ended.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, ClassVar

from AccessControl.SecurityInfo import ClassSecurityInfo
from Acquisition import aq_base
from BTrees.Length import Length
from BTrees.OOBTree import OOBTree, OOTreeSet
from zope.interface import implementer

from Products.ERP5Wendelin.content.base import now
from Products.ERP5Wendelin.content.declaration import declared
from Products.ERP5Wendelin.content.entry import Entry
from Products.ERP5Wendelin.content.folder import Folder
from Products.ERP5Wendelin.content.movement import PARTIES
from Products.ERP5Wendelin.content.state import SimulationState, change_state
from Products.ERP5Wendelin.content.upload import LIFETIME, Upload
from Products.ERP5Wendelin.errors import Conflict
from Products.ERP5Wendelin.interfaces import IDataIngestion
from Products.ERP5Wendelin.permissions import ModifyPortalContent, PushData, View
from Products.ERP5Wendelin.protocol import SMALL_FILE_SIZE

TOUCH_INTERVAL = timedelta(minutes=1)
"""How exact `modified` is; pieces that arrive at the same time would otherwise conflict in the document's record."""


@declared
@implementer(IDataIngestion)
class DataIngestion(SimulationState, Folder):
    """An arrival of data: 'started', then 'stopped' and 'delivered', or 'cancelled'."""

    security = ClassSecurityInfo()
    security.declarePrivate("staged", "expected", "removed", "uploads", "contents", "file_count", "size", "result")

    portal_type = meta_type = "Data Ingestion"
    properties: ClassVar[dict[str, str]] = {"start_date": "date", "stop_date": "date"}
    base_categories = (*PARTIES, "specialise", "causality")

    result: dict[str, int] | None = None

    def __init__(
        self,
        id: str,
        data_set: str = "",
        base_version: int = 0,
        message: str = "",
        author: str = "",
        **properties: Any,
    ) -> None:
        super().__init__(id, **properties)
        self.data_set = data_set
        self.base_version = base_version
        self.message = message
        self.author = author
        self.file_count = Length()
        self.size = Length()
        self._let_go()

    @security.protected(View)
    def getReceived(self) -> tuple[int, int]:
        """How many files, and bytes, have been received or taken over."""
        return self.file_count(), self.size()

    @property
    def expires(self) -> datetime:
        """When it is given up, unless something arrives before."""
        return self.modified + LIFETIME

    @security.private
    def touch(self) -> None:
        """Note a sign of life."""
        time = now()
        if time - self.modified >= TOUCH_INTERVAL:
            self.modified = time

    @security.protected(PushData)
    def expect(self, path: str, size: int, digest: bytes | None, mtime_ns: int, mode: str) -> None:
        """Plan a path whose content is to be sent; what was known of it is forgotten."""
        self.forget(path)
        self.expected[path] = (size, digest, mtime_ns, mode)

    @security.protected(PushData)
    def stage(self, path: str, entry: Entry) -> None:
        """Have a path: its content was received, or the lake holds it."""
        self.forget(path)
        self.staged[path] = tuple(entry)
        self.file_count.change(1)
        self.size.change(entry.size)
        if entry.size >= SMALL_FILE_SIZE:
            self.contents.insert(entry.digest, (entry.stream, entry.offset, entry.size))

    @security.protected(PushData)
    def remove(self, path: str) -> None:
        """Plan that a path goes."""
        self.forget(path)
        self.removed.add(path)

    @security.protected(PushData)
    def forget(self, path: str) -> None:
        """Let a path be as it is in the data set."""
        self.expected.pop(path, None)
        self.removed.discard(path)
        staged = self.staged.pop(path, None)
        if staged is not None:
            self.file_count.change(-1)
            self.size.change(-staged[2])

    @security.protected(PushData)
    def addUpload(self, upload: Upload) -> None:
        """Begin to receive a file in pieces; its path is expected from now on."""
        upload.planned = upload.path in self.expected
        if not upload.planned:
            self.expect(upload.path, *upload.expectation)
        self.uploads[upload.id] = upload

    @security.protected(PushData)
    def dropUpload(self, upload: Upload) -> None:
        """Let go of an upload and of what it has brought; where it was planned, its path is expected again."""
        self.uploads.pop(upload.id, None)
        upload.dropped = True  # so that a request that is writing to it at this moment conflicts, and then sees it
        path = upload.path
        staged = self.staged.get(path)
        stream = upload.stream if upload.length else None
        if staged is not None and upload.complete and staged[2] == upload.length and aq_base(staged[0]) is stream:
            self._let_go_of_content(staged)
            self.expect(path, *upload.expectation)
        if not upload.planned and self.expected.get(path) == upload.expectation:
            del self.expected[path]

    @security.protected(ModifyPortalContent)
    def stop(self, result: dict[str, int] | None = None) -> None:
        """Be stopped; where files came, with what their commit changed: the manifest has their content now.

        WrongState unless it is started. Conflict: files came, and nobody says that they are committed.
        """
        if result is None and any((self.staged, self.expected, self.removed, self.uploads)):
            raise Conflict(
                f"The Data Ingestion {self.getId()!r} has files for the data set {self.data_set!r}, which would be "
                "lost: a push stops when its client asks for it."
            )
        self.result = result
        self._end("stop")

    @security.protected(ModifyPortalContent)
    def cancel(self) -> None:
        """Be cancelled, and let go of everything. WrongState unless it is started."""
        for upload in self.uploads.values():
            if not upload.complete:
                upload.dropped = True
        self._end("cancel")

    def _end(self, transition: str) -> None:
        change_state(self, "simulation_state", transition)
        self._let_go()
        self.reindexObject()

    def _let_go(self) -> None:
        # new trees, for the manifest of a first push has adopted the staged one
        self.staged = OOBTree()
        self.expected = OOBTree()
        self.removed = OOTreeSet()
        self.uploads = OOBTree()
        self.contents = OOBTree()

    def _let_go_of_content(self, entry: tuple[Any, ...]) -> None:
        kept = self.contents.get(entry[3])
        if kept is not None and kept[0] is entry[0]:
            del self.contents[entry[3]]
