"""What a data set keeps for the original ebulk, beside its manifest.

State (public format), of attributes that are there once they are needed: `_md5s` (OOBTree sha-256 -> md5, 16 raw bytes,
of contents), `_sent_references` (OOBTree path -> ingestion reference, where the client sent another one than its path
has), `_arrivals` (OOBTree path -> `content.arrival.Arrival`), `dataset_version` (text of at least three digits).
"""

from __future__ import annotations

from collections.abc import Iterator

from AccessControl.SecurityInfo import ClassSecurityInfo
from BTrees.OOBTree import OOBTree
from ExtensionClass import Base as ExtensionClass

from Products.ERP5Wendelin.content.arrival import Arrival
from Products.ERP5Wendelin.content.declaration import declared
from Products.ERP5Wendelin.content.ingestion_reference import reference_of
from Products.ERP5Wendelin.permissions import ModifyPortalContent, PushData, View


@declared
class EbulkRecords(ExtensionClass):
    """Mixed into the Data Set."""

    security = ClassSecurityInfo()

    dataset_version = "000"
    _md5s: OOBTree | None = None
    _sent_references: OOBTree | None = None
    _arrivals: OOBTree | None = None

    @security.protected(View)
    def getMd5(self, digest: bytes) -> bytes | None:
        """The md5 of the content with a sha-256; None: nobody has computed it yet."""
        return None if self._md5s is None else self._md5s.get(digest)

    @security.protected(PushData)
    def noteMd5(self, digest: bytes, md5: bytes) -> None:
        """Keep the md5 of the content with a sha-256."""
        if self._md5s is None:
            self._md5s = OOBTree()
        self._md5s.insert(digest, md5)

    @security.protected(View)
    def getIngestionReference(self, path: str) -> str:
        """The ingestion reference of a path, `data_set/name/extension`: as it was sent, if it was."""
        sent = None if self._sent_references is None else self._sent_references.get(path)
        return sent or reference_of(self.getReference(), path)

    @security.protected(PushData)
    def noteIngestionReference(self, path: str, reference: str) -> None:
        """Keep the ingestion reference by which a file was sent."""
        if reference != reference_of(self.getReference(), path):
            if self._sent_references is None:
                self._sent_references = OOBTree()
            self._sent_references[path] = reference
        elif self._sent_references is not None:
            self._sent_references.pop(path, None)

    @security.protected(View)
    def getDatasetVersion(self) -> str:
        """The version that the client counts itself, three digits; that of the manifest is `getVersion`."""
        return self.dataset_version

    @security.protected(ModifyPortalContent)
    def increaseDatasetVersion(self) -> str:
        """Count on; return the new version."""
        self.dataset_version = f"{int(self.dataset_version) + 1:03d}"
        return self.dataset_version

    @security.private
    def getArrival(self, path: str) -> Arrival | None:
        """What has arrived of a file that comes in pieces, or of one that has come so; None: nothing."""
        return None if self._arrivals is None else self._arrivals.get(path)

    @security.private
    def arrivals(self) -> Iterator[Arrival]:
        """All arrivals, of a copy of the list: they may be dropped meanwhile."""
        return iter([] if self._arrivals is None else list(self._arrivals.values()))

    @security.private
    def addArrival(self, arrival: Arrival) -> None:
        """Let a file arrive."""
        if self._arrivals is None:
            self._arrivals = OOBTree()
        self._arrivals[arrival.path] = arrival

    @security.private
    def dropArrival(self, path: str) -> None:
        """Let go of what has arrived of a file; a request that is writing to it is told."""
        arrival = None if self._arrivals is None else self._arrivals.pop(path, None)
        if arrival is not None:
            arrival.dropped = True
