"""Chunks that agents post to a policy."""

from __future__ import annotations

import gzip
import os
import zlib
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import quote

import msgpack
import pytest
import transaction
from backports import zstd

from Products.ERP5Wendelin.views import decoding
from Products.ERP5Wendelin.views.decoding import DecodedSource
from support.faults import Fault
from support.http_server import Server, basic, serve
from support.remote import remote_lake
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


# what agents send


JSON = b'[{"time": "2026-11-22T19:40:00Z", "level": 3}, {"level": 4}]'
LINES = b'{"date": 1700000000.5, "level": 3}\n{"level": 4}\n'
RECORDS = msgpack.packb([1700000000, {"level": 3}]) + msgpack.packb([1700000001, {"level": 4}])


@pytest.mark.parametrize(
    ("media_type", "body"),
    [
        ("application/json", JSON),
        ("application/x-ndjson", LINES),
        ("application/msgpack", RECORDS),
        ("application/x-msgpack", RECORDS),
        ("application/octet-stream", RECORDS),
        ("text/csv", b"1,2\n"),
        ("application/x-www-form-urlencoded", b"other=1&data_chunk=" + quote(RECORDS).encode()),
        (
            "multipart/form-data; boundary=b",
            b"--b\r\n%b\r\n\r\n" % b'Content-Disposition: form-data; name="data_chunk"',
        ),
    ],
)
def test_body_is_stored_as_it_is_whatever_its_type(server, media_type, body):
    expected = body
    if "form" in media_type:
        expected = RECORDS
    if "multipart" in media_type:
        body += RECORDS + b"\r\n--b--\r\n"
    assert ingest(server, "a", body, headers={"Content-Type": media_type}).status == 204
    assert stored(server, "a") == [expected]


@pytest.mark.parametrize(
    ("coding", "encode"), [("gzip", gzip.compress), ("deflate", zlib.compress), ("zstd", zstd.compress)]
)
def test_body_in_a_coding_is_stored_as_what_it_stands_for(server, coding, encode):
    for body in (LINES, RECORDS * 50_000):
        headers = {"Content-Encoding": coding, "Content-Type": "application/msgpack"}
        assert ingest(server, "a", encode(body), headers=headers).status == 204
    assert stored(server, "a") == [LINES + RECORDS * 50_000]


def test_gigabytes_in_a_few_bytes_are_413_without_being_decoded(server, monkeypatch):
    taken = []
    some = DecodedSource._some
    monkeypatch.setattr(DecodedSource, "_some", lambda self, size: taken.append(len(data := some(self, size))) or data)
    member = gzip.compress(bytes(2**26))
    answer = ingest(server, "a", member * 16, headers={"Content-Encoding": "gzip"})
    assert (answer.status, answer.data["detail"]) == (
        413,
        "What is sent at once may have at most 64 MiB. Send less at a time.",
    )
    assert sum(taken) <= 2**26 + 2**20
    assert stored(server, "a") == []


@pytest.mark.parametrize(("coding", "encode"), [("gzip", gzip.compress), ("zstd", zstd.compress)])
def test_more_members_than_anybody_needs_are_413_however_little_they_hold(server, monkeypatch, coding, encode):
    monkeypatch.setattr(decoding, "FRAMES", 3)
    answers = [ingest(server, "a", encode(b"") * count, headers={"Content-Encoding": coding}) for count in (3, 4)]
    assert [answer.status for answer in answers] == [204, 413]
    assert answers[1].data["detail"] == f"The body consists of more than 3 pieces in {coding}. Send it in fewer."


def test_body_that_is_not_what_its_coding_says_is_400_and_nothing_is_stored(server):
    answer = ingest(server, "a", RECORDS, headers={"Content-Encoding": "gzip"})
    assert (answer.status, answer.data["detail"]) == (
        400,
        "The body is not gzip: Error -3 while decompressing data: incorrect header check.",
    )
    assert stored(server, "a") == []


def test_tag_may_be_in_a_header_where_the_url_has_none(server):
    url = f"{server.portal}/portal_ingestion_policies/default/ingest"
    tag = "fühler.1"
    answer = server.request("POST", url, b"x", {"FLUENT-TAG": tag.encode().decode("latin-1")})
    assert answer.status == 204
    assert server.request("POST", f"{url}?reference={quote(tag)}", b"y", {"Fluent-Tag": "other"}).status == 204
    assert stored(server, tag) == [b"xy"]
    answer = server.request("POST", url, b"x", {"Fluent-Tag": "f\xfchler"})
    assert (answer.status, answer.data["detail"]) == (400, "The header Fluent-Tag is not UTF-8.")
    answer = server.request("POST", url, b"x")
    assert (answer.status, answer.data["detail"]) == (
        400,
        "The URL must say what is sent, as in ingest?reference=TAG.",
    )


def test_chunk_that_comes_again_with_its_key_is_answered_and_not_stored_again(server):
    for key, body in (
        ("5f1a", b"1"),
        ("5f1a", b"1"),
        ('"5f1a"', b"1"),
        ('"5f1a";a=1', b"1"),
        ("5f1b", b"2"),
        (r'"a\"b"', b"3"),
        (r'"a\"b"', b"3"),
        ("", b"4"),
        ("", b"4"),
    ):
        assert ingest(server, "a", body, headers={"Idempotency-Key": key}).status == 204
    assert stored(server, "a") == [b"12344"]


def test_one_key_with_everything_loses_nothing(server):
    for body in (b"1", b"2", b"2", b"3"):
        assert ingest(server, "a", body, headers={"Idempotency-Key": "agent"}).status == 204
    assert stored(server, "a") == [b"123"]


@pytest.mark.parametrize(
    ("key", "detail"),
    [
        (
            "${chunk_id}",
            "The header Idempotency-Key is '${chunk_id}': a placeholder that fluentd has not filled in. In the "
            "configuration of its output it belongs into headers_from_placeholders, and not into headers.",
        ),
        ('"5f', "The header Idempotency-Key is no string: write a quote or a backslash in it with a backslash."),
    ],
)
def test_key_that_can_t_be_one_is_400(server, key, detail):
    answer = ingest(server, "a", headers={"Idempotency-Key": key})
    assert (answer.status, answer.data["detail"]) == (400, detail)
    assert stored(server, "a") == []


# what may be taken later


def configure(server: Server, function) -> None:
    with server.lake.open("boss") as site:
        function(site)
        transaction.commit()


OPERATION = (
    lambda site: site.data_operation_module.wendelin_ingest_data.invalidate(),
    409,
    "Data Operation 'ingest-data' is invalidated: it takes data once it is validated again.",
)
SUPPLY = (
    lambda site: site.data_supply_module["default"].invalidate(),
    404,
    "No Data Supply takes the tag 'a' of Ingestion Policy 'default': none with the reference 'a' or 'default' is "
    "validated and in effect. Add or validate one, or change dates.",
)
FINDER = (
    lambda site: site.portal_ingestion_policies["default"].setScriptId("gone"),
    404,
    "There is no script 'gone', neither in the layers of portal_skins",
)


@pytest.mark.parametrize(("change", "status", "detail"), [OPERATION, SUPPLY, FINDER])
def test_what_the_administrator_has_to_mend_is_503_so_that_agents_keep_it(server, caplog, change, status, detail):
    configure(server, change)
    answer = ingest(server, "a")
    assert (answer.status, answer.headers["Retry-After"]) == (503, "1")
    assert answer.data["detail"].startswith(detail)
    assert ingest(server, "a").status == 503
    assert caplog.text.count(f"what an agent sends to the policy 'default' is not taken now: {detail}") == 1
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    answer = ingest(server, "a", b"data_chunk=x", headers=headers)
    assert (answer.status, answer.data["detail"].startswith(detail)) == (status, True)
    assert stored(server, "a") == []


def test_policy_that_is_a_draft_or_invalidated_is_404_so_that_agents_stop(server):
    configure(server, lambda site: site.portal_ingestion_policies["default"].invalidate())
    configure(server, lambda site: site.portal_ingestion_policies.newContent("Ingestion Policy", "new"))
    assert [ingest(server, "a", policy=policy).status for policy in ("default", "new")] == [404, 404]


def test_full_disk_is_503_and_the_chunk_is_taken_once_there_is_room(server, caplog):
    ingest(server, "a", b"0")
    storage = server.lake.db.storage
    storage._quota = storage.getSize() + 2**16
    data = os.urandom(2**18)
    answer = ingest(server, "a", data)
    assert (answer.status, answer.headers["Retry-After"]) == (503, "1")
    assert answer.data["detail"] == "The disk of the data lake is full: what is sent is taken once there is room."
    assert answer.data["detail"] in caplog.text
    storage._quota = None
    assert ingest(server, "a", data).status == 204
    assert stored(server, "a") == [b"0" + data]


def test_storage_out_of_reach_is_503_and_the_chunk_is_taken_once_it_is_back(data_fs, tmp_path):
    with remote_lake(data_fs, tmp_path) as (lake, network), serve(lake) as server:
        database = lake.db.storage
        assert ingest(server, "a", b"1").status == 204
        way = "{}:{}".format(*network.server)
        network.lead_to(None)
        network.faults.append(Fault("up", 0, "close"))
        answer = ingest(server, "a", b"2", headers={"Idempotency-Key": "2"})
        assert (answer.status, answer.headers["Retry-After"]) == (503, "1")
        network.lead_to(way)
        database._server.timeout = 60
        database.ping()  # waits until it is connected
        assert ingest(server, "a", b"2", headers={"Idempotency-Key": "2"}).status == 204
        assert stored(server, "a") == [b"12"]


def test_zope_s_own_users_may_send_as_well(server):
    with server.lake.open("system") as site:
        site.aq_parent.acl_users._doAddUser("root", "secret", ["Manager"], [])
        transaction.commit()
    for _ in range(2):
        headers = {"Authorization": basic("root", "secret"), "Idempotency-Key": "1"}
        assert ingest(server, "a", b"1", headers=headers, user=None).status == 204
    assert stored(server, "a") == [b"1"]
