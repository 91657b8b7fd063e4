"""The requests of the original ebulk, one by one; its whole session is in tests/functional."""

from __future__ import annotations

import base64
import hashlib
import itertools
import json
import threading
from datetime import timedelta
from urllib.parse import quote

import pytest
import transaction
from backports import zstd

from Products.ERP5Wendelin.content.arrival import Arrival
from Products.ERP5Wendelin.content.entry import Entry
from Products.ERP5Wendelin.content.upload import LIFETIME
from Products.ERP5Wendelin.errors import StorageFull
from Products.ERP5Wendelin.ingestion import ebulk, md5, pieces
from Products.ERP5Wendelin.protocol import MIB
from Products.ERP5Wendelin.storage.digest import RunningDigests
from Products.ERP5Wendelin.storage.stream import ByteStream
from Products.ERP5Wendelin.views.erp5 import listing
from support.manifests import DATE, files
from support.original_ebulk import OriginalEbulk, Refused
from support.site import PASSWORD

ALL = bytes(range(256))


@pytest.fixture(autouse=True)
def running_digests(monkeypatch):
    """Those of the databases of other tests, whose objects have the same ids, are not for this one."""
    monkeypatch.setattr(pieces, "_RUNNING", RunningDigests())


@pytest.fixture
def ada(server):
    return client(server, "ada")


def client(server, user=None, password=PASSWORD):
    return OriginalEbulk(server.portal, user, password)


def content(server, path, data_set="brain"):
    """A file as the new client reads it; None if there is none."""
    answer = server.request("GET", f"/data-sets/{data_set}/files/{quote(path)}")
    return answer.body if answer.status == 200 else None


def raises(error):
    raise error


def send_in_order(user, path, order, contents, **options):
    for eof in order:
        assert user.send("brain", path, contents[eof], eof, **options).status == 204


def refused(function, *arguments, **options):
    with pytest.raises(Refused) as caught:
        function(*arguments, **options)
    return caught.value


# sending


def test_constants_are_those_of_the_original(ada):
    assert ada.constants() == {
        "reference_separator": "/",
        "reference_length": 7,
        "single_end_suffix": "END",
        "split_first_suffix": "001",
        "split_end_suffix": "EOF",
        "none_extension": "none",
        "invalid_suffix": "_invalid",
        "invalid_chars": ["&", ";", "#", "%", '"', "+"],
        "complex_files_extensions": ["fif", "nii", ".nii/gz"],
    }


@pytest.mark.parametrize("policy", ["default_ebulk", "wendelin_embulk"])
@pytest.mark.parametrize("eof", ["", "END"])
@pytest.mark.parametrize("encoded", [True, False])
def test_whole_file_is_in_its_data_set_at_once(ada, server, policy, eof, encoded):
    answer = ada.send("brain", "scans/all bytes.bin", ALL * 3, eof, encoded=encoded, policy=policy)
    assert (answer.status, answer.content) == (204, b"")
    assert content(server, "scans/all bytes.bin") == ALL * 3
    assert ada.download("brain", "scans/all bytes.bin", chunk_size=100) == ALL * 3


def test_new_data_set_is_validated(ada, server):
    ada.send("brain", "a.txt", b"a")
    described = server.request("GET", "/data-sets/brain").data
    assert (described["state"], described["version"], described["file_count"]) == ("validated", 1, 1)


def test_data_set_that_a_first_piece_made_is_validated_and_has_no_file(ada, server):
    ada.send("brain", "a.txt", b"a", "001")
    described = server.request("GET", "/data-sets/brain").data
    assert (described["state"], described["version"], described["file_count"]) == ("validated", 0, 0)


def test_invalidated_data_set_is_validated_again(ada, server):
    ada.send("brain", "a.txt", b"a")
    assert server.request("DELETE", "/data-sets/brain").status == 204
    assert ada.list("brain") == {"status_code": 0, "result": []}
    assert ada.exists("brain", "a.txt") == "FALSE"
    ada.send("brain", "b.txt", b"b")
    assert server.request("GET", "/data-sets/brain").data["state"] == "validated"
    assert ada.references("brain") == ["brain/a/txt", "brain/b/txt"]


def test_file_sent_again_is_replaced_and_the_older_version_stays(ada, server):
    for text in (b"one", b"two"):
        ada.send("brain", "a.txt", text)
    assert ada.download("brain", "a.txt") == b"two"
    assert server.request("GET", "/data-sets/brain/files/a.txt?version=1").body == b"one"


def test_empty_file_is_a_file(ada):
    ada.send("brain", "empty", b"")
    assert ada.download("brain", "empty") == b""
    assert ada.list("brain")["result"][0]["hash"] == hashlib.md5(b"", usedforsecurity=False).hexdigest()


def test_file_larger_than_a_transaction_of_small_ones_arrives(ada, server):
    data = ALL * 4096 * 5
    ada.send("brain", "large.bin", data)
    assert content(server, "large.bin") == data
    assert ada.list("brain")["result"][0]["hash"] == hashlib.md5(data, usedforsecurity=False).hexdigest()


@pytest.mark.parametrize("path", ["a", "a.b.tar.gz", ".hidden", "two words.txt", "é/ü.txt", "d.e/f", "a."])
def test_name_arrives_as_it_is(ada, server, path):
    ada.upload("brain", path, b"x", None)
    assert content(server, path) == b"x"
    assert ada.references("brain") == [ada.ingestion_reference("brain", path)]


def test_reference_is_listed_as_it_was_sent(ada, server):
    ada.post("portal_ingestion_policies/default_ebulk/ingest", b"x", reference="lab/brain/a/tar.gz/END//")
    assert ada.references("brain") == ["brain/a/tar.gz"]
    assert content(server, "a.tar.gz") == b"x"
    ada.send("brain", "a.tar.gz", b"y")
    assert ada.references("brain") == ["brain/a.tar/gz"]


def test_path_as_long_as_paths_may_be_arrives(ada, server):
    path = "/".join(["d" * 200] * 20) + "/a.txt"
    ada.send("brain", path, b"x")
    assert content(server, path) == b"x"
    assert ada.download("brain", path) == b"x"


def test_ingestion_has_the_lines_of_its_supply(ada, lake):
    ada.send("brain", "a.txt", b"abc")
    with lake.open() as site:
        (ingestion,) = site.data_ingestion_module.objectValues()
        data_set = site.data_set_module.getDataSet("brain")
        stream = data_set.getDataStream("a.txt")
        assert (ingestion.getReference(), ingestion.getSimulationState()) == ("brain/a/txt", "stopped")
        assert ingestion.getSpecialise() == "data_supply_module/default_ebulk"
        assert ingestion.result == {"version": 1, "added": 1, "modified": 0, "removed": 0}
        operation, output = ingestion.objectValues()
        assert (operation.getReference(), operation.getResource()) == (
            "ingestion_operation",
            "data_operation_module/ingestion_operation",
        )
        assert (output.getReference(), output.getResource()) == ("out_stream", "data_product_module/ebulk_file")
        assert output.getAggregateList() == [stream.getRelativeUrl(), data_set.getRelativeUrl()]
        assert [each.getData() for each in output.getAggregateValueList(portal_type="Data Stream")] == [b"abc"]


# pieces


CONTENTS = {"001": b"1" * 300, "002": ALL, "003": b"", "EOF": b"the end"}
WHOLE = b"".join(CONTENTS.values())


@pytest.mark.parametrize("order", [order for order in itertools.permutations(CONTENTS) if order[-1] != "EOF"])
def test_pieces_in_any_order_make_the_file_once_all_are_here(ada, server, order):
    send_in_order(ada, "a.bin", order[:-1], CONTENTS, size=str(len(WHOLE)))
    if order[-1] != "003":  # of no bytes: without it the size is reached
        assert content(server, "a.bin") is None
    send_in_order(ada, "a.bin", order[-1:], CONTENTS, size=str(len(WHOLE)))
    assert content(server, "a.bin") == WHOLE
    assert ada.download("brain", "a.bin") == WHOLE


@pytest.mark.parametrize("order", list(itertools.permutations(["001", "002", "EOF"])))
def test_pieces_without_a_size_make_the_file_in_any_order(ada, server, order):
    send_in_order(ada, "a.bin", order, CONTENTS)
    assert content(server, "a.bin") == CONTENTS["001"] + CONTENTS["002"] + CONTENTS["EOF"]
    assert ada.download("brain", "a.bin") == CONTENTS["001"] + CONTENTS["002"] + CONTENTS["EOF"]


def test_nothing_is_visible_before_the_last_piece(ada, server):
    for eof in ("001", "002"):
        ada.send("brain", "a.bin", CONTENTS[eof], eof)
        assert ada.count("brain") == 0
    ada.send("brain", "a.bin", b"", "EOF")
    assert ada.count("brain") == 1
    assert server.request("GET", "/data-sets/brain").data["version"] == 1


def test_last_piece_alone_waits_for_the_first(ada, server):
    ada.send("brain", "a.bin", b"end", "EOF")
    assert ada.count("brain") == 0
    ada.send("brain", "a.bin", b"begin ", "001")
    assert content(server, "a.bin") == b"begin end"


def test_last_piece_that_is_the_announced_file_completes_it(ada, server):
    ada.send("brain", "a.bin", b"all", "EOF", size="3")
    assert content(server, "a.bin") == b"all"


@pytest.mark.parametrize("again", ["002", "EOF"])
@pytest.mark.parametrize("when", ["before", "after"])
def test_piece_sent_again_changes_nothing(ada, server, again, when):
    order = ["001", "EOF", again, "002"] if when == "before" else ["001", "002", "EOF", again]
    contents = {**CONTENTS, "EOF": b"e"}
    if when == "before" and again == "002":
        order = ["002", "002", "001", "EOF"]
    send_in_order(ada, "a.bin", order, contents)
    assert content(server, "a.bin") == contents["001"] + contents["002"] + contents["EOF"]
    assert ada.exists("brain", "a.bin") == "TRUE"


@pytest.mark.parametrize("order", [["001", "002", "003"], ["002", "001", "003"], ["003", "002", "001"]])
@pytest.mark.parametrize("changed", ["002", "003"])
def test_other_piece_takes_the_place_of_the_one_before(ada, server, order, changed):
    send_in_order(ada, "a.bin", order, {**CONTENTS, "003": b"3" * 10})
    ada.send("brain", "a.bin", b"changed", changed)
    ada.send("brain", "a.bin", b"end", "EOF")
    expected = {**CONTENTS, "003": b"3" * 10, "EOF": b"end", changed: b"changed"}
    assert content(server, "a.bin") == b"".join(expected.values())
    assert ada.download("brain", "a.bin") == b"".join(expected.values())


def test_first_piece_again_starts_the_file_over(ada, server):
    send_in_order(ada, "a.bin", ["001", "002"], CONTENTS)
    ada.send("brain", "a.bin", CONTENTS["001"], "001")
    ada.send("brain", "a.bin", b"end", "EOF")
    assert content(server, "a.bin") == CONTENTS["001"] + b"end"


def test_whole_file_takes_the_place_of_pieces(ada, server):
    send_in_order(ada, "a.bin", ["001", "002"], CONTENTS)
    ada.send("brain", "a.bin", b"whole")
    assert content(server, "a.bin") == b"whole"
    ada.send("brain", "a.bin", b"end", "EOF")
    assert content(server, "a.bin") == b"whole"


def test_file_is_replaced_in_pieces_by_a_shorter_and_by_a_longer_one(ada, server):
    send_in_order(ada, "a.bin", ["001", "002", "EOF"], CONTENTS)
    send_in_order(ada, "a.bin", ["001", "EOF"], CONTENTS, size="307")
    assert content(server, "a.bin") == CONTENTS["001"] + CONTENTS["EOF"]
    new = {"003": b"3", "EOF": b"4", "001": b"1", "002": b"2"}
    send_in_order(ada, "a.bin", new, new, size="4")
    assert content(server, "a.bin") == b"1234"


def test_piece_of_a_removed_file_begins_it_again(ada, server):
    send_in_order(ada, "a.bin", ["001", "EOF"], CONTENTS)
    ada.remove("brain", "a.bin")
    ada.send("brain", "a.bin", CONTENTS["EOF"], "EOF")
    assert content(server, "a.bin") is None


def test_pieces_at_the_same_time_are_put_together(ada, server):
    contents = {f"{number:03d}": bytes([number]) * (MIB + number) for number in range(1, 9)}
    problems = []

    def send(eof):
        try:
            ada.send("brain", "a.bin", contents[eof], eof)
        except Exception as error:
            problems.append(error)

    threads = [threading.Thread(target=send, args=(eof,)) for eof in reversed(contents)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    ada.send("brain", "a.bin", b"end", "EOF")
    assert problems == []
    assert content(server, "a.bin") == b"".join(contents.values()) + b"end"
    assert ada.download("brain", "a.bin", chunk_size=4 * MIB) == b"".join(contents.values()) + b"end"


def test_md5_is_right_though_the_server_forgot_what_it_was_computing(ada, monkeypatch):
    ada.send("brain", "a.bin", ALL, "001")
    monkeypatch.setattr(pieces, "_RUNNING", RunningDigests())
    ada.send("brain", "a.bin", ALL, "002")
    ada.send("brain", "a.bin", b"end", "EOF")
    assert ada.download("brain", "a.bin") == ALL * 2 + b"end"


def test_server_that_can_not_read_all_in_one_request_says_to_send_the_last_piece_again(ada, server, monkeypatch):
    ada.send("brain", "a.bin", ALL, "001")
    monkeypatch.setattr(pieces, "_RUNNING", RunningDigests())
    monkeypatch.setattr(pieces, "CATCH_UP_LIMIT", 100)
    monkeypatch.setattr(pieces, "LAST_CATCH_UP_LIMIT", 100)
    error = refused(ada.send, "brain", "a.bin", b"end", "EOF")
    assert (error.status, error.detail) == (
        503,
        "The server verifies 'a.bin': it has read 200 of 259 bytes, and goes on from there. Send the last piece again.",
    )
    assert ada.exists("brain", "a.bin", "EOF") == "TRUE"
    ada.send("brain", "a.bin", b"end", "EOF")
    assert content(server, "a.bin") == ALL + b"end"


def test_piece_that_a_killed_server_stored_half_of_is_stored_again(ada, server, lake):
    ada.send("brain", "a.bin", ALL, "001")
    with lake.open("system") as site:
        arrival = site.data_set_module.getDataSet("brain").getArrival("a.bin")
        arrival.stream.append(b"half")
        arrival.offset = arrival.stream.size
        transaction.commit()
    ada.send("brain", "a.bin", b"half and half", "002")
    ada.send("brain", "a.bin", b"end", "EOF")
    assert ada.download("brain", "a.bin") == ALL + b"half and halfend"


def test_file_whose_pieces_are_here_when_the_server_was_killed_is_finished_later(ada, server, lake, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(ebulk, "_finish", lambda *arguments: None)
        send_in_order(ada, "a.bin", ["001", "EOF"], CONTENTS)
    assert ada.exists("brain", "a.bin") == "TRUE"
    assert content(server, "a.bin") is None
    with lake.open("system") as site:
        assert ebulk.drop_expired(site) == (0, [])
    assert content(server, "a.bin") == CONTENTS["001"] + CONTENTS["EOF"]
    assert server.request("GET", "/data-sets/brain/versions").data["items"][0]["author"] == "ada"


def arrivals(site):
    return list(site.data_set_module.getDataSet("brain").arrivals())


def states(site):
    return sorted(each.getSimulationState() for each in site.data_ingestion_module.objectValues())


def test_abandoned_pieces_expire_and_finished_ones_are_forgotten(ada, server, lake, monkeypatch):
    send_in_order(ada, "abandoned.bin", ["001", "002"], CONTENTS)
    send_in_order(ada, "finished.bin", ["001", "EOF"], CONTENTS)
    with lake.open("system") as site:
        assert ebulk.drop_expired(site) == (0, [])
        assert (len(arrivals(site)), states(site)) == (2, ["started", "stopped"])
        for arrival in arrivals(site):
            arrival.modified -= LIFETIME + timedelta(seconds=1)
        transaction.commit()
        assert ebulk.drop_expired(site) == (1, [])
        assert (arrivals(site), states(site)) == ([], ["cancelled", "stopped"])
    assert ada.references("brain") == ["brain/finished/bin"]


def test_ingestion_lives_as_long_as_its_pieces_come(ada, server, lake):
    ada.send("brain", "a.bin", ALL, "001")
    with lake.open("system") as site:
        (ingestion,) = site.data_ingestion_module.objectValues()
        ingestion.modified -= LIFETIME - timedelta(seconds=60)
        transaction.commit()
        before = ingestion.expires
    ada.send("brain", "a.bin", ALL, "002")
    with lake.open("system") as site:
        (ingestion,) = site.data_ingestion_module.objectValues()
        assert ingestion.expires > before + timedelta(days=6)


def test_form_may_come_in_a_content_coding(ada, server):
    body = zstd.compress(b"data_chunk=" + base64.b64encode(ALL))
    headers = {"Content-Type": "application/x-www-form-urlencoded", "Content-Encoding": "zstd"}
    path = "portal_ingestion_policies/default_ebulk/ingest"
    answer = ada.ask("POST", path, body, headers, reference=ada.reference("brain", "a.bin", "END"))
    assert (answer.status, content(server, "a.bin")) == (204, ALL)


def test_piece_of_what_was_cancelled_begins_anew(ada, server, lake):
    send_in_order(ada, "a.bin", ["001", "002"], CONTENTS)
    (started,) = server.request("GET", "/data-sets/brain/ingestions?state=started").data["items"]
    assert server.request("DELETE", f"/data-sets/brain/ingestions/{started['id']}").status == 204
    ada.send("brain", "a.bin", b"end", "EOF")
    assert content(server, "a.bin") is None


def test_piece_of_a_file_that_is_begun_again_meanwhile_is_refused(ada, server, monkeypatch):
    ada.send("brain", "a.bin", ALL, "001")
    stored = Arrival.is_next

    def begun_again(arrival, number, size):
        monkeypatch.setattr(Arrival, "is_next", stored)
        ada.send("brain", "a.bin", ALL, "001")
        return stored(arrival, number, size)

    monkeypatch.setattr(Arrival, "is_next", begun_again)
    error = refused(ada.send, "brain", "a.bin", b"2", "002")
    assert (error.status, error.detail) == (
        409,
        "'a.bin' was begun again meanwhile, by another request: this piece belongs to what was before.",
    )


# what is refused


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        (b"data_chunk=QUI*", "data_chunk is not base64: character 4 of it, '*', does not belong there."),
        (b"", "The form has no field data_chunk. What is no form goes with another Content-Type."),
        (
            b"data_chunk=" + base64.b64encode(bytes(3 * MIB)) + b"*",
            f"data_chunk is not base64: character {4 * MIB + 1} of it, '*', does not belong there.",
        ),
    ],
)
@pytest.mark.parametrize("eof", ["END", "001"])
def test_malformed_body_is_refused_and_nothing_of_it_stays(ada, server, lake, body, problem, eof):
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    reference = ada.reference("brain", "a.bin", eof)
    answer = ada.ask("POST", "portal_ingestion_policies/default_ebulk/ingest", body, form, reference=reference)
    assert (answer.status, json.loads(answer.content)["detail"].partition(" (/erp5")[0]) == (400, problem)
    with lake.open() as site:
        assert site.data_set_module.getDataSet("brain") is None
        assert states(site) == []


@pytest.mark.parametrize(
    ("reference", "problem"),
    [
        ("lab/brain/a/txt", "The reference 'lab/brain/a/txt' has 4 parts, and must have at least 7"),
        ("lab/brain/a;b/txt/END//", "The reference 'lab/brain/a;b/txt/END//' has the character ';'. Forbidden"),
        ("lab/brain/../txt/END//", "The path '...txt' has"),
        ("lab/brain/../b/txt/END//", "The path '../b.txt' has the segment '..', which no file can be named"),
        ("", "The URL must say what is sent, as in ingest?reference=TAG."),
    ],
)
def test_malformed_reference_is_refused_with_the_reason(ada, lake, reference, problem):
    if reference == "lab/brain/../txt/END//":
        ada.post("portal_ingestion_policies/default_ebulk/ingest", b"x", reference=reference)  # is '...txt'
        return
    error = refused(ada.post, "portal_ingestion_policies/default_ebulk/ingest", b"x", reference=reference)
    assert error.status == 400
    assert error.detail.startswith(problem)
    with lake.open() as site:
        assert site.data_set_module.getDataSet("brain") is None


def test_file_and_folder_of_one_name_are_refused(ada, server):
    ada.send("brain", "a", b"x")
    assert refused(ada.send, "brain", "a/b.txt", b"y").status == 409
    assert content(server, "a") == b"x"


@pytest.mark.parametrize(("user", "status"), [(None, 401), ("dan", 403), ("ada:wrong", 401)])
def test_who_may_not_push_is_refused(server, lake, user, status):
    name, _, password = (user or "").partition(":")
    other = client(server, name or None, password or PASSWORD)
    for eof in ("END", "001"):
        assert refused(other.send, "brain", "a.txt", b"x", eof).status == status
    with lake.open() as site:
        assert site.data_set_module.getDataSet("brain") is None


def test_unknown_policy_and_get_are_refused(ada):
    for name in ("nobody", "manage_main", "title"):
        assert refused(ada.send, "brain", "a.txt", b"x", policy=name).status == 404
    assert ada.ask("GET", "portal_ingestion_policies/default_ebulk/ingest", reference="x").status == 405


def test_policy_without_its_supply_says_what_to_install(ada, lake):
    with lake.open("boss") as site:
        site.data_supply_module.default_ebulk.invalidate()
        transaction.commit()
    error = refused(ada.send, "brain", "a.txt", b"x")
    assert error.status == 404
    assert error.detail.startswith(
        "There is no Data Supply default_ebulk in use. Validate it, or install the business template "
        "erp5_wendelin_data_lake_ingestion."
    )


def test_site_without_the_script_has_no_such_address(ada, lake):
    with lake.open("boss") as site:
        site.portal_skins.erp5_wendelin_data_lake._delObject("ERP5Site_getDataStreamCount")
        transaction.commit()
    error = refused(ada.count, "brain")
    assert error.status == 404
    assert error.detail.startswith("There is no script 'ERP5Site_getDataStreamCount'")


def test_script_that_an_administrator_customised_answers(ada, lake):
    with lake.open("boss") as site:
        script = site.portal_skins.erp5_wendelin_data_lake.ERP5Site_getDataStreamCount
        script.ZPythonScript_edit("data_set_reference", "return {'status_code': 0, 'result': 7}")
        transaction.commit()
    assert ada.count("brain") == 7


# asking


@pytest.mark.parametrize("name", ["ERP5Site_checkIngestionReferenceExists", "ERP5Site_ingestionReferenceExists"])
def test_known_file_exists_unless_it_is_said_to_be_modified(ada, name):
    ada.send("brain", "a.txt", b"x")
    for reference, answer in {
        "lab/brain/a/txt/END//": b"TRUE",
        "lab/brain/a/txt/001//": b"TRUE",
        "lab/brain/a/txt/END/1/": b"FALSE",
        "lab/brain/b/txt/END//": b"FALSE",
        "lab/heart/a/txt/END//": b"FALSE",
    }.items():
        assert ada.get(name, reference=reference) == answer


@pytest.mark.parametrize("eof", ["001", "002", "EOF", "END", ""])
def test_unfinished_file_does_not_exist(ada, eof):
    ada.send("brain", "a.txt", b"x", "001")
    assert ada.exists("brain", "a.txt", eof) == "FALSE"
    ada.send("brain", "a.txt", b"y", "EOF")
    assert ada.exists("brain", "a.txt", eof) == "TRUE"


def test_file_that_the_user_may_not_see_does_not_exist(ada, server):
    ada.send("brain", "a.txt", b"x")
    assert client(server, "dan").exists("brain", "a.txt") == "TRUE"
    assert client(server).exists("brain", "a.txt") == "FALSE"


def test_missing_parameter_is_named(ada):
    error = refused(ada.get, "ERP5Site_getDataStreamList")
    assert (error.status, error.detail) == (400, "ERP5Site_getDataStreamList needs the parameter 'data_set_reference'.")


def test_list_has_each_file_as_one_stream(ada, lake):
    send_in_order(ada, "a b.bin", ["001", "002", "EOF"], CONTENTS)
    data = CONTENTS["001"] + CONTENTS["002"] + CONTENTS["EOF"]
    with lake.open() as site:
        data_set = site.data_set_module.getDataSet("brain")
        id = data_set.getDataStream("a b.bin").getRelativeUrl()
    stream = {"id": id, "size": len(data), "hash": hashlib.md5(data, usedforsecurity=False).hexdigest()}
    assert ada.list("brain") == {
        "status_code": 0,
        "result": [{"reference": "brain/a b/bin", **stream}],
        "result_dict": {
            "brain/a b/bin": {
                "data-stream-list": [stream],
                "large-hash": stream["hash"],
                "full-size": stream["size"],
            }
        },
    }
    assert ada.count("brain") == 1


def test_unknown_data_set_is_an_empty_list(ada):
    assert ada.list("nothing") == {"status_code": 0, "result": []}
    assert ada.count("nothing") == 0


@pytest.mark.parametrize("user", [None, "ada:wrong"])
@pytest.mark.parametrize("name", ["ERP5Site_getDataStreamList", "ERP5Site_getDataStreamCount"])
def test_data_set_that_may_not_be_seen_is_an_error_in_a_200(ada, server, user, name):
    ada.send("brain", "a.txt", b"x")
    other, _, password = (user or "").partition(":")
    answer = client(server, other or None, password).ask("GET", name, data_set_reference="brain")
    assert answer.status == 200
    assert json.loads(answer.content) == {
        "status_code": 1,
        "error_message": "401 - Unauthorized access. Please check your user credentials and try again.",
    }


def test_folders_and_links_of_the_new_client_are_no_files(ada, server, lake):
    ada.send("brain", "a.txt", b"x")
    push = server.request("POST", "/data-sets/brain/ingestions", {}).headers["Location"]
    empty = f"sha-256:{hashlib.sha256().hexdigest()}"
    folder = {"path": "raw", "size": 0, "digest": empty, "mode": "040000"}
    assert server.request("POST", f"{push}/plan", {"files": [folder]}).status == 200
    assert server.request("POST", f"{push}/stop").status == 200
    assert (ada.count("brain"), ada.references("brain")) == (1, ["brain/a/txt"])


def stage(site, contents):
    """Commit files as the new client's pushes do: without md5."""
    entries = {}
    for path, data in contents.items():
        stream = ByteStream()
        stream.append(data)
        entries[path] = Entry(stream, 0, len(data), hashlib.sha256(data).digest(), 1)
    data_set = site.data_set_module.getDataSet("brain") or site.data_set_module.newDataSet("brain")
    data_set.commit(files(entries), [], "ada", "", DATE)
    transaction.commit()
    return data_set


def test_md5_of_what_the_new_client_pushed_is_computed_when_it_is_listed(ada, lake):
    with lake.open() as site:
        stage(site, {"a": b"aa", "b": b"bb"})
    assert ada.download("brain", "a") == b"aa"
    with lake.open() as site:
        data_set = site.data_set_module.getDataSet("brain")
        known = data_set.getMd5(hashlib.sha256(b"bb").digest())
        assert known == hashlib.md5(b"bb", usedforsecurity=False).digest()


def test_md5_is_computed_in_bounded_portions(lake, monkeypatch):
    monkeypatch.setattr(md5, "BATCH", 1)
    with lake.open() as site:
        data_set = stage(site, {"a": b"a" * 60, "b": b"b" * 50, "c": b"c" * 40, "same": b"a" * 60})
        assert md5.compute_missing(lake.db, data_set, 30, whole_files=False) == (0, 4)
        assert md5.compute_missing(lake.db, data_set, 100) == (2, 1)
        assert md5.compute_missing(lake.db, data_set, 10) == (1, 0)
        assert md5.compute_missing(lake.db, data_set, 10) == (0, 0)


def test_md5_is_computed_while_files_leave_the_data_set(lake, monkeypatch):
    monkeypatch.setattr(md5, "BATCH", 1)
    paths = [f"{number:02d}" for number in range(100)]
    with lake.open() as site:
        data_set = stage(site, {path: path.encode() for path in paths})
    computed = md5._md5_of

    def removed_meanwhile(*arguments):
        monkeypatch.setattr(md5, "_md5_of", computed)
        with lake.open() as other:
            other.data_set_module.getDataSet("brain").commit(files({}), paths[1:], "ada", "", DATE)
            transaction.commit()
        return computed(*arguments)

    monkeypatch.setattr(md5, "_md5_of", removed_meanwhile)
    with lake.open() as site:
        data_set = site.data_set_module.getDataSet("brain")
        assert md5.compute_missing(lake.db, data_set, 1000) == (100, 0)


def test_md5_of_a_file_is_given_up_in_its_middle_when_that_is_asked_for(lake):
    with lake.open() as site:
        data_set = stage(site, {"a": b"a", "b": bytes(6 * MIB), "c": b"c"})
        asked = iter([True] * 3)
        assert md5.compute_missing(lake.db, data_set, 10 * MIB, keep_going=lambda: next(asked, False)) == (1, 1)
        transaction.begin()
        known = [path for path in "abc" if data_set.getMd5(data_set.manifest.get(path).digest)]
        assert known == ["a"]


def test_files_are_listed_though_the_disk_has_no_room_for_their_md5(ada, lake, monkeypatch):
    with lake.open() as site:
        stage(site, {"a": b"aa"})
    monkeypatch.setattr(md5, "in_transaction", lambda *arguments, **options: raises(StorageFull("The disk is full.")))
    (found,) = ada.list("brain")["result"]
    assert (found["reference"], found["size"], found["hash"]) == ("brain/a/none", 2, "")


@pytest.mark.parametrize(
    ("start", "end", "found"),
    [
        ("0", "10", ALL[:10]),
        ("0.0", "10.0", ALL[:10]),
        ("250", "1e3", ALL[250:]),
        ("256", "300", b""),
        ("1000", "2000", b""),
        ("5", "5", b""),
        ("10", "5", b""),
    ],
)
def test_chunk_is_the_bytes_between_two_offsets(ada, start, end, found):
    ada.send("brain", "a.bin", ALL)
    (stream,) = ada.list("brain")["result"]
    assert ada.get("ERP5Site_getDataStreamChunk", id=stream["id"], start_offset=start, end_offset=end) == found


def test_chunk_is_sent_as_bytes_that_no_browser_runs(ada):
    ada.send("brain", "a.html", b"<script>")
    (stream,) = ada.list("brain")["result"]
    for path, query in (("ERP5Site_getDataStreamChunk", {"id": stream["id"]}), (f"{stream['id']}/getData", {})):
        answer = ada.ask("GET", path, **query)
        assert answer.content == b"<script>"
        assert answer.headers["Content-Type"] == "application/octet-stream"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize("offset", ["-1", "nan", "x", ""])
def test_offset_that_is_none_is_refused(ada, offset):
    ada.send("brain", "a.bin", ALL)
    (stream,) = ada.list("brain")["result"]
    error = refused(ada.get, "ERP5Site_getDataStreamChunk", id=stream["id"], start_offset=offset, end_offset="1")
    assert error.status == 400
    assert error.detail.startswith("start_offset must be a number from 0.")


@pytest.mark.parametrize("id", ["data_stream_module/x", "data_set_module/x", "acl_users", "../x"])
def test_unknown_stream_is_not_found(ada, id):
    error = refused(ada.get, "ERP5Site_getDataStreamChunk", id=id, start_offset="0", end_offset="1")
    assert error.status == 404
    assert "that you may see. Ask for the list again." in error.detail


def test_buckets_are_no_bytes_to_download(ada, lake):
    with lake.open() as site:
        site.data_stream_module.newContent("Data Bucket Stream", id="flights").validate()
        transaction.commit()
    assert ada.ask("GET", "data_stream_module/flights/getData").status == 404
    assert refused(ada.chunk, "data_stream_module/flights", 0, 1).status == 404


def test_stream_stays_what_it_was_when_its_file_is_replaced(ada):
    ada.send("brain", "a.bin", b"old")
    (stream,) = ada.list("brain")["result"]
    ada.send("brain", "a.bin", b"newer")
    assert ada.get(f"{stream['id']}/getData") == b"old"
    assert ada.chunk(stream["id"], 0, 100) == b"old"


def test_all_bytes_of_a_stream_come_in_ranges_too(ada):
    ada.send("brain", "a.bin", ALL)
    (stream,) = ada.list("brain")["result"]
    whole = ada.ask("GET", f"{stream['id']}/getData")
    assert (whole.content, whole.headers["Content-Length"]) == (ALL, "256")
    some = ada.ask("GET", f"{stream['id']}/getData", headers={"Range": "bytes=250-"})
    assert (some.status, some.content, some.headers["Content-Range"]) == (206, ALL[250:], "bytes 250-255/256")
    head = ada.ask("HEAD", f"{stream['id']}/getData")
    assert (head.status, head.content, head.headers["Content-Length"]) == (200, b"", "256")
    same = ada.ask("GET", f"{stream['id']}/getData", headers={"If-None-Match": whole.headers["ETag"]})
    assert same.status == 304


def test_stream_of_an_agent_is_read_at_the_same_addresses(ada, lake):
    with lake.open() as site:
        stream = site.data_stream_module.newContent("Data Stream", id="log", reference="log")
        stream.appendData(b"line one\n")
        transaction.commit()
    assert ada.get("data_stream_module/log/getData") == b"line one\n"
    assert ada.chunk("data_stream_module/log", 5, 8) == b"one"


def test_stream_of_a_private_data_set_takes_an_account(ada, server):
    ada.send("brain", "a.bin", ALL)
    (stream,) = ada.list("brain")["result"]
    assert client(server).ask("GET", f"{stream['id']}/getData").status == 401
    assert server.request("POST", "/data-sets/brain/state", {"transition": "publish"}).status == 200
    assert client(server).ask("GET", f"{stream['id']}/getData").content == ALL
    assert client(server).chunk(stream["id"], 0, 2) == ALL[:2]


# changing


def test_removed_file_leaves_its_data_set(ada, server):
    ada.send("brain", "a.txt", b"x")
    ada.remove("brain", "a.txt")
    assert content(server, "a.txt") is None
    assert ada.exists("brain", "a.txt") == "FALSE"
    ada.remove("brain", "a.txt")
    assert server.request("GET", "/data-sets/brain").data["version"] == 2


def test_removing_a_file_drops_its_pieces(ada, server):
    ada.send("brain", "a.txt", b"x", "001")
    ada.remove("brain", "a.txt")
    ada.send("brain", "a.txt", b"y", "EOF")
    assert content(server, "a.txt") is None


def test_renamed_file_keeps_content_and_md5(ada, server):
    ada.send("brain", "a.txt", ALL)
    ada.rename("brain", "a.txt", "b/c.d.bin")
    assert content(server, "a.txt") is None
    assert ada.download("brain", "b/c.d.bin") == ALL
    assert ada.references("brain") == ["brain/b/c.d/bin"]


def test_file_is_renamed_into_another_data_set(ada, server):
    ada.send("brain", "a.txt", ALL)
    ada.send("heart", "b.txt", b"b")
    ada.get("ERP5Site_renameIngestion", reference="brain/a/txt", new_reference="heart/a/txt")
    assert ada.count("brain") == 0
    assert ada.download("heart", "a.txt") == ALL


def test_renaming_from_or_to_the_wrong_name_is_an_error(ada):
    ada.send("brain", "a.txt", b"a")
    ada.send("brain", "b.txt", b"b")
    unknown = refused(ada.rename, "brain", "c.txt", "d.txt")
    assert (unknown.status, unknown.detail) == (404, "'brain' has no file 'c.txt' to rename.")
    taken = refused(ada.rename, "brain", "a.txt", "b.txt")
    assert (taken.status, taken.detail) == (
        409,
        "'brain' has a file 'b.txt' already. Choose another name, or remove that first.",
    )
    assert refused(ada.rename, "heart", "a.txt", "b.txt").status == 404


def test_version_counts_three_digits(ada, lake):
    ada.send("brain", "a.txt", b"a")
    with lake.open() as site:
        assert site.data_set_module.getDataSet("brain").getDatasetVersion() == "000"
    assert [ada.increase_version("brain") for _ in range(2)] == [b"001", b"002"]
    with lake.open() as site:
        assert site.data_set_module.getDataSet("brain").getDatasetVersion() == "002"


def test_description_is_set(ada, server):
    ada.send("brain", "a.txt", b"a")
    assert ada.describe("brain", "Scans of Zürich + more") == {
        "status_code": 0,
        "message": "The description of brain is set.",
    }
    assert server.request("GET", "/data-sets/brain").data["description"] == "Scans of Zürich + more"
    assert ada.describe("heart", "x") == {
        "status_code": 1,
        "message": "There is no data set 'heart' that you may see. Check the spelling.",
    }


def test_description_that_is_no_text_is_refused(ada):
    ada.send("brain", "a.txt", b"a")
    error = refused(ada.post, "ERP5Site_setDatasetDescription", b"\xff", dataset="brain")
    assert error.status == 400
    assert error.detail.startswith("data_chunk must be text in UTF-8, in base64.")


def test_metadata_of_a_file_is_json(ada, lake):
    ada.send("brain", "a.txt", b"abc")
    found = ada.metadata("brain", "a.txt")
    assert {name: found[name] for name in ("reference", "data_set", "path", "size", "digest", "md5", "mode")} == {
        "reference": "brain/a/txt",
        "data_set": "brain",
        "path": "a.txt",
        "size": 3,
        "digest": f"sha-256:{hashlib.sha256(b'abc').hexdigest()}",
        "md5": hashlib.md5(b"abc", usedforsecurity=False).hexdigest(),
        "mode": "100644",
    }
    assert ada.metadata("brain", "b.txt") == {"metadata": "No metadata available for this type of file yet"}


CHANGES = {
    "ERP5Site_invalidateIngestionObjects": {"reference": "brain/a/txt"},
    "ERP5Site_renameIngestion": {"reference": "brain/a/txt", "new_reference": "brain/b/txt"},
    "ERP5Site_increaseDatasetVersion": {"reference": "brain"},
    "ERP5Site_setDatasetDescription": {"dataset": "brain", "data_chunk": "eA=="},
}


def unchanged(lake):
    with lake.open() as site:
        data_set = site.data_set_module.getDataSet("brain")
        return (data_set.getVersion(), data_set.getDatasetVersion(), data_set.getDescription()) == (1, "000", "")


@pytest.mark.parametrize("name", list(CHANGES))
@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Origin": "https://evil.example"},
        {"Referer": "https://evil.example/page"},
    ],
    ids=lambda headers: next(iter(headers)),
)
def test_change_that_another_site_asks_for_is_refused_as_get_too(ada, lake, name, headers):
    ada.send("brain", "a.txt", b"x")
    answer = ada.ask("GET", name, headers=headers, **CHANGES[name])
    assert answer.status == 403
    assert "another site asked for this change." in json.loads(answer.content)["detail"]
    assert unchanged(lake)


@pytest.mark.parametrize("name", list(CHANGES))
def test_change_takes_an_authorization_header_and_a_right(ada, server, lake, name):
    ada.send("brain", "a.txt", b"x")
    answer = client(server).ask("GET", name, headers={"Cookie": "__ac=x"}, **CHANGES[name])
    assert (answer.status, json.loads(answer.content)["detail"]) == (
        401,
        "This changes something: send user name and password, in the header Authorization.",
    )
    assert client(server, "dan").ask("GET", name, **CHANGES[name]).status == 403
    assert client(server, "ada", "wrong").ask("GET", name, **CHANGES[name]).status == 401
    assert unchanged(lake)


@pytest.mark.parametrize("name", [*CHANGES, "ERP5Site_getDataStreamList"])
def test_head_of_a_script_changes_nothing(ada, lake, name):
    ada.send("brain", "a.txt", b"x")
    assert ada.ask("HEAD", name, **CHANGES.get(name, {})).status == 405
    assert unchanged(lake)


def test_data_set_of_another_user_that_may_not_be_changed_is_left_alone(ada, server, lake):
    ada.send("brain", "a.txt", b"x")
    for name, parameters in CHANGES.items():
        assert client(server, "dan").ask("POST", name, **parameters).status == 403
    assert unchanged(lake)


# how much it costs


def test_list_of_many_files_is_sent_from_a_file(ada, lake, monkeypatch):
    monkeypatch.setattr(listing, "IN_MEMORY", 1000)
    with lake.open() as site:
        stage(site, {f"folder/{number:04d}.txt": b"x" for number in range(2000)})
    found = ada.list("brain")
    assert [each["reference"] for each in found["result"]] == [f"brain/folder/{n:04d}/txt" for n in range(2000)]
    assert list(found["result_dict"]) == [each["reference"] for each in found["result"]]
    assert ada.count("brain") == 2000
