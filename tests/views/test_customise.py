"""An administrator customises a script through the web, by requests as a browser sends them."""

from __future__ import annotations

from urllib.parse import urlencode

import pytest

from support.http_server import Server

SCRIPT = "DataIngestionLine_writeIngestionToDataStream"
INGEST = "portal_ingestion_policies/default/ingest?reference=sensor.product"


def post(server: Server, path: str, user: str | None = "boss", headers: dict[str, str] | None = None, **fields: str):
    form = {"Content-Type": "application/x-www-form-urlencoded", **(headers or {})}
    return server.request("POST", f"{server.portal}/{path}", urlencode(fields).encode(), form, user)


def stored(server: Server) -> bytes:
    with server.lake.open("ada") as site:
        return b"".join(stream.getData() for stream in site.data_stream_module.objectValues())


def save(server: Server, params: str, body: str):
    path = f"portal_skins/custom/{SCRIPT}/ZPythonScriptHTML_editAction"
    return post(server, path, title="", params=params, body=body)


def test_script_of_a_template_is_customised_and_changed(server):
    page = server.request("GET", f"{server.portal}/portal_callables/{SCRIPT}/ZPythonScriptHTML_editForm", user="boss")
    assert page.status == 200
    assert b"customise" in page.body
    page = server.request("GET", f"{server.portal}/portal_callables/{SCRIPT}/customise", user="boss")
    assert page.status == 200
    assert b'<form method="post" action="' in page.body
    answer = post(server, f"portal_callables/{SCRIPT}/customise")
    assert (answer.status, answer.headers["Location"]) == (
        302,
        f"{server.portal}/portal_skins/custom/{SCRIPT}/manage_main",
    )
    editor = server.request("GET", answer.headers["Location"], user="boss")
    assert editor.status == 200
    assert b"appendData(data_chunk)" in editor.body

    assert (
        save(server, "data_chunk, out_stream", "out_stream['Data Stream'].appendData(data_chunk.upper())").status == 200
    )
    assert server.request("POST", f"{server.portal}/{INGEST}", b"abc").status == 204
    assert stored(server) == b"ABC"


def test_script_that_can_t_be_compiled_is_not_saved(server):
    post(server, f"portal_callables/{SCRIPT}/customise")
    answer = save(server, "data_chunk, out_stream", "x = 1\ny = (")
    assert answer.status == 400
    assert answer.body.startswith(f"The script {SCRIPT} can't be compiled: Line 2: ".encode())
    assert server.request("POST", f"{server.portal}/{INGEST}", b"abc").status == 204
    assert stored(server) == b"abc"


@pytest.mark.parametrize("user", [None, "ada", "dan"])
def test_nobody_but_managers_customises(server, user):
    for method in ("GET", "POST"):
        answer = server.request(method, f"{server.portal}/portal_callables/{SCRIPT}/customise", user=user)
        assert answer.status in (401, 403, 404)
    with server.lake.open("boss") as site:
        assert site.portal_skins.custom.objectIds() == []


def test_another_site_s_page_customises_nothing(server):
    answer = post(server, f"portal_callables/{SCRIPT}/customise", headers={"Origin": "http://elsewhere"})
    assert answer.status == 403
    with server.lake.open("boss") as site:
        assert site.portal_skins.custom.objectIds() == []
