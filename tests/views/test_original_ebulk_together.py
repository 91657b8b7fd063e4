"""Several that send or change the same file of the original ebulk at the same time, in one process or several."""

from __future__ import annotations

import hashlib
from datetime import timedelta
from urllib.parse import quote

import pytest
import transaction
from ZODB.POSException import ConflictError

from Products.ERP5Wendelin.content.upload import LIFETIME
from Products.ERP5Wendelin.ingestion import ebulk, pieces
from Products.ERP5Wendelin.ingestion.turns import Turns
from Products.ERP5Wendelin.protocol import MIB
from Products.ERP5Wendelin.storage.digest import RunningDigests
from Products.ERP5Wendelin.storage.stream import ByteStream
from support.original_ebulk import OriginalEbulk, Refused
from support.push import metadata
from support.site import PASSWORD


@pytest.fixture(autouse=True)
def running_digests(monkeypatch):
    """Those of the databases of other tests, whose objects have the same ids, are not for this one."""
    monkeypatch.setattr(pieces, "_RUNNING", RunningDigests())


@pytest.fixture
def ada(server):
    return OriginalEbulk(server.portal, "ada", PASSWORD)


def content(server, path):
    """A file as the new client reads it; None if there is none."""
    answer = server.request("GET", f"/data-sets/brain/files/{quote(path)}")
    return answer.body if answer.status == 200 else None


def refused(function, *arguments, **options):
    with pytest.raises(Refused) as caught:
        function(*arguments, **options)
    return caught.value


def first_time(monkeypatch, module, name, happens):
    """Let something happen before the first call of a function."""
    function = getattr(module, name)

    def called(*arguments, **options):
        monkeypatch.setattr(module, name, function)
        happens()
        return function(*arguments, **options)

    monkeypatch.setattr(module, name, called)


def raises_conflict():
    raise ConflictError("another process was quicker")


def killed():
    raise RuntimeError("as if the server ended here")


def stored(site):
    """The paths of which pieces are here, and the states of ingestions."""
    data_set = site.data_set_module.getDataSet("brain")
    ingestions = site.data_ingestion_module.objectValues()
    return [arrival.path for arrival in data_set.arrivals()], sorted(each.getSimulationState() for each in ingestions)


@pytest.mark.parametrize("last", ["001", "002", "EOF"])
@pytest.mark.parametrize("function", ["_commit", "_finish"])
def test_pieces_stay_when_finishing_their_file_meets_another_process(ada, server, monkeypatch, last, function):
    contents = {"001": b"one ", "002": b"two ", "EOF": b"end"}
    for eof, data in contents.items():
        if eof != last:
            ada.send("brain", "a.bin", data, eof, size="11")
    first_time(monkeypatch, ebulk, function, raises_conflict)
    ada.send("brain", "a.bin", contents[last], last, size="11")
    assert content(server, "a.bin") == b"one two end"
    assert server.request("GET", "/data-sets/brain").data["version"] == 1


def test_pieces_stay_when_storing_one_meets_another_process(ada, server, monkeypatch):
    for eof, data in {"002": b"two ", "EOF": b"end"}.items():
        ada.send("brain", "a.bin", data, eof, size="11")
    first_time(monkeypatch, pieces._Receiver, "_append_waiting", raises_conflict)
    ada.send("brain", "a.bin", b"one ", "001", size="11")
    assert content(server, "a.bin") == b"one two end"


def test_file_whose_commit_meets_other_processes_for_too_long_is_told_to_be_sent_again(ada, server, monkeypatch):
    ada.send("brain", "a.bin", b"one ", "001")
    with monkeypatch.context() as patch:
        patch.setattr(ebulk, "_commit", lambda *arguments: raises_conflict())
        error = refused(ada.send, "brain", "a.bin", b"end", "EOF")
    assert (error.status, error.detail) == (
        503,
        "'a.bin' could not be put together: other servers were changing the same things, again and again. "
        "What is here of it stays; send the last piece again.",
    )
    ada.send("brain", "a.bin", b"end", "EOF")
    assert content(server, "a.bin") == b"one end"


def test_piece_that_is_replaced_while_its_file_is_finished_is_in_it_with_the_right_digests(ada, server, monkeypatch):
    for eof, data in {"001": b"one ", "002": b"two "}.items():
        ada.send("brain", "a.bin", data, eof)
    digests = pieces.digests

    def replaced_behind(arrival):
        monkeypatch.setattr(pieces, "digests", digests)
        found = digests(arrival)
        with monkeypatch.context() as patch:  # the other is stored, and finishes later
            patch.setattr(ebulk, "_finish", lambda *arguments: None)
            ada.send("brain", "a.bin", b"other ", "002")
        return found

    monkeypatch.setattr(pieces, "digests", replaced_behind)
    ada.send("brain", "a.bin", b"end", "EOF")
    assert content(server, "a.bin") == b"one other end"
    assert ada.download("brain", "a.bin") == b"one other end"


def test_file_that_is_begun_again_while_it_is_finished_is_not_told_to_be_there(ada, server, monkeypatch):
    ada.send("brain", "a.bin", b"one ", "001")
    digests = pieces.digests

    def begun_again_behind(arrival):
        monkeypatch.setattr(pieces, "digests", digests)
        found = digests(arrival)
        ada.send("brain", "a.bin", b"new ", "001")
        return found

    monkeypatch.setattr(pieces, "digests", begun_again_behind)
    error = refused(ada.send, "brain", "a.bin", b"end", "EOF")
    assert (error.status, error.detail) == (
        409,
        "'a.bin' was begun again meanwhile, by another request: this piece belongs to what was before.",
    )
    assert content(server, "a.bin") is None
    ada.send("brain", "a.bin", b"end", "EOF")
    assert content(server, "a.bin") == b"new end"


def test_file_that_is_sent_again_while_it_is_opened_for_one_more_piece_starts_nothing(ada, server, lake, monkeypatch):
    for eof, data in {"001": b"one ", "EOF": b"end"}.items():
        ada.send("brain", "a.bin", data, eof)
    first_time(monkeypatch, ebulk, "_continue", lambda: ada.send("brain", "a.bin", b"whole"))
    assert refused(ada.send, "brain", "a.bin", b"two ", "002").status == 409
    assert content(server, "a.bin") == b"whole"
    with lake.open("system") as site:
        assert stored(site) == ([], ["stopped", "stopped"])


def test_piece_that_waited_is_appended_once_by_one_of_two_processes(ada, server, monkeypatch):
    monkeypatch.setattr(pieces, "_TURNS", Turns(waiting=0))  # as in processes that know nothing of each other
    ada.send("brain", "a.bin", b"two ", "002")
    first_time(monkeypatch, pieces._Receiver, "_append_waiting", lambda: ada.send("brain", "a.bin", b"two ", "002"))
    ada.send("brain", "a.bin", b"one ", "001")
    ada.send("brain", "a.bin", b"end", "EOF")
    assert content(server, "a.bin") == b"one two end"


@pytest.mark.parametrize(("mine", "theirs"), [("002", "003"), ("003", "002"), ("002", "002")])
def test_pieces_that_are_replaced_by_two_processes_are_both_in_the_file(ada, server, monkeypatch, mine, theirs):
    monkeypatch.setattr(pieces, "_TURNS", Turns(waiting=0))
    contents = {"001": b"one ", "002": b"two ", "003": b"three "}
    for eof, data in contents.items():
        ada.send("brain", "a.bin", data, eof)
    first_time(monkeypatch, ByteStream, "take_over", lambda: ada.send("brain", "a.bin", b"theirs ", theirs))
    ada.send("brain", "a.bin", b"mine ", mine)
    ada.send("brain", "a.bin", b"end", "EOF")
    expected = {**contents, theirs: b"theirs ", mine: b"mine "}
    assert content(server, "a.bin") == b"".join(expected.values()) + b"end"


@pytest.mark.parametrize("when", ["incomplete", "complete", "finished"])
@pytest.mark.parametrize("function", ["_leave_stream", "_append_waiting"])
def test_piece_that_is_replaced_when_the_server_is_killed_is_replaced_when_it_is_sent_again(
    ada, server, monkeypatch, when, function
):
    contents = {"001": b"one ", "002": b"two ", "003": b"three "}
    with monkeypatch.context() as patch:
        if when == "complete":
            patch.setattr(ebulk, "_finish", lambda *arguments: None)
        for eof, data in {**contents, **({} if when == "incomplete" else {"EOF": b"end"})}.items():
            ada.send("brain", "a.bin", data, eof)
    new = "004" if when == "finished" else "002"
    first_time(monkeypatch, pieces._Receiver, function, killed)
    assert refused(ada.send, "brain", "a.bin", b"new ", new).status == 500
    ada.send("brain", "a.bin", b"new ", new)
    ada.send("brain", "a.bin", b"end", "EOF")
    assert content(server, "a.bin") == b"".join({**contents, new: b"new "}.values()) + b"end"
    assert ada.download("brain", "a.bin") == content(server, "a.bin")


# beside the new client


def push(server, path, data):
    """Send a file as the new client does; the push, which is yet to be stopped."""
    url = server.request("POST", "/data-sets/brain/ingestions", {}).headers["Location"]
    file = {"path": path, "size": len(data), "digest": f"sha-256:{hashlib.sha256(data).hexdigest()}"}
    assert server.request("POST", f"{url}/plan", {"files": [file]}).status == 200
    headers = {
        "Tus-Resumable": "1.0.0",
        "Content-Type": "application/offset+octet-stream",
        "Upload-Length": str(len(data)),
        "Upload-Metadata": metadata(path=path),
    }
    assert server.request("POST", f"{url}/uploads", data, headers).status == 201
    return url


def test_pieces_replace_what_was_pushed_while_they_came_and_the_older_version_stays(ada, server):
    ada.send("brain", "other.bin", b"x")
    ada.send("brain", "a.bin", b"pie", "001")
    assert server.request("POST", f"{push(server, 'a.bin', b'pushed')}/stop").status == 200
    assert content(server, "a.bin") == b"pushed"
    ada.send("brain", "a.bin", b"ces", "EOF")
    assert content(server, "a.bin") == b"pieces"
    assert server.request("GET", "/data-sets/brain/files/a.bin?version=2").body == b"pushed"


def test_push_that_began_before_a_file_of_the_original_is_told_of_the_conflict(ada, server):
    ada.send("brain", "a.bin", b"pie", "001")
    begun = push(server, "a.bin", b"pushed")
    ada.send("brain", "a.bin", b"ces", "EOF")
    answer = server.request("POST", f"{begun}/stop")
    assert (answer.status, answer.data["paths"]) == (409, ["a.bin"])
    assert content(server, "a.bin") == b"pieces"


# file and folder of one name


@pytest.mark.parametrize(("there", "path"), [("a", "a/b.txt"), ("a/b.txt", "a"), ("a/b/c/d.txt", "a/b")])
@pytest.mark.parametrize(("eof", "size"), [("END", 1), ("END", 3 * MIB), ("001", 1), ("EOF", 1)])
def test_path_that_would_be_file_and_folder_is_refused_and_nothing_stored(ada, server, lake, there, path, eof, size):
    ada.send("brain", there, b"x")
    error = refused(ada.send, "brain", path, bytes(size), eof)
    assert error.status == 409
    assert "would be a file and a folder at once, since" in error.detail
    assert ada.exists("brain", path, eof) == "FALSE"
    with lake.open("system") as site:
        assert stored(site) == ([], ["stopped"])
    assert content(server, there) == b"x"


def test_path_that_became_a_folder_while_its_pieces_came_is_refused_and_dropped(ada, server, lake):
    ada.send("brain", "a", b"one ", "001")
    ada.send("brain", "a/b.txt", b"x")
    error = refused(ada.send, "brain", "a", b"end", "EOF")
    assert (error.status, error.detail.partition(" Rename")[0]) == (
        409,
        "'a' would be a file and a folder at once, since 'a/b.txt' is below it.",
    )
    assert ada.exists("brain", "a", "EOF") == "FALSE"
    with lake.open("system") as site:
        assert stored(site) == ([], ["cancelled", "stopped"])


def test_folder_of_the_new_client_may_have_files_of_the_original(ada, server):
    ada.send("brain", "a/b.txt", b"x", "001")
    ada.send("brain", "a/c.txt", b"c")
    ada.send("brain", "a/b.txt", b"y", "EOF")
    assert content(server, "a/b.txt") == b"xy"


# the alarm that drops what is abandoned


def unfinished(ada, monkeypatch, path):
    """Send all pieces of a file to a server that is killed before it has finished it."""
    with monkeypatch.context() as patch:
        patch.setattr(ebulk, "_finish", lambda *arguments: None)
        for eof, data in {"001": b"one ", "EOF": b"end"}.items():
            ada.send("brain", path, data, eof)


def test_file_that_can_not_be_finished_keeps_no_other_from_it(ada, server, lake, monkeypatch):
    unfinished(ada, monkeypatch, "a")
    unfinished(ada, monkeypatch, "z")
    ada.send("brain", "a/b.txt", b"x")
    with lake.open("system") as site:
        dropped, problems = ebulk.drop_expired(site)
        assert dropped == 0
        assert problems == [
            "'brain': 'a' would be a file and a folder at once, since 'a/b.txt' is below it. "
            "Rename or remove one of the two and push again."
        ]
        assert stored(site) == (["z"], ["cancelled", "stopped", "stopped"])
        assert ebulk.drop_expired(site) == (0, [])
    assert content(server, "z") == b"one end"


def test_data_set_that_was_invalidated_stays_so_when_a_killed_server_left_a_file(ada, server, lake, monkeypatch):
    unfinished(ada, monkeypatch, "a.bin")
    assert server.request("DELETE", "/data-sets/brain").status == 204
    with lake.open("system") as site:
        assert ebulk.drop_expired(site) == (0, [])
        data_set = site.data_set_module.getDataSet("brain")
        assert (data_set.getValidationState(), data_set.getVersion()) == ("invalidated", 0)


def test_file_that_is_begun_again_is_not_dropped_with_what_was_abandoned(ada, server, lake, monkeypatch):
    ada.send("brain", "a.bin", b"old ", "001")
    with lake.open("system") as site:
        (arrival,) = site.data_set_module.getDataSet("brain").arrivals()
        arrival.modified -= LIFETIME + timedelta(seconds=1)
        transaction.commit()
        serialised = ebulk.serialised

        def begun_again_before(key):
            monkeypatch.setattr(ebulk, "serialised", serialised)
            ada.send("brain", "a.bin", b"new ", "001")
            return serialised(key)

        monkeypatch.setattr(ebulk, "serialised", begun_again_before)
        assert ebulk.drop_expired(site) == (0, [])
    ada.send("brain", "a.bin", b"end", "EOF")
    assert content(server, "a.bin") == b"new end"


def test_dropping_ends_when_it_is_asked_to(ada, lake):
    ada.send("brain", "a.bin", b"old ", "001")
    with lake.open("system") as site:
        (arrival,) = site.data_set_module.getDataSet("brain").arrivals()
        arrival.modified -= LIFETIME + timedelta(seconds=1)
        transaction.commit()
        assert ebulk.drop_expired(site, keep_going=lambda: False) == (0, [])
        assert stored(site)[0] == ["a.bin"]
