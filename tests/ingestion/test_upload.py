"""Uploads: pieces, resuming, checksums and digests, and what an upload leaves when it is dropped."""

from __future__ import annotations

import errno
import hashlib
import io
import threading
import zlib
from collections.abc import Callable
from datetime import timedelta
from hashlib import sha256
from typing import Any

import pytest
import transaction
from ZODB.POSException import POSKeyError

from Products.ERP5Wendelin.errors import (
    BadInput,
    BadPath,
    ChecksumMismatch,
    Conflict,
    DigestMismatch,
    Gone,
    Incomplete,
    NotFound,
    WrongOffset,
)
from Products.ERP5Wendelin.ingestion import session, upload
from Products.ERP5Wendelin.ingestion.turns import Turns
from Products.ERP5Wendelin.protocol import MIB, UPLOAD_LIFETIME
from Products.ERP5Wendelin.storage.digest import RunningDigests
from Products.ERP5Wendelin.storage.transaction import separate_connection
from support.held import Held, in_thread
from support.pushes import MTIME_NS, contents_of, plan, planned, send_large, start, stop
from support.site import Lake

CONTENT = bytes(range(256)) * 20


def digest_of(content: bytes) -> bytes:
    return sha256(content).digest()


def create(ingestion: Any, path: str = "a", length: int = len(CONTENT), **given: Any) -> Any:
    digest, mtime_ns, mode = (given.get(name) for name in ("digest", "mtime_ns", "mode"))
    made = upload.create(ingestion, path, length, digest, mtime_ns, mode, given.get("metadata", ""))
    transaction.commit()
    return made


def receive(made: Any, offset: int, content: bytes, checksum: Any = None) -> int:
    """Send a piece, as a request of its own would."""
    database = made._p_jar.db()
    transaction.begin()
    try:
        return upload.receive(database, made, offset, io.BytesIO(content), len(content), checksum)
    finally:
        transaction.begin()


# creation


def test_a_new_upload_is_expected_and_says_what_it_is(data_set):
    ingestion = start(data_set)
    made = create(ingestion, digest=digest_of(CONTENT), mtime_ns=5, mode="100755", metadata="path YQ==")
    assert (made.path, made.length, made.offset, made.digest, made.mtime_ns, made.mode, made.metadata) == (
        "a",
        len(CONTENT),
        0,
        digest_of(CONTENT),
        5,
        "100755",
        "path YQ==",
    )
    assert made.expires - made.modified == timedelta(seconds=UPLOAD_LIFETIME)
    assert upload.get(ingestion, made.id) is made
    with pytest.raises(Incomplete, match="1 file is planned and not here yet, such as 'a'"):
        stop(ingestion)


def test_what_is_not_said_is_as_planned(data_set):
    ingestion = start(data_set)
    plan(ingestion, {"a": CONTENT})
    made = create(ingestion)
    assert (made.digest, made.mtime_ns, made.mode) == (digest_of(CONTENT), MTIME_NS, "100644")


@pytest.mark.parametrize("given", [{"length": 5}, {"digest": digest_of(b"other")}])
def test_an_upload_that_is_not_what_was_planned_is_refused(data_set, given):
    ingestion = start(data_set)
    plan(ingestion, {"a": CONTENT})
    with pytest.raises(DigestMismatch, match="'a' is not what was planned: size or digest differ") as caught:
        create(ingestion, **given)
    assert caught.value.extra == {"paths": ["a"]}


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ({"path": "../a"}, BadPath, r"'\.\./a' has the segment"),
        ({"length": -1}, BadInput, "The size of 'a' must be a number of bytes"),
        ({"length": 2**63}, BadInput, "The size of 'a' must be a number of bytes"),
        ({"digest": b"short"}, BadInput, "The digest of 'a' must be a sha-256"),
        ({"mode": "rwx"}, BadInput, "The mode of 'a' must be one of 100644, 100755, 120000"),
        ({"mode": "120000"}, BadInput, "'a' is a symbolic link: its target may have at most 4096 bytes"),
        ({"mtime_ns": -(2**63)}, BadInput, "The modification time of 'a' is out of range"),
    ],
)
def test_an_upload_that_no_data_set_can_hold_is_refused(data_set, given, error, message):
    with pytest.raises(error, match=message):
        create(start(data_set), **given)


def test_an_empty_file_is_complete_when_it_is_created(data_set):
    ingestion = start(data_set)
    made = create(ingestion, length=0)
    assert made.complete
    assert receive(made, 0, b"") == 0
    assert stop(ingestion)["added"] == 1
    assert contents_of(data_set) == {"a": b""}


def test_an_empty_file_with_the_digest_of_another_is_refused(data_set):
    with pytest.raises(DigestMismatch, match="What arrived of 'a' has the digest sha-256:e3b0c44298"):
        create(start(data_set), length=0, digest=digest_of(b"x"))


# pieces


def test_a_file_in_pieces_arrives_with_its_digest_time_and_mode(data_set):
    ingestion = start(data_set)
    made = create(ingestion, mtime_ns=7, mode="100755")
    assert receive(made, 0, CONTENT[:100]) == 100
    assert (made.offset, made.complete, ingestion.getReceived()) == (100, False, (0, 0))
    assert receive(made, 100, CONTENT[100:]) == len(CONTENT)
    assert (made.complete, ingestion.getReceived()) == (True, (1, len(CONTENT)))
    stop(ingestion)
    entry = data_set.manifest.get("a")
    assert (entry.digest, entry.mtime_ns, entry.mode) == (digest_of(CONTENT), 7, "100755")
    assert contents_of(data_set) == {"a": CONTENT}


def test_a_file_of_several_blocks_and_slices_arrives(data_set):
    content = hashlib.shake_128(b"seed").digest(5 * MIB) * 4 + b"tail"
    ingestion = start(data_set)
    send_large(ingestion, "a", content)
    stop(ingestion)
    entry = data_set.manifest.get("a")
    assert entry.digest == digest_of(content) == digest_of(entry.stream.read(0, entry.size))


def test_the_digest_of_a_lost_state_is_made_up_for_by_reading(data_set, monkeypatch):
    ingestion = start(data_set)
    made = create(ingestion, digest=digest_of(CONTENT))
    receive(made, 0, CONTENT[:1000])
    monkeypatch.setattr(upload, "_RUNNING", RunningDigests())
    receive(made, 1000, CONTENT[1000:2000])
    monkeypatch.setattr(upload, "_RUNNING", RunningDigests())
    receive(made, 2000, CONTENT[2000:])
    assert ingestion.staged["a"][3] == digest_of(CONTENT)


@pytest.mark.parametrize("offset", [0, 50, 200])
def test_a_piece_at_a_wrong_offset_changes_nothing_and_is_told_the_right_one(data_set, offset):
    made = create(start(data_set))
    receive(made, 0, CONTENT[:100])
    with pytest.raises(WrongOffset, match=f"100 bytes of 'a' are here, not {offset}. Go on from byte 100.") as caught:
        receive(made, offset, b"x" * 100)
    assert caught.value.extra == {"offset": 100}
    assert receive(made, 100, CONTENT[100:]) == len(CONTENT)
    assert made.ingestion.staged["a"][3] == digest_of(CONTENT)


def test_a_piece_that_does_not_fit_is_refused(data_set):
    made = create(start(data_set), length=10)
    with pytest.raises(BadInput, match="Bytes 0 to 11 do not fit into an upload of 10 bytes") as caught:
        receive(made, 0, b"x" * 11)
    assert caught.value.extra == {"offset": 0}
    assert made.offset == 0


def test_a_complete_upload_takes_a_piece_of_nothing_at_its_end(data_set):
    made = send_large(start(data_set), "a", b"12345")
    assert receive(made, 5, b"") == 5
    with pytest.raises(WrongOffset, match="5 bytes of 'a' are here, not 0"):
        receive(made, 0, b"12345")


def test_a_source_that_breaks_leaves_what_it_gave(data_set):
    made = create(start(data_set), digest=digest_of(CONTENT))
    transaction.begin()
    with pytest.raises(ConnectionResetError):
        upload.receive(made._p_jar.db(), made, 0, Breaks(CONTENT[:1000]), len(CONTENT))
    transaction.begin()
    assert made.offset == 1000
    assert receive(made, 1000, CONTENT[1000:]) == len(CONTENT)


def test_a_source_that_ends_early_is_told_by_the_offset(data_set):
    made = create(start(data_set))
    transaction.begin()
    assert upload.receive(made._p_jar.db(), made, 0, io.BytesIO(CONTENT[:10]), 1000) == 10


class Breaks(io.BytesIO):
    """Gives its bytes, then an error of the network."""

    def read(self, size: int | None = -1) -> bytes:
        data = super().read(size)
        if not data:
            raise ConnectionResetError(errno.ECONNRESET, "reset")
        return data


# checksum and digest


@pytest.mark.parametrize(
    ("algorithm", "digest"),
    [
        ("sha256", hashlib.sha256(CONTENT).digest()),
        ("sha1", hashlib.sha1(CONTENT).digest()),
        ("md5", hashlib.md5(CONTENT).digest()),
        ("crc32", zlib.crc32(CONTENT).to_bytes(4, "big")),
    ],
)
def test_a_checksum_is_compared_before_anything_is_stored(data_set, algorithm, digest):
    made = create(start(data_set))
    with pytest.raises(ChecksumMismatch, match=f"The piece does not have the {algorithm} of Upload-Checksum"):
        receive(made, 0, b"x" + CONTENT[1:], (algorithm, digest))
    assert made.offset == 0
    assert receive(made, 0, CONTENT, (algorithm, digest)) == len(CONTENT)


def test_content_that_is_not_what_its_digest_says_is_dropped(lake, data_set):
    ingestion = start(data_set)
    plan(ingestion, {"a": CONTENT})
    made = create(ingestion)
    receive(made, 0, CONTENT[:100])
    oids = [made._p_oid, made.stream._p_oid]
    other = b"x" * (len(CONTENT) - 100)
    wrong = sha256(CONTENT[:100] + other).hexdigest()
    with pytest.raises(
        DigestMismatch,
        match=rf"^What arrived of 'a' has the digest sha-256:{wrong}, not sha-256:{digest_of(CONTENT).hex()}",
    ) as caught:
        receive(made, 100, other)
    assert caught.value.extra == {"paths": ["a"]}
    with pytest.raises(NotFound, match=f"has no upload '{made.id}'. It was dropped: send the file again"):
        upload.get(ingestion, made.id)
    assert (list(ingestion.staged), list(ingestion.expected)) == ([], ["a"])
    assert_freed(lake, oids)


def test_a_file_that_was_planned_anew_meanwhile_is_dropped(data_set):
    ingestion = start(data_set)
    made = create(ingestion)
    receive(made, 0, CONTENT[:100])
    plan(ingestion, {"a": b"changed"})
    with pytest.raises(DigestMismatch, match=f"not sha-256:{digest_of(b'changed').hex()}"):
        receive(made, 100, CONTENT[100:])
    assert list(ingestion.expected) == ["a"]


# the end of an upload


def assert_freed(lake: Lake, oids: list[bytes]) -> None:
    """A pack of the database drops the objects."""
    lake.db.pack()
    for oid in oids:
        with pytest.raises(POSKeyError):
            lake.db.storage.load(oid, "")


@pytest.mark.parametrize("sent", [100, len(CONTENT)])
@pytest.mark.parametrize("planned_before", [True, False])
def test_a_terminated_upload_leaves_nothing(lake, data_set, sent, planned_before):
    ingestion = start(data_set)
    if planned_before:
        plan(ingestion, {"a": CONTENT})
    made = create(ingestion)
    receive(made, 0, CONTENT[:sent])
    oids = [made._p_oid, made.stream._p_oid]
    upload.terminate(ingestion, made)
    transaction.commit()
    assert (list(ingestion.staged), list(ingestion.expected)) == ([], ["a"] if planned_before else [])
    assert ingestion.getReceived() == (0, 0)
    assert_freed(lake, oids)


def test_a_terminated_empty_upload_leaves_nothing(data_set):
    ingestion = start(data_set)
    made = upload.create(ingestion, "a", 0, None, 0, "100644")
    transaction.commit()
    assert list(ingestion.staged) == ["a"]
    upload.terminate(ingestion, made)
    assert (list(ingestion.staged), list(ingestion.expected)) == ([], [])


def test_a_large_upload_that_was_terminated_is_freed_too(lake, data_set):
    ingestion = start(data_set)
    made = send_large(ingestion, "a", b"x" * MIB)
    oids = [made.stream._p_oid]
    upload.terminate(ingestion, made)
    transaction.commit()
    assert_freed(lake, oids)


def test_an_expired_upload_is_gone(data_set):
    ingestion = start(data_set)
    made = create(ingestion)
    made.modified -= timedelta(seconds=UPLOAD_LIFETIME + 1)
    transaction.commit()
    for call in (lambda: upload.get(ingestion, made.id), lambda: receive(made, 0, b"x")):
        with pytest.raises(Gone, match="The upload of 'a' has expired: nothing arrived for days"):
            call()


def test_a_piece_is_a_sign_of_life_of_upload_and_push(data_set):
    ingestion = start(data_set)
    made = create(ingestion)
    for each in (ingestion, made):
        each.modified -= timedelta(days=6)
    transaction.commit()
    expected = made.modified + timedelta(days=6)
    receive(made, 0, b"x")
    assert made.modified >= expected
    assert ingestion.modified >= expected


def test_no_upload_begins_in_a_push_that_has_ended(data_set):
    ingestion = start(data_set)
    session.cancel(ingestion)
    transaction.commit()
    with pytest.raises(Conflict, match=r"is cancelled\. Start another one"):
        create(ingestion)


# at the same time


class Meanwhile(io.BytesIO):
    """Does something in another thread, to its end, when it is read for the first time."""

    def __init__(self, content: bytes, action: Callable[[], None]) -> None:
        super().__init__(content)
        self._action: Callable[[], None] | None = action

    def read(self, size: int | None = -1) -> bytes:
        action, self._action = self._action, None
        if action is not None:
            thread = threading.Thread(target=action)
            thread.start()
            thread.join()
        return super().read(size)


def test_of_two_pieces_at_the_same_time_one_is_stored(lake, data_set, monkeypatch):
    monkeypatch.setattr(upload, "_TURNS", Turns(waiting=0))  # as in two processes
    ingestion = start(data_set)
    made = create(ingestion)
    oid = made._p_oid

    def send_the_same() -> None:
        with separate_connection(lake.db) as connection:
            other = connection.get(oid)
            upload.receive(lake.db, other, 0, io.BytesIO(CONTENT[:500]), 500)

    transaction.begin()
    with pytest.raises(
        WrongOffset, match=r"500 bytes are here, and 0 were believed to be\. Go on from byte 500\."
    ) as caught:
        upload.receive(lake.db, made, 0, Meanwhile(CONTENT[:500], send_the_same), 500)
    assert caught.value.extra == {"offset": 500}
    assert receive(made, 500, CONTENT[500:]) == len(CONTENT)
    assert ingestion.staged["a"][3] == digest_of(CONTENT)


def test_a_piece_that_is_here_before_the_one_before_it_is_committed_waits_for_it(lake, data_set):
    ingestion = start(data_set)
    oid = create(ingestion)._p_oid
    first = Held(CONTENT[:1000])
    pieces = [in_thread(lake, oid, 0, first, 1000)]
    assert first.asked.wait(60)
    pieces.append(in_thread(lake, oid, 3000, io.BytesIO(CONTENT[3000:]), len(CONTENT) - 3000))
    pieces.append(in_thread(lake, oid, 1000, io.BytesIO(CONTENT[1000:3000]), 2000))
    first.go_on.set()
    assert [piece.result(60) for piece in pieces] == [1000, len(CONTENT), 3000]
    transaction.begin()
    assert ingestion.staged["a"][3] == digest_of(CONTENT)


def test_a_repeated_piece_waits_for_the_first_and_changes_nothing(lake, data_set):
    made = create(start(data_set))
    first = Held(CONTENT[:1000])
    one = in_thread(lake, made._p_oid, 0, first, 1000)
    assert first.asked.wait(60)
    other = in_thread(lake, made._p_oid, 0, io.BytesIO(b"x" * 1000), 1000)
    first.go_on.set()
    assert one.result(60) == 1000
    with pytest.raises(WrongOffset, match="1000 bytes of 'a' are here, not 0. Go on from byte 1000.") as caught:
        other.result(60)
    assert caught.value.extra == {"offset": 1000}
    assert receive(made, 1000, CONTENT[1000:]) == len(CONTENT)
    assert made.ingestion.staged["a"][3] == digest_of(CONTENT)


def test_a_piece_whose_predecessor_fails_is_told_where_to_go_on(lake, data_set):
    made = create(start(data_set))
    wrong = Held(CONTENT[:1000])
    checksum = ("sha1", bytes(20))
    one = in_thread(lake, made._p_oid, 0, wrong, 1000, checksum)
    assert wrong.asked.wait(60)
    other = in_thread(lake, made._p_oid, 1000, io.BytesIO(CONTENT[1000:]), len(CONTENT) - 1000)
    wrong.go_on.set()
    with pytest.raises(ChecksumMismatch):
        one.result(60)
    with pytest.raises(WrongOffset, match="0 bytes of 'a' are here, not 1000. Go on from byte 0."):
        other.result(60)


def test_a_piece_that_waits_for_an_upload_which_is_dropped_is_refused(lake, data_set):
    made = create(start(data_set), digest=digest_of(CONTENT))
    wrong = Held(b"x" * 1000 + CONTENT[1000:])
    one = in_thread(lake, made._p_oid, 0, wrong, len(CONTENT))
    assert wrong.asked.wait(60)
    other = in_thread(lake, made._p_oid, 1000, io.BytesIO(CONTENT[1000:]), len(CONTENT) - 1000)
    wrong.go_on.set()
    with pytest.raises(DigestMismatch):
        one.result(60)
    with pytest.raises(NotFound, match="The upload of 'a' was dropped. Send the file again."):
        other.result(60)


def test_a_piece_that_arrives_while_its_push_is_cancelled_is_not_stored(lake, data_set):
    made = create(start(data_set))
    identity = made.ingestion.getId()

    def cancel() -> None:
        with lake.open("ada") as site:
            session.cancel(site.data_ingestion_module[identity])
            transaction.commit()

    transaction.begin()
    with pytest.raises(NotFound, match="The upload of 'a' was dropped"):
        upload.receive(lake.db, made, 0, Meanwhile(CONTENT, cancel), len(CONTENT))


def test_files_that_arrive_at_the_same_time_all_arrive(lake, data_set):
    files = {f"file{number:02}": bytes([number]) * 300_000 for number in range(8)}
    ingestion = start(data_set)
    session.plan(ingestion, [planned(*each) for each in files.items()], [], [], lambda found: True)
    transaction.commit()
    oids = {path: create(ingestion, path, len(content))._p_oid for path, content in files.items()}
    ready = threading.Barrier(len(files))
    reached = {}

    def send(path: str) -> None:
        with separate_connection(lake.db) as connection:
            made = connection.get(oids[path])
            ready.wait()
            reached[path] = upload.receive(lake.db, made, 0, io.BytesIO(files[path]), len(files[path]))

    threads = [threading.Thread(target=send, args=(path,)) for path in files]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    transaction.begin()
    assert reached == dict.fromkeys(files, 300_000)
    assert stop(ingestion)["added"] == len(files)
    assert contents_of(data_set) == files
