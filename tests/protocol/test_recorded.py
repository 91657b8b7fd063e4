"""The recorded requests and responses are what the server says today, and docs/protocol.rst shows them.

`RECORD_PROTOCOL=1 python -m pytest tests/protocol` writes them anew; look at the difference before you commit it.
"""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import unquote, urlsplit

from docutils.core import publish_doctree

from Products.ERP5Wendelin.views.routing import allowed, routes, split
from support.protocol_scenario import STEPS, Normaliser, drifted, play, request_text, response_text

HERE = Path(__file__).parent
DOCUMENT = HERE.parents[1] / "docs" / "protocol.rst"


def test_server_answers_as_recorded(server):
    sent = ((step.name, request_text(step, path), response_text(response)) for step, path, response in play(server))
    assert not drifted(HERE, sent, Normaliser())


def test_every_recording_has_its_step():
    kept = {file.stem for file in HERE.iterdir() if file.suffix in (".req", ".resp")}
    assert kept == {step.name for step in STEPS}
    assert len(STEPS) == len(kept)


def test_every_route_is_recorded(server):
    recorded = set()
    for file in HERE.glob("*.req"):
        method, url, _ = file.read_text(encoding="utf-8").splitlines()[0].split(" ")
        _, api, path = urlsplit(url).path.partition("/api/v1")
        route = allowed(split(unquote(path)), routes()).get(method) if api else None  # the others are the portal's
        if route:
            recorded.add((route[0].method, route[0].path))
    assert recorded == {(route.method, route.path) for route in routes()}


def test_document_shows_every_recording_and_is_valid():
    text = DOCUMENT.read_text(encoding="utf-8")
    included = re.findall(r"^ *\.\. include:: \.\./tests/protocol/(.+)\n +:literal:$", text, re.MULTILINE)
    recorded = [file.name for file in HERE.iterdir() if file.suffix in (".req", ".resp")]
    assert sorted(included) == sorted(recorded)
    settings = {"halt_level": 2, "report_level": 2, "input_encoding": "utf-8"}
    assert publish_doctree(text, source_path=str(DOCUMENT), settings_overrides=settings)
