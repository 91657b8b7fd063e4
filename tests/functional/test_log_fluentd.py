"""A lake that logs into itself: `wendelin serve --log-fluentd`, and `wendelin fluentd` that takes it in."""

from __future__ import annotations

import json
import urllib.error
import urllib.request

from support.forward_server import ForwardServer
from support.http_server import basic
from support.lake import PASSWORD, ServedLake, wendelin

READ = """
import json
for tag in ("wendelin.access", "wendelin.audit"):
    for record, _ in portal.data_ingestion_module.getSink("Data Stream", tag).iterateMsgpack():
        print(json.dumps([tag, record[1]]))
"""


def request(method: str, url: str, password: str = PASSWORD) -> int:
    """Ask for something as the manager; return the status."""
    asked = urllib.request.Request(url, method=method, headers={"Authorization": basic("admin", password)})
    try:
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(asked) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        with error:
            return error.code


def test_lake_that_logs_into_itself_has_what_was_asked_of_it_in_two_streams(lake: ServedLake) -> None:
    fluentd = ForwardServer(lake)
    fluentd.start()
    try:
        lake.url = lake.launch("--listen", lake.address, "--log-fluentd", fluentd.address)
        url = f"{lake.url}/api/v1/data-sets/brain"
        assert request("PUT", f"{url}?secret=1") == 201
        assert request("GET", url, "not it") == 401
        assert lake.stop() == 0  # which sends what waits
        assert fluentd.stop() == 0
    finally:
        fluentd.end()
    lines = [json.loads(line) for line in wendelin("shell", lake.directory, "-c", READ).stdout.splitlines()]
    access = [(tag, event["method"], event["path"], event["code"]) for tag, event in lines if "event" not in event]
    assert access == [
        ("wendelin.access", "GET", "/erp5", 200),  # by which the server finds out that it is ready
        ("wendelin.access", "PUT", "/erp5/api/v1/data-sets/brain", 201),
        ("wendelin.access", "GET", "/erp5/api/v1/data-sets/brain", 401),
    ]
    audit = [(tag, event["event"], event["user"], event["code"]) for tag, event in lines if "event" in event]
    assert audit == [("wendelin.audit", "change", "admin", 201), ("wendelin.audit", "login_refused", "admin", 401)]
    assert "secret" not in str(lines)
    assert (lake.directory / "log" / "access.log").read_text().count("\n") == 3
