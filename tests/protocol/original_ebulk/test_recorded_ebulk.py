"""The recorded requests of the original ebulk are answered so today, and docs/original_ebulk.rst shows them.

`RECORD_PROTOCOL=1 python -m pytest tests/protocol` writes them anew; look at the difference before you commit it.
"""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import unquote, urlsplit

from Products.ERP5Wendelin.views.routing import allowed, portal_routes, split
from support.ebulk_scenario import STEPS, EbulkNormaliser, play, shown_request
from support.protocol_scenario import drifted, response_text

HERE = Path(__file__).parent
DOCUMENT = HERE.parents[2] / "docs" / "original_ebulk.rst"


def test_server_answers_the_original_ebulk_as_recorded(server):
    sent = ((step.name, shown_request(step, path), response_text(response)) for step, path, response in play(server))
    assert not drifted(HERE, sent, EbulkNormaliser())


def test_every_recording_has_its_step_and_is_shown():
    kept = sorted(file.name for file in HERE.iterdir() if file.suffix in (".req", ".resp"))
    assert kept == sorted(step.name + suffix for step in STEPS for suffix in (".req", ".resp"))
    text = DOCUMENT.read_text(encoding="utf-8")
    included = re.findall(
        r"^ *\.\. include:: \.\./tests/protocol/original_ebulk/(.+)\n +:literal:$", text, re.MULTILINE
    )
    assert sorted(included) == kept


def test_every_address_at_the_portal_is_recorded(server):
    recorded = set()
    for step in STEPS:
        segments = split(unquote(urlsplit(step.path.format(stream="data_stream_module/ID")).path))
        route = allowed(segments, portal_routes())[step.method][0]
        recorded.add(route.path)
    assert recorded == {route.path for route in portal_routes()}
