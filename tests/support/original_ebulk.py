"""The original ebulk (1.1) as it speaks, made of the standard library only: it shares nothing with the server, nor with
the new client, but the addresses.

lake = OriginalEbulk("http://127.0.0.1:8080/erp5", "ada", "correct horse")
lake.upload("brain_mri", "scans/1.nii", b"…")
lake.download("brain_mri", "scans/1.nii")
"""

from __future__ import annotations

import base64
import hashlib
import http.client
import json
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

TIMEOUT = 120


class Refused(Exception):
    """An answer that is no success."""

    def __init__(self, status: int, body: bytes) -> None:
        super().__init__(f"{status}: {body.decode(errors='replace')}")
        self.status = status
        self.body = body

    @property
    def detail(self) -> str:
        """What the problem document says."""
        return str(json.loads(self.body)["detail"])


class OriginalEbulk:
    """A user of a lake; nobody, without a name."""

    def __init__(self, portal: str, user: str | None = None, password: str = "", supplier: str = "lab") -> None:
        parts = urlsplit(portal)
        self.host, self.port, self.path = parts.hostname, parts.port, parts.path
        self.supplier = supplier
        self.headers = {}
        if user is not None:
            self.headers["Authorization"] = f"Basic {base64.b64encode(f'{user}:{password}'.encode()).decode()}"

    # requests

    def ask(
        self, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None, **query: Any
    ) -> http.client.HTTPResponse:
        """Send a request; the answer has been read, into `content`."""
        target = f"{self.path}/{path}" + (f"?{urlencode(query, quote_via=quote)}" if query else "")
        connection = http.client.HTTPConnection(self.host, self.port, timeout=TIMEOUT)
        try:
            connection.request(method, target, body, {**self.headers, **(headers or {})})
            answer = connection.getresponse()
            answer.content = answer.read()
            return answer
        finally:
            connection.close()

    def get(self, path: str, **query: Any) -> bytes:
        """The body of a successful answer to GET."""
        answer = self.ask("GET", path, **query)
        if answer.status not in (200, 204):
            raise Refused(answer.status, answer.content)
        return answer.content

    def json(self, path: str, **query: Any) -> Any:
        """The JSON that answers a GET."""
        return json.loads(self.get(path, **query))

    def post(self, path: str, data_chunk: bytes, encoded: bool = True, **query: Any) -> http.client.HTTPResponse:
        """Send bytes in base64 as a form; with `encoded` false as careless clients do, without percent-encoding."""
        text = base64.b64encode(data_chunk)
        body = b"data_chunk=" + (quote(text, safe="").encode() if encoded else text)
        answer = self.ask("POST", path, body, {"Content-Type": "application/x-www-form-urlencoded"}, **query)
        if answer.status not in (200, 204):
            raise Refused(answer.status, answer.content)
        return answer

    # references

    @staticmethod
    def split(path: str) -> tuple[str, str]:
        """Name and extension of a path."""
        found = re.fullmatch(r"(.*[^/])\.([^./]+)", path)
        return (found[1], found[2]) if found else (path, "none")

    def reference(self, data_set: str, path: str, eof: str, size: str = "", hash: str = "") -> str:
        """The reference of a file, or of a piece of one."""
        return "/".join((self.supplier, data_set, *self.split(path), eof, size, hash))

    def ingestion_reference(self, data_set: str, path: str) -> str:
        """The name of its stream."""
        return "/".join((data_set, *self.split(path)))

    # what its commands do

    def constants(self) -> dict[str, Any]:
        return self.json("ERP5Site_getIngestionConstantsJson")

    def exists(self, data_set: str, path: str, eof: str = "END", size: str = "") -> str:
        reference = self.reference(data_set, path, eof, size)
        return self.get("ERP5Site_checkIngestionReferenceExists", reference=reference).decode()

    def send(
        self,
        data_set: str,
        path: str,
        data: bytes,
        eof: str = "END",
        size: str = "",
        encoded: bool = True,
        policy: str = "default_ebulk",
    ) -> http.client.HTTPResponse:
        """Send a whole file, or a piece."""
        reference = self.reference(data_set, path, eof, size)
        return self.post(f"portal_ingestion_policies/{policy}/ingest", data, encoded, reference=reference)

    def upload(self, data_set: str, path: str, data: bytes, piece_size: int | None = None) -> None:
        """Send a file if the lake lacks it, in pieces if it is larger than one."""
        for eof, piece in self.pieces(data, piece_size):
            if self.exists(data_set, path, eof) == "FALSE":
                self.send(data_set, path, piece, eof)

    @staticmethod
    def pieces(data: bytes, piece_size: int | None) -> Iterator[tuple[str, bytes]]:
        """The pieces of a file, with what stands for `eof` in their references."""
        if piece_size is None or len(data) <= piece_size:
            yield "END", data
            return
        starts = range(0, len(data), piece_size)
        for number, start in enumerate(starts, 1):
            yield "EOF" if number == len(starts) else f"{number:03d}", data[start : start + piece_size]

    def list(self, data_set: str) -> dict[str, Any]:
        return self.json("ERP5Site_getDataStreamList", data_set_reference=data_set)

    def count(self, data_set: str) -> int:
        answer = self.json("ERP5Site_getDataStreamCount", data_set_reference=data_set)
        assert answer["status_code"] == 0
        return int(answer["result"])

    def references(self, data_set: str) -> list[str]:
        """The references of all files."""
        return [each["reference"] for each in self.list(data_set)["result"]]

    def chunk(self, id: str, start: float, end: float) -> bytes:
        return self.get("ERP5Site_getDataStreamChunk", id=id, start_offset=float(start), end_offset=float(end))

    def download(self, data_set: str, path: str, chunk_size: int = 100_000) -> bytes:
        """A file, fetched in chunks up to an empty one, with its size and md5 compared."""
        streams = self.list(data_set)["result_dict"][self.ingestion_reference(data_set, path)]
        content = b""
        for stream in streams["data-stream-list"]:
            data, start = b"", 0
            while chunk := self.chunk(stream["id"], start, start + chunk_size):
                data += chunk
                start += chunk_size
            assert (len(data), md5(data)) == (stream["size"], stream["hash"]), stream
            content += data
        assert (len(content), md5(content)) == (streams["full-size"], streams["large-hash"]), streams
        return content

    def remove(self, data_set: str, path: str) -> None:
        self.get("ERP5Site_invalidateIngestionObjects", reference=self.ingestion_reference(data_set, path))

    def rename(self, data_set: str, old: str, new: str) -> None:
        references = (self.ingestion_reference(data_set, path) for path in (old, new))
        self.get("ERP5Site_renameIngestion", **dict(zip(("reference", "new_reference"), references, strict=True)))

    def increase_version(self, data_set: str) -> bytes:
        return self.get("ERP5Site_increaseDatasetVersion", reference=data_set)

    def describe(self, data_set: str, text: str) -> dict[str, Any]:
        return json.loads(self.post("ERP5Site_setDatasetDescription", text.encode(), dataset=data_set).content)

    def metadata(self, data_set: str, path: str) -> dict[str, Any]:
        return self.json("ERP5Site_getDescriptorHTMLContent", reference=self.ingestion_reference(data_set, path))


def md5(data: bytes) -> str:
    """As the client compares it."""
    return hashlib.md5(data, usedforsecurity=False).hexdigest()
