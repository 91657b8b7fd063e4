"""Chunks that agents post to a policy."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from urllib.parse import quote

import msgpack
import pytest
import transaction

from support.http_server import Server
from support.scripts import add_script

SCRIPT = "DataIngestionLine_writeIngestionToDataStream"


def ingest(server: Server, tag: str, body: bytes = b"x", policy: str = "default", **options):
    return server.request(
        "POST", f"{server.portal}/portal_ingestion_policies/{policy}/ingest?reference={quote(tag)}", body, **options
    )


def stored(server: Server, tag: str) -> list[bytes]:
    with server.lake.open("ada") as site:
        return [each.getData() for each in site.data_stream_module.objectValues() if each.getReference() == tag]


def test_chunk_is_stored_and_answered_without_content(server):
    everything = bytes(range(256))
    answer = ingest(server, "sensor.product", everything)
    assert (answer.status, answer.body) == (204, b"")
    assert ingest(server, "sensor.product", b"more").status == 204
    assert stored(server, "sensor.product") == [everything + b"more"]


def test_policy_that_was_added_takes_chunks(server):
    with server.lake.open("boss") as site:
        site.portal_ingestion_policies.IngestionPolicyTool_addIngestionPolicy("factory", "Factory", batch_mode=1)
        transaction.commit()
    record = msgpack.packb([0, "1,2\n"])
    assert ingest(server, "factory.line", record, policy="factory").status == 204
    assert stored(server, "factory.line") == [record]


@pytest.mark.parametrize(
    ("tag", "policy", "user", "status"),
    [
        ("a..b", "default", "ada", 400),
        ("a.b", "none", "ada", 404),
        ("a.b", "default", "dan", 403),
        ("a.b", "default", None, 401),
    ],
)
def test_chunk_that_is_not_taken_is_answered_with_a_problem(server, tag, policy, user, status):
    answer = ingest(server, tag, policy=policy, user=user)
    assert (answer.status, answer.data["status"]) == (status, status)
    assert stored(server, tag) == []


def test_script_that_fails_is_500_and_the_answer_says_where(server, caplog):
    with server.lake.open("boss") as site:
        body = "out_stream['Data Stream'].appendData(data_chunk)\nreturn 1 / 0"
        add_script(site, SCRIPT, body, "data_chunk, out_stream")
        transaction.commit()
    answer = ingest(server, "sensor.product")
    assert answer.status == 500
    place = f"/erp5/portal_skins/custom/{SCRIPT}"
    assert answer.data["detail"].startswith(
        f"{place} failed in line 2: ZeroDivisionError: division by zero. The server's log has"
    )
    assert (answer.data["script"], answer.data["line"]) == (place, 2)
    assert answer.data["error_id"] in caplog.text
    assert f'"ERP5 Python Script:{place}", line 2' in caplog.text
    assert stored(server, "sensor.product") == []


def test_script_that_is_not_authorised_is_403_and_the_answer_says_where(server):
    with server.lake.open("boss") as site:
        add_script(site, SCRIPT, "import os", "data_chunk, out_stream")
        transaction.commit()
    answer = ingest(server, "sensor.product")
    assert answer.status == 403
    assert answer.data["detail"] == (f"import of 'os' is unauthorized (/erp5/portal_skins/custom/{SCRIPT}, line 1)")


def test_first_chunks_of_a_tag_from_many_agents_are_all_in_one_stream(server):
    def send(number):
        return ingest(server, "sensor.product", b"%d;" % number, user="eve" if number % 2 else "ada").status

    with ThreadPoolExecutor(6) as threads:
        assert list(threads.map(send, range(12))) == [204] * 12
    (data,) = stored(server, "sensor.product")
    assert sorted(data.split(b";")) == sorted([b"", *(b"%d" % number for number in range(12))])


def test_first_chunks_of_many_tags_are_each_in_their_stream(server):
    with ThreadPoolExecutor(6) as threads:
        assert list(threads.map(lambda number: ingest(server, f"s{number}.p").status, range(12))) == [204] * 12
    assert [stored(server, f"s{number}.p") for number in range(12)] == [[b"x"]] * 12
