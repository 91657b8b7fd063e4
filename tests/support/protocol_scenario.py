"""Every request of docs/protocol.rst, in an order in which each can be answered, and how it is written down.

A step is named as the files it is kept in. Paths may name what an earlier answer gave, as in `{push}/plan`.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import re
from base64 import b64encode
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy
import transaction

from Products.ERP5Wendelin.content.base import now
from Products.ERP5Wendelin.content.progress_indicator import FAILED
from support.arrays import npy
from support.http_server import Response, Server
from support.push import TUS, metadata, tar
from support.streams import SECOND, event

SCAN = b"the bytes of a scan\n" * 3
SCAN_DIGEST = f"sha-256:{hashlib.sha256(SCAN).hexdigest()}"
NOTE = b"a small file\n"
NOTE_DIGEST = f"sha-256:{hashlib.sha256(NOTE).hexdigest()}"
OTHER_DIGEST = f"sha-256:{hashlib.sha256(b'other').hexdigest()}"
BLOCK = 2 * 2**20
LARGE = bytes(2 * BLOCK + 1000)
LARGE_DIGEST = f"sha-256:{hashlib.sha256(LARGE).hexdigest()}"
GROWN = LARGE + b"what was appended\n"
EDITED = LARGE[:BLOCK] + b"\1" * BLOCK + LARGE[2 * BLOCK :]
TEN_PAST = 1_795_341_960 * SECOND
"""2026-11-22T10:06:00Z"""
READINGS = [event(TEN_PAST + number * SECOND, {"celsius": 12.5 + number}) for number in range(3)]
READ = len(READINGS[0])
SHOWN_HEADERS = (
    "Accept-Ranges",
    "Allow",
    "Array-Snapshot",
    "Cache-Control",
    "Content-Disposition",
    "Content-Length",
    "Content-Range",
    "Content-Type",
    "ETag",
    "Last-Modified",
    "Location",
    "Repr-Digest",
    "Retry-After",
    "Signature-Block-Size",
    "Stream-Start",
    "Tus-Checksum-Algorithm",
    "Tus-Extension",
    "Tus-Resumable",
    "Tus-Version",
    "Upload-Expires",
    "Upload-Length",
    "Upload-Metadata",
    "Upload-Offset",
    "Vary",
    "WWW-Authenticate",
    "X-Content-Type-Options",
)
"""Of the response; others, such as Date and Server, are the HTTP server's."""


LINE_LENGTH = 110


@dataclass
class Step:
    """A request; `keeps` is the name under which later steps know its Location."""

    name: str
    method: str
    path: str
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    user: str | None = "ada"
    keeps: str = ""


def planned(path: str, content: bytes, mtime: float = 1700000000.5, mode: str = "100644") -> dict[str, Any]:
    """A file of a plan."""
    digest = f"sha-256:{hashlib.sha256(content).hexdigest()}"
    return {"path": path, "size": len(content), "digest": digest, "mtime": mtime, "mode": mode}


def creation(path: str, content: bytes, **values: str) -> dict[str, str]:
    """Headers that begin an upload."""
    return {
        "Tus-Resumable": "1.0.0",
        "Upload-Length": str(len(content)),
        "Upload-Metadata": metadata(path=path, **values),
    }


def piece(offset: int, **headers: str) -> dict[str, str]:
    """Headers of a piece of an upload."""
    return {**TUS, "Upload-Offset": str(offset), **headers}


def based_on(path: str, content: bytes, **values: str) -> dict[str, str]:
    """Headers that begin an upload which reuses LARGE."""
    digest = f"sha-256:{hashlib.sha256(content).hexdigest()}"
    return creation(path, content, digest=digest, base=LARGE_DIGEST, base_length=str(len(LARGE)), **values)


BRAIN = "/data-sets/brain_mri"
PUSHES = f"{BRAIN}/ingestions"
FILE = f"{BRAIN}/files/scans/1.nii"
PART = len(SCAN) // 3
STREAM = "/streams/sensor.product"
INGEST = "{policies}/default/ingest?reference="
LINES = b'{"time":"2026-11-22T10:06:00.5Z","celsius":12.5}\n'
SENT = {"Content-Type": "application/x-ndjson", "Idempotency-Key": "62f1ac6a4b4fd85b"}
ARRAY = "/arrays/lab/temperatures"
ROWS = numpy.arange(12, dtype="<f4").reshape(4, 3) / 2 + 16


def npy_piece(start: int, stop: int) -> dict[str, str]:
    """Headers of a piece of a .npy file of ROWS."""
    return {"Content-Range": f"bytes {start}-{stop - 1}/{len(npy(ROWS))}", "Idempotency-Key": '"b1946ac92492d234"'}


ANALYSIS = "/analyses/mean-of-sensor"
FAILURE = "Traceback (most recent call last):\n  …\nDataAnalysisLine_mean failed in line 3: KeyError: 'celsius'"


SHA1 = b64encode(hashlib.sha1(b"other", usedforsecurity=False).digest()).decode()

STEPS = (
    Step("service", "GET", "/", user=None),
    Step("user", "GET", "/user"),
    Step("user-anonymous", "GET", "/user", user=None),
    Step("wrong-credentials", "GET", "/data-sets", headers={"Authorization": "Bearer wrong"}, user=None),
    Step("token-create", "POST", "/tokens", {"title": "laptop"}, keeps="token"),
    Step("tokens", "GET", "/tokens"),
    Step("token-delete", "DELETE", "{token}"),
    Step("method-not-allowed", "POST", "/data-sets"),
    Step("data-set-create", "PUT", BRAIN, {"title": "Brains"}),
    Step("data-set-create-again", "PUT", BRAIN),
    Step("data-set-create-bad", "PUT", "/data-sets/%20brain"),
    Step("data-set-update", "PATCH", BRAIN, {"description": "Scans of healthy brains."}),
    Step("data-set", "GET", BRAIN),
    Step("data-set-unknown", "GET", "/data-sets/brain_mir"),
    Step("ingestion-start", "POST", PUSHES, {"message": "first scans", "base_version": 0}, keeps="push"),
    Step(
        "plan",
        "POST",
        "{push}/plan",
        {"files": [planned("notes.txt", NOTE), planned("scans/1.nii", SCAN), planned("run.sh", b"", 1, "100755")]},
    ),
    Step("plan-bad", "POST", "{push}/plan", {"files": [{"path": "notes.txt", "size": "13"}]}),
    Step("stop-incomplete", "POST", "{push}/stop"),
    Step(
        "bundle", "POST", "{push}/bundle", tar({"notes.txt": NOTE}, 1700000000.5), {"Content-Type": "application/x-tar"}
    ),
    Step(
        "bundle-coding",
        "POST",
        "{push}/bundle",
        tar({"notes.txt": NOTE}, 1700000000.5),
        {"Content-Type": "application/x-tar", "Content-Encoding": "br"},
    ),
    Step("upload-options", "OPTIONS", "{push}/uploads", user=None),
    Step(
        "upload-create",
        "POST",
        "{push}/uploads",
        headers=creation("scans/1.nii", SCAN, digest=SCAN_DIGEST, mtime="1700000000.123456789"),
        keeps="upload",
    ),
    Step("upload-patch", "PATCH", "{upload}", SCAN[:PART], piece(0)),
    Step("upload-head", "HEAD", "{upload}", headers={"Tus-Resumable": "1.0.0"}),
    Step("upload-wrong-offset", "PATCH", "{upload}", SCAN[:PART], piece(0)),
    Step("upload-wrong-checksum", "PATCH", "{upload}", SCAN[PART:], piece(PART, **{"Upload-Checksum": f"sha1 {SHA1}"})),
    Step("upload-wrong-version", "HEAD", "{upload}", headers={"Tus-Resumable": "0.2.2"}),
    Step("ingestion", "GET", "{push}"),
    Step("ingestions", "GET", f"{PUSHES}?state=started"),
    Step("upload-finish", "PATCH", "{upload}", SCAN[PART:], piece(PART)),
    Step(
        "upload-create-wrong-digest",
        "POST",
        "{push}/uploads",
        SCAN,
        {**TUS, **creation("scans/2.nii", SCAN, digest=OTHER_DIGEST)},
    ),
    Step("upload-create-other", "POST", "{push}/uploads", headers=creation("scans/3.nii", SCAN), keeps="other"),
    Step("upload-delete", "DELETE", "{other}", headers={"Tus-Resumable": "1.0.0"}),
    Step("stop", "POST", "{push}/stop"),
    Step("ingestion-stopped", "GET", "{push}"),
    Step("second-start", "POST", PUSHES, {"message": "renamed", "base_version": 1}, keeps="second"),
    Step("third-start", "POST", PUSHES, {"message": "other notes", "base_version": 1}, keeps="third"),
    Step(
        "plan-rename",
        "POST",
        "{second}/plan",
        {
            "files": [planned("raw", b"", mode="040000")],
            "renamed": [{"from": "notes.txt", "to": "README"}],
            "removed": ["run.sh"],
        },
    ),
    Step("second-stop", "POST", "{second}/stop"),
    Step("third-plan", "POST", "{third}/plan", {"files": [planned("notes.txt", SCAN)]}),
    Step("stop-conflict", "POST", "{third}/stop"),
    Step("stop-base", "POST", "{third}/stop", {"base_version": 9}),
    Step("ingestion-cancel", "DELETE", "{third}"),
    Step("ingestion-cancel-stopped", "DELETE", "{push}"),
    Step("versions", "GET", f"{BRAIN}/versions"),
    Step("manifest", "GET", f"{BRAIN}/manifest?version=1&limit=2"),
    Step("manifest-prefix", "GET", f"{BRAIN}/manifest?prefix=scans/"),
    Step("file", "GET", FILE),
    Step("file-head", "HEAD", FILE),
    Step("file-range", "GET", FILE, headers={"Range": "bytes=40-", "If-Range": f'"{SCAN_DIGEST}"'}),
    Step("file-not-modified", "GET", FILE, headers={"If-None-Match": f'"{SCAN_DIGEST}"'}),
    Step("file-range-unsatisfiable", "GET", FILE, headers={"Range": "bytes=1000-"}),
    Step("file-part", "GET", f"{FILE}?start={PART}&stop={2 * PART}"),
    Step("file-precondition-failed", "GET", FILE, headers={"If-Match": f'"{OTHER_DIGEST}"'}),
    Step("file-unknown", "GET", f"{BRAIN}/files/notes.txt"),
    Step("file-folder", "GET", f"{BRAIN}/files/raw"),
    Step("file-bad-path", "GET", f"{BRAIN}/files/../notes.txt"),
    Step("archive", "GET", f"{BRAIN}/archive?format=tar&prefix=scans/"),
    Step("archive-select", "POST", f"{BRAIN}/archive", {"paths": ["scans/1.nii", "README"]}),
    Step("archive-unknown", "POST", f"{BRAIN}/archive", {"paths": ["README", "notes.txt"]}),
    Step("large-start", "POST", PUSHES, {"message": "a large scan"}, keeps="large"),
    Step("large-upload", "POST", "{large}/uploads", LARGE, {**TUS, **creation("scans/large.nii", LARGE)}),
    Step("large-stop", "POST", "{large}/stop"),
    Step("delta-start", "POST", PUSHES, {"message": "the scan goes on"}, keeps="delta"),
    Step("delta-grown", "POST", "{delta}/uploads", headers=based_on("scans/large.nii", GROWN), keeps="grown"),
    Step("delta-grown-patch", "PATCH", "{grown}", GROWN[len(LARGE) :], piece(len(LARGE))),
    Step(
        "delta-edited",
        "POST",
        "{delta}/uploads",
        headers=based_on("scans/edited.nii", EDITED, changed=f"{BLOCK}-{2 * BLOCK - 1}"),
        keeps="edited",
    ),
    Step("delta-edited-patch", "PATCH", "{edited}", EDITED[BLOCK : 2 * BLOCK], piece(BLOCK)),
    Step("delta-bad", "POST", "{delta}/uploads", headers=based_on("scans/bad.nii", GROWN, changed="10-19,15-30")),
    Step("delta-stop", "POST", "{delta}/stop"),
    Step("signature", "GET", f"{BRAIN}/signature/scans/edited.nii"),
    Step("delta", "GET", f"{BRAIN}/delta/scans/edited.nii?base={LARGE_DIGEST}"),
    Step("delta-unknown", "GET", f"{BRAIN}/delta/scans/edited.nii?base={OTHER_DIGEST}"),
    Step("forbidden", "PATCH", BRAIN, {"title": "Mine"}, user="dan"),
    Step("state", "POST", f"{BRAIN}/state", {"transition": "publish"}),
    Step("state-wrong", "POST", f"{BRAIN}/state", {"transition": "publish"}),
    Step("data-sets", "GET", "/data-sets?search=brain&state=published&limit=10", user=None),
    Step("data-set-invalidate", "DELETE", BRAIN),
    Step("streams", "GET", "/streams?search=sensor&state=draft&limit=10"),
    Step("stream", "GET", STREAM),
    Step("stream-head", "HEAD", STREAM),
    Step("stream-range", "GET", STREAM, headers={"Range": f"bytes={2 * READ}-"}),
    Step("stream-wait", "GET", f"{STREAM}?wait=20", headers={"Range": f"bytes={3 * READ}-"}),
    Step("stream-wait-nowhere", "GET", f"{STREAM}?wait=20"),
    Step("stream-dropped", "GET", "/streams/sensor.old", headers={"Range": "bytes=0-99"}),
    Step("stream-unknown", "GET", "/streams/sensor.other"),
    Step("stream-jsonl", "GET", f"{STREAM}?format=jsonl&since=2026-11-22T10:06:00.5Z"),
    Step("stream-msgpack", "GET", f"{STREAM}?format=msgpack&since=1795341960.5&until=1795341961.5"),
    Step("stream-npy", "GET", f"{STREAM}?format=npy"),
    Step("stream-bytes-of-a-time", "GET", f"{STREAM}?since=1795341960"),
    Step("stream-bad-time", "GET", f"{STREAM}?format=jsonl&since=yesterday"),
    Step("stream-events", "GET", STREAM, headers={"Accept": "text/event-stream", "Last-Event-ID": str(READ)}),
    Step("ingest", "POST", f"{INGEST}roof.celsius", LINES, SENT),
    Step("ingest-again", "POST", f"{INGEST}roof.celsius", LINES, SENT),
    Step(
        "ingest-gzip",
        "POST",
        f"{INGEST}roof.celsius",
        gzip.compress(b"".join(READINGS), 0, mtime=0),  # of the same size with any zlib
        {"Content-Type": "application/msgpack", "Content-Encoding": "gzip"},
    ),
    Step("ingest-bad-tag", "POST", f"{INGEST}roof..celsius", LINES, SENT),
    Step("ingest-bad-key", "POST", f"{INGEST}roof.celsius", LINES, {**SENT, "Idempotency-Key": "${chunk_id}"}),
    Step("ingest-coding", "POST", f"{INGEST}roof.celsius", LINES, {**SENT, "Content-Encoding": "snappy"}),
    Step("ingest-forbidden", "POST", f"{INGEST}roof.celsius", LINES, SENT, user="dan"),
    Step("array-create", "PUT", ARRAY, {"shape": [0, 3], "dtype": "<f4", "title": "Temperatures"}),
    Step("array-create-again", "PUT", ARRAY, {"shape": [0, 2], "dtype": "<f4"}),
    Step("array-create-bad", "PUT", "/arrays/names", {"shape": [10], "dtype": "O"}),
    Step("array-update", "PATCH", ARRAY, {"description": "Of three rooms, each hour."}),
    Step("array-append", "POST", f"{ARRAY}/data", npy(ROWS), {"Idempotency-Key": '"2026-11-22/1"'}),
    Step("array-append-again", "POST", f"{ARRAY}/data", npy(ROWS), {"Idempotency-Key": '"2026-11-22/1"'}),
    Step("array-append-wrong", "POST", f"{ARRAY}/data", npy(ROWS[:, :2])),
    Step("array-append-dtype", "POST", f"{ARRAY}/data", npy(ROWS.astype("<f8"))),
    Step("array-write", "PUT", f"{ARRAY}/data?slice=-1,:2", npy(numpy.float32(19.5))),
    Step("array", "GET", ARRAY),
    Step("array-data", "GET", f"{ARRAY}/data?slice=::-1,0:2"),
    Step("array-head", "HEAD", f"{ARRAY}/data"),
    Step("array-raw", "GET", f"{ARRAY}/data?slice=1:3&format=raw", headers={"Range": "bytes=12-"}),
    Step("array-slice-bad", "GET", f"{ARRAY}/data?slice=4"),
    Step("array-snapshot-gone", "GET", f"{ARRAY}/data?snapshot=ffffffffffffffff"),
    Step("array-unknown", "GET", "/arrays/lab/temperature"),
    Step("array-upload", "PUT", "/arrays/lab/pressures/data", npy(ROWS)),
    Step("array-upload-cut", "PUT", "/arrays/lab/pressures/data", npy(ROWS)[:-1]),
    Step("array-piece", "PUT", "/arrays/lab/humidity/data", npy(ROWS)[:160], npy_piece(0, 160)),
    Step("array-piece-wrong", "PUT", "/arrays/lab/humidity/data", npy(ROWS)[:160], npy_piece(0, 160)),
    Step("array-piece-last", "PUT", "/arrays/lab/humidity/data", npy(ROWS)[160:], npy_piece(160, len(npy(ROWS)))),
    Step("array-state", "POST", f"{ARRAY}/state", {"transition": "publish"}),
    Step("arrays", "GET", "/arrays?search=temperatures&state=published&limit=10", user=None),
    Step("array-invalidate", "DELETE", ARRAY),
    Step("analyses", "GET", "/analyses?search=sensor&state=started&limit=10"),
    Step("analysis", "GET", ANALYSIS),
    Step("analysis-wrong-state", "POST", f"{ANALYSIS}/state", {"transition": "plan"}),
    Step("analysis-bad-transition", "POST", f"{ANALYSIS}/state", {"transition": "stop"}),
    Step("analysis-cancel", "POST", f"{ANALYSIS}/state", {"transition": "cancel"}),
    Step("analysis-unknown", "GET", "/analyses/mean-of-roof"),
    Step("progress-indicators", "GET", "/progress-indicators?search=mean&state=failed&limit=10"),
    Step("progress-indicator", "GET", "/progress-indicators/mean.py%20readings"),
    Step("progress-indicator-unknown", "GET", "/progress-indicators/other.py"),
)


def play(server: Server) -> Iterator[tuple[Step, str, Response]]:
    """Send all requests; give out each step, its URL's path, and the response."""
    append_streams(server)
    add_analysis(server)
    add_progress(server)
    known = {"policies": f"{server.portal}/portal_ingestion_policies"}
    for step in STEPS:
        path = step.path.format(**known)
        response = server.request(step.method, path, step.body, step.headers, step.user)
        if step.keeps:
            known[step.keeps] = response.headers["Location"]
        parts = urlsplit(path if path.startswith("http:") else server.api + path)
        yield step, parts.path + (f"?{parts.query}" if parts.query else ""), response


def append_streams(server: Server) -> None:
    """Have a stream of three records, and one whose head was dropped."""
    with server.lake.open() as site:
        module = site.data_stream_module
        module.newContent(reference="sensor.product", title="A sensor").appendData(b"".join(READINGS))
        old = module.newContent(reference="sensor.old")
        old.appendData(bytes(BLOCK + 1000))
        old.dropData(BLOCK)
        transaction.commit()


def add_analysis(server: Server) -> None:
    """Have an analysis of the stream of three records, whose script has failed when the third one came."""
    with server.lake.open() as site:
        stream = site.data_stream_module.getDataStream("sensor.product")
        analysis = site.data_analysis_module.newContent(
            id="mean-of-sensor", reference="sensor.product", title="Mean", start_date=now()
        )
        analysis.newContent(
            reference="in_stream",
            quantity=-1,
            int_index=1,
            resource="data_product_module/readings",
            aggregate_value=stream,
        )
        analysis.newContent(resource="data_operation_module/mean", quantity=1, int_index=2)
        array = site.data_array_module.newContent(reference="Mean-out_array-sensor.product")
        analysis.newContent(
            reference="out_array",
            quantity=1,
            int_index=3,
            resource="data_product_module/means",
            aggregate_value=array,
        )
        analysis.start()
        analysis.sizes = {stream.getRelativeUrl(): 2 * READ}
        analysis.note_failure(FAILURE, now())
        transaction.commit()


def add_progress(server: Server) -> None:
    """Have a script that has failed in the middle of an array."""
    with server.lake.open() as site:
        indicator = site.progress_indicator_module.newContent(reference="mean.py readings")
        progress = indicator.progress
        progress.begin("lake1/boot/1/2/3", "/home/ada/mean.py", anew=True)
        progress.note(6_097_152, 100_000_000, "rows", 51_000_000.0)
        progress.end(FAILED, "KeyError: 'celsius'")
        transaction.commit()


def request_text(step: Step, path: str) -> str:
    """A request as it is kept."""
    headers = {"Host": "127.0.0.1:8080"}
    if step.user:
        headers["Authorization"] = "Bearer wendelin_…"
    if step.body is not None and not isinstance(step.body, bytes):
        headers["Content-Type"] = "application/json"
    headers |= step.headers
    return message(f"{step.method} {path} HTTP/1.1", headers, body_text(step.body))


def response_text(response: Response) -> str:
    """A response as it is kept."""
    headers = {name: response.headers[name] for name in SHOWN_HEADERS if response.headers[name] is not None}
    body = response.body
    media_type = response.headers.get("Content-Type", "")
    is_json = media_type in ("application/json", "application/problem+json")
    shown = body_text(parse(body) if is_json and body else body)
    if shown and is_json:
        del headers["Content-Length"]  # of what was sent, which had no line breaks
    return message(f"HTTP/1.1 {response.status} {response.reason}", headers, shown)


def message(first: str, headers: dict[str, str], body: str) -> str:
    """First line, headers, and the body after an empty line."""
    lines = [first, *(f"{name}: {value}" for name, value in headers.items())]
    return "\n".join([*lines, "", body, ""] if body else [*lines, ""])


def parse(body: bytes) -> Any:
    """JSON whose numbers `body_text` writes as they were."""
    return json.loads(body, parse_float=lambda digits: f"\0{digits}\0")


def body_text(body: Any) -> str:
    """A body as it is kept: JSON in lines of a readable length, text as it is, other bytes by their number."""
    if body is None or body == b"":
        return ""
    if not isinstance(body, bytes):
        return re.sub(r'"\\u0000(.*?)\\u0000"', r"\1", json_text(body))
    if body.isascii() and body.replace(b"\n", b"").decode().isprintable():
        return body.decode().removesuffix("\n")
    return f"({len(body)} bytes)"


def json_text(value: Any, indent: int = 0) -> str:
    """JSON, with what fits into a line in one."""
    plain = json.dumps(value, ensure_ascii=False)
    if indent + len(plain) <= LINE_LENGTH or not isinstance(value, dict | list):
        return plain
    margin = " " * (indent + 2)
    if isinstance(value, dict):
        parts = [f"{margin}{json.dumps(key)}: {json_text(part, indent + 2)}" for key, part in value.items()]
        return "\n".join(["{", ",\n".join(parts), " " * indent + "}"])
    parts = [margin + json_text(part, indent + 2) for part in value]
    return "\n".join(["[", ",\n".join(parts), " " * indent + "]"])


class Normaliser:
    """Puts something fixed for what differs from run to run: ids, dates, secrets, the port. One for a whole run."""

    RULES = (
        (re.compile(r"(?<=127\.0\.0\.1:)\d+"), lambda found, ids: "8080"),
        (re.compile(r'(?<="expires": ")[^"]+'), lambda found, ids: "2026-11-29T10:06:00Z"),
        (re.compile(r'(?<!"expires": ")\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ'), lambda found, ids: "2026-11-22T10:06:00Z"),
        (re.compile(r"(?<=Upload-Expires: ).*"), lambda found, ids: "Sun, 29 Nov 2026 10:06:00 GMT"),
        (re.compile(r"wendelin_[\w-]{43}"), lambda found, ids: "wendelin_NtlDmwu8pBxXFt0bGRpRbNOuVVKzk3yVJbYqfYZT-5k"),
        (re.compile(r"(?<![\w:+-])([0-9a-f]{32}|[0-9a-f]{16})(?![\w=])"), lambda found, ids: ids[found[0]]),
    )

    def __init__(self) -> None:
        self._ids = Ids()

    def __call__(self, text: str) -> str:
        for pattern, replacement in self.RULES:
            text = pattern.sub(lambda found, replacement=replacement: replacement(found, self._ids), text)
        return text


class Ids(dict[str, str]):
    """Names for random ids, by the order in which they appear, of the same length."""

    def __missing__(self, identity: str) -> str:
        name = hashlib.sha256(str(len(self)).encode()).hexdigest()[: len(identity)]
        self[identity] = name
        return name


def drifted(folder: Path, sent: Iterable[tuple[str, str, str]], normalise: Callable[[str], str]) -> str:
    """What the files of a folder should be, where they are not what was sent now: (name, request, response).

    With RECORD_PROTOCOL in the environment they are written anew.
    """
    wrong = []
    for name, request, response in sent:
        for file, text in (
            (folder / f"{name}.req", normalise(request)),
            (folder / f"{name}.resp", normalise(response)),
        ):
            if os.environ.get("RECORD_PROTOCOL"):
                file.write_text(text, encoding="utf-8")
            if not file.exists() or file.read_text(encoding="utf-8") != text:
                wrong.append(f"--- {file.name} should be:\n{text}")
    return "\n".join(wrong)
