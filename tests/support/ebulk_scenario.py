"""Every request of docs/original_ebulk.rst, in an order in which each can be answered; see `protocol_scenario`."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from urllib.parse import quote

from support.http_server import Response, Server, basic
from support.protocol_scenario import Normaliser, Step, request_text
from support.site import PASSWORD

SCAN = b"the bytes of a scan\n" * 3
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
INGEST = "/portal_ingestion_policies/default_ebulk/ingest?reference="


def form(data: bytes) -> bytes:
    """Bytes in base64, as a form."""
    return b"data_chunk=" + quote(base64.b64encode(data), safe="").encode()


def script(name: str, **query: str) -> str:
    """The path of a script with its parameters."""
    text = "&".join(f"{key}={quote(value, safe='/')}" for key, value in query.items())
    return f"/ERP5Site_{name}" + (f"?{text}" if text else "")


STEPS = (
    Step("constants", "GET", script("getIngestionConstantsJson")),
    Step("exists", "GET", script("checkIngestionReferenceExists", reference="lab/brain_mri/README/none/END//")),
    Step("ingest", "POST", INGEST + "lab/brain_mri/README/none/END//", form(b"read me\n"), FORM),
    Step("exists-known", "GET", script("ingestionReferenceExists", reference="lab/brain_mri/README/none/END//")),
    Step("ingest-001", "POST", INGEST + "lab/brain_mri/scans/1/nii/001//", form(SCAN[:20]), FORM),
    Step("ingest-002", "POST", INGEST + "lab/brain_mri/scans/1/nii/002//", form(SCAN[20:40]), FORM),
    Step("ingest-eof", "POST", INGEST + "lab/brain_mri/scans/1/nii/EOF//", form(SCAN[40:]), FORM),
    Step("ingest-bad-reference", "POST", INGEST + "lab/brain_mri/a%3Bb/txt/END//", form(b"x"), FORM),
    Step("ingest-bad-chunk", "POST", INGEST + "lab/brain_mri/a/txt/END//", b"data_chunk=QUI*", FORM),
    Step("ingest-anonymous", "POST", INGEST + "lab/brain_mri/a/txt/END//", form(b"x"), FORM, user=None),
    Step("list", "GET", script("getDataStreamList", data_set_reference="brain_mri")),
    Step("list-unknown", "GET", script("getDataStreamList", data_set_reference="heart_mri")),
    Step("list-refused", "GET", script("getDataStreamList", data_set_reference="brain_mri"), user=None),
    Step("count", "GET", script("getDataStreamCount", data_set_reference="brain_mri")),
    Step("chunk", "GET", "/ERP5Site_getDataStreamChunk?id={stream}&start_offset=0.0&end_offset=20.0"),
    Step("chunk-end", "GET", "/ERP5Site_getDataStreamChunk?id={stream}&start_offset=60.0&end_offset=80.0"),
    Step("data", "GET", "/{stream}/getData"),
    Step("descriptor", "GET", script("getDescriptorHTMLContent", reference="brain_mri/scans/1/nii")),
    Step("description", "POST", script("setDatasetDescription", dataset="brain_mri"), form(b"Healthy brains"), FORM),
    Step("version", "GET", script("increaseDatasetVersion", reference="brain_mri")),
    Step(
        "rename",
        "GET",
        script("renameIngestion", reference="brain_mri/scans/1/nii", new_reference="brain_mri/scans/first/nii"),
    ),
    Step(
        "rename-taken",
        "GET",
        script("renameIngestion", reference="brain_mri/scans/first/nii", new_reference="brain_mri/README/none"),
    ),
    Step("invalidate", "GET", script("invalidateIngestionObjects", reference="brain_mri/README/none")),
    Step(
        "invalidate-anonymous",
        "GET",
        script("invalidateIngestionObjects", reference="brain_mri/scans/first/nii"),
        user=None,
    ),
)


def play(server: Server) -> Iterator[tuple[Step, str, Response]]:
    """Send all requests; give out each step, its URL's path, and the response."""
    known = {"stream": ""}
    for step in STEPS:
        path = step.path.format(**known)
        response = server.request(step.method, server.portal + path, step.body, step.headers, step.user)
        if step.name == "list":
            known["stream"] = response.data["result"][-1]["id"]
        yield step, "/erp5" + path, response


def shown_request(step: Step, path: str) -> str:
    """A request as it is kept: the original ebulk knows no tokens."""
    return request_text(step, path).replace("Bearer wendelin_…", basic("ada", PASSWORD))


class EbulkNormaliser(Normaliser):
    """Leaves md5 as they are, and makes up ids of documents only."""

    RULES = (
        *Normaliser.RULES[:-1],
        (re.compile(r"(?<=/)[0-9a-f]{16}(?=-)"), lambda found, ids: ids[found[0]]),
    )
