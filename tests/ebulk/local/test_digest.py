import hashlib
import os
import threading

import pytest

from ebulk.errors import ChangedError, EbulkError
from ebulk.local.digest import Measured, StoppedError, measure, to_raw, to_text
from ebulk.local.scan import Scan
from support.folders import as_ordinary_user, write_files


def only(root):
    (found,) = Scan(str(root))
    return found


def test_a_file_is_measured_with_the_state_it_had(tmp_path):
    write_files(tmp_path, {"sub/a": b"x" * 3_000_000})
    found = only(tmp_path)
    assert measure(str(tmp_path), found) == Measured(found, hashlib.sha256(b"x" * 3_000_000).digest())


@pytest.mark.parametrize("head", [1, 1_048_576, 2_000_000, 2_999_999])
def test_the_beginning_of_a_file_is_measured_on_the_way(tmp_path, head):
    data = os.urandom(3_000_000)
    write_files(tmp_path, {"a": data})
    measured = measure(str(tmp_path), only(tmp_path), head=head)
    assert measured.digest == hashlib.sha256(data).digest()
    assert measured.head == hashlib.sha256(data[:head]).digest()


@pytest.mark.parametrize("size", [0, 5])
def test_a_file_that_does_not_go_on_has_no_beginning(tmp_path, size):
    write_files(tmp_path, {"a": b"x" * size})
    assert measure(str(tmp_path), only(tmp_path), head=5).head is None


def test_a_link_is_measured_by_its_target(tmp_path):
    write_files(tmp_path, {"link": "-> über/all"})
    assert measure(str(tmp_path), only(tmp_path)).digest == hashlib.sha256("über/all".encode()).digest()


def test_a_file_that_changed_since_the_scan_is_measured_as_it_is_now(tmp_path):
    write_files(tmp_path, {"a": "old"})
    found = only(tmp_path)
    write_files(tmp_path, {"a": "newer"})
    measured = measure(str(tmp_path), found)
    assert measured.found.size == 5
    assert measured.digest == hashlib.sha256(b"newer").digest()


def test_a_file_that_is_gone_is_named(tmp_path):
    write_files(tmp_path, {"a": "old"})
    found = only(tmp_path)
    (tmp_path / "a").unlink()
    with pytest.raises(ChangedError, match="'a' was removed meanwhile") as caught:
        measure(str(tmp_path), found)
    assert caught.value.hint == "Run the same command again."


def test_a_file_that_became_a_link_is_not_followed(tmp_path):
    write_files(tmp_path, {"a": "old"})
    found = only(tmp_path)
    (tmp_path / "a").unlink()
    (tmp_path / "a").symlink_to("/etc/passwd")
    with pytest.raises(EbulkError, match="'a' cannot be read"):
        measure(str(tmp_path), found)


def test_a_file_that_changes_all_the_time_is_named(tmp_path, monkeypatch):
    write_files(tmp_path, {"a": "old"})
    found = only(tmp_path)
    read = os.read
    writes = iter(range(1000))

    def write_and_read(descriptor, count):
        os.utime(tmp_path / "a", ns=(0, next(writes)))
        return read(descriptor, count)

    monkeypatch.setattr(os, "read", write_and_read)
    with pytest.raises(ChangedError, match="'a' changes while it is read") as caught:
        measure(str(tmp_path), found)
    assert caught.value.hint == "Run the same command again when nothing writes to it."


def test_an_unreadable_file_is_named_with_the_reason(tmp_path):
    write_files(tmp_path, {"a": "secret"})
    found = only(tmp_path)
    (tmp_path / "a").chmod(0)
    with as_ordinary_user(tmp_path), pytest.raises(EbulkError) as caught:
        measure(str(tmp_path), found)
    assert str(caught.value) == "'a' cannot be read: permission denied."
    assert caught.value.hint == "Make it readable or move it away, then try again."


def test_hashing_ends_in_the_middle_of_a_file_when_told_to(tmp_path):
    write_files(tmp_path, {"a": b"x" * 3_000_000})
    stop = threading.Event()
    stop.set()
    with pytest.raises(StoppedError):
        measure(str(tmp_path), only(tmp_path), stop)


def test_digests_are_text_on_the_wire_and_raw_here():
    raw = hashlib.sha256(b"").digest()
    assert to_text(raw) == "sha-256:" + raw.hex()
    assert to_raw(to_text(raw)) == raw


@pytest.mark.parametrize("text", ["", "sha-256:", "sha-256:zz", "sha-256:00", "md5:" + "0" * 64, "0" * 64])
def test_what_is_no_digest_is_refused(text):
    with pytest.raises(EbulkError, match="The lake sent the digest .* which is no sha-256"):
        to_raw(text)
