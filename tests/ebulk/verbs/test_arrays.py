"""Arrays of a real server, in this process, so that its database can be packed; over networks that break."""

import os
from pathlib import Path

import numpy
import pytest

from ebulk.errors import (
    ChangedError,
    ConflictError,
    DiskFullError,
    EbulkError,
    NetworkError,
    NotAuthorisedError,
    NotFoundError,
    UsageError,
)
from ebulk.library.array import Array
from ebulk.local.npy import make_header
from ebulk.protocol import KIB
from ebulk.remote.credentials import Basic
from ebulk.remote.lake import Lake
from ebulk.transfer import array_bytes, array_upload
from ebulk.transfer.array_upload import LARGEST_ROW
from ebulk.verbs.observer import Silent
from ebulk.verbs.pull_array import BEGUN_ANEW, GOING_ON, default_file, pull_array
from ebulk.verbs.push_array import ArrayPushReport, push_file
from support.faults import Chaos, Fault, faulty_network
from support.http_server import serve
from support.lake import PASSWORD
from support.site import data_fs  # noqa: F401
from support.site import lake as site_lake  # noqa: F401

PIECE_SIZE = APPEND_SIZE = 256 * KIB
UPLOAD_SIZE = 2 * PIECE_SIZE
"""So that little is much."""

REFERENCE = "brain"
VALUES = numpy.arange(5 * PIECE_SIZE // 16, dtype=numpy.float64).reshape(-1, 2)
"""Of two and a half pieces."""

OTHERS = VALUES + 0.5


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch):
    monkeypatch.setattr(array_bytes, "PIECE_SIZE", PIECE_SIZE)
    monkeypatch.setattr(array_upload, "APPEND_SIZE", APPEND_SIZE)
    monkeypatch.setattr(array_upload, "UPLOAD_CHUNK_SIZE", UPLOAD_SIZE)
    monkeypatch.setattr(array_upload, "LEAST_PIECE", 64 * KIB)
    monkeypatch.setattr(array_upload, "STEP", 16 * KIB)


@pytest.fixture
def server(site_lake):  # noqa: F811
    with serve(site_lake) as running:
        yield running


@pytest.fixture
def lake(server):
    """The lake as ada sees it."""
    lake = Lake(server.portal, Basic("ada", PASSWORD))
    yield lake
    lake.close()


@pytest.fixture
def far(server):
    """The lake and the network that leads to it."""
    with faulty_network(f"{server.host}:{server.port}") as network:
        url = f"http://{network.address}/erp5"
        lake = Lake(url, Basic("ada", PASSWORD), stall_timeout=30, backoff=lambda failures: 0.01, compress="never")
        yield lake, network
        lake.close()


@pytest.fixture
def home(tmp_path):
    """A folder with the files of a test, and nothing else."""
    (tmp_path / "home").mkdir()
    return tmp_path / "home"


@pytest.fixture
def send(lake, tmp_path):
    """Makes an array what some values are: `send(VALUES)`."""

    def made(values, reference=REFERENCE):
        path = tmp_path / "sent.npy"
        numpy.save(path, values)
        return push_file(lake, reference, path)

    return made


def stored(lake, reference=REFERENCE):
    return Array(lake, reference)[...]


def names(folder):
    return sorted(path.name for path in folder.iterdir())


class Watching(Silent):
    """Counts what it is told; ends a transfer, as Ctrl-C does, once so many bytes have passed."""

    def __init__(self, stop_after=None):
        self.notes = []
        self.passed = self.reused = 0
        self._stop_after = stop_after

    def advance(self, path, count):
        self.passed += count
        if self._stop_after is not None and self.passed > self._stop_after:
            raise KeyboardInterrupt

    def reuse(self, path, count):
        self.reused += count

    def note(self, message):
        self.notes.append(message)


# pull


def test_an_array_comes_whole_in_place_of_a_file(lake, send, home):
    send(VALUES)
    (home / "brain.npy").write_bytes(b"old")
    watching = Watching()
    report = pull_array(lake, REFERENCE, home / "brain.npy", observer=watching)
    numpy.testing.assert_array_equal(numpy.load(home / "brain.npy"), VALUES)
    assert (report.received, report.size) == (watching.passed, (home / "brain.npy").stat().st_size)
    assert report.snapshot == lake.array(REFERENCE).snapshot
    assert names(home) == ["brain.npy"]


@pytest.mark.parametrize("slice", ["1000:900000:3,1", "-1", "...,0", "5:5"])
def test_a_slice_comes_as_numpy_has_it(lake, send, home, slice):
    send(VALUES)
    pull_array(lake, REFERENCE, home / "part.npy", slice)
    expected = eval(f"VALUES[{slice}]")
    found = numpy.load(home / "part.npy")
    assert (found.shape, found.dtype) == (expected.shape, expected.dtype)
    numpy.testing.assert_array_equal(found, expected)


def test_a_network_that_breaks_costs_a_little_time_and_no_byte(far, send, home):
    send(VALUES)
    lake, network = far
    network.faults += [Fault("down", size * KIB, how) for size, how in ((90, "reset"), (200, "close"), (30, "reset"))]
    report = pull_array(lake, REFERENCE, home / "a.npy")
    assert not network.faults
    numpy.testing.assert_array_equal(numpy.load(home / "a.npy"), VALUES)
    assert report.received == report.size


def test_a_pull_that_was_broken_off_goes_on_with_the_state_it_began_with(lake, send, home):
    send(VALUES)
    before = lake.array(REFERENCE).snapshot
    with pytest.raises(KeyboardInterrupt):
        pull_array(lake, REFERENCE, home / "a.npy", observer=Watching(PIECE_SIZE))
    assert names(home) == [".a.npy.part", ".a.npy.pull"]
    came = (home / ".a.npy.part").stat().st_size
    send(OTHERS)
    watching = Watching()
    report = pull_array(lake, REFERENCE, home / "a.npy", observer=watching)
    assert (report.snapshot, report.received, watching.reused) == (before, report.size - came, came)
    assert came > 0
    assert watching.notes == [GOING_ON]
    numpy.testing.assert_array_equal(numpy.load(home / "a.npy"), VALUES)
    assert names(home) == ["a.npy"]
    pull_array(lake, REFERENCE, home / "a.npy")
    numpy.testing.assert_array_equal(numpy.load(home / "a.npy"), OTHERS)


def test_a_pull_whose_state_is_gone_is_begun_anew_and_says_so(lake, server, send, home):
    rows = PIECE_SIZE // 16 + 1000
    send(VALUES[:rows])
    with pytest.raises(KeyboardInterrupt):
        pull_array(lake, REFERENCE, home / "a.npy", observer=Watching(0))
    send(OTHERS[:rows])
    server.lake.db.pack()
    watching = Watching()
    report = pull_array(lake, REFERENCE, home / "a.npy", observer=watching)
    assert watching.notes == [GOING_ON, BEGUN_ANEW]
    assert report.received == report.size
    numpy.testing.assert_array_equal(numpy.load(home / "a.npy"), OTHERS[:rows])


def test_a_pull_that_was_broken_off_behind_the_last_byte_brings_none(lake, send, home):
    send(VALUES[:1000])
    with pytest.raises(KeyboardInterrupt):
        pull_array(lake, REFERENCE, home / "a.npy", observer=Watching(0))
    assert pull_array(lake, REFERENCE, home / "a.npy").received == 0
    numpy.testing.assert_array_equal(numpy.load(home / "a.npy"), VALUES[:1000])


@pytest.mark.parametrize("change", ["another slice", "another array"])
def test_what_was_begun_as_something_else_is_begun_anew(lake, send, home, change):
    send(VALUES)
    send(OTHERS, "other")
    with pytest.raises(KeyboardInterrupt):
        pull_array(lake, REFERENCE, home / "a.npy", observer=Watching(PIECE_SIZE))
    if change == "another slice":
        pull_array(lake, REFERENCE, home / "a.npy", "10:20")
        numpy.testing.assert_array_equal(numpy.load(home / "a.npy"), VALUES[10:20])
    else:
        pull_array(lake, "other", home / "a.npy")
        numpy.testing.assert_array_equal(numpy.load(home / "a.npy"), OTHERS)


def test_readers_of_a_file_never_see_half_of_it(lake, send, home):
    send(VALUES)
    pull_array(lake, REFERENCE, home / "a.npy")
    send(OTHERS)
    with pytest.raises(KeyboardInterrupt):
        pull_array(lake, REFERENCE, home / "a.npy", observer=Watching(PIECE_SIZE))
    numpy.testing.assert_array_equal(numpy.load(home / "a.npy"), VALUES)


def test_what_cannot_be_pulled_leaves_nothing(lake, server, send, home):
    with pytest.raises(NotFoundError, match="There is no array 'brain' that you may see"):
        pull_array(lake, REFERENCE, home / "a.npy")
    send(VALUES[:5])
    with pytest.raises(EbulkError, match="Index 99 is out of bounds for axis 0, which has a length of 5"):
        pull_array(lake, REFERENCE, home / "a.npy", "99")
    with pytest.raises(EbulkError, match="'x' is no part of a slice"):
        pull_array(lake, REFERENCE, home / "a.npy", "x")
    stranger = Lake(server.portal)
    with pytest.raises((NotAuthorisedError, NotFoundError)):
        pull_array(stranger, REFERENCE, home / "a.npy")
    stranger.close()
    assert names(home) == []


def test_what_cannot_be_written_is_told(lake, send, home):
    send(VALUES)
    with pytest.raises(EbulkError, match=f"{home} cannot be written: is a directory"):
        pull_array(lake, REFERENCE, home)
    with pytest.raises(DiskFullError, match="The disk has no room left for /dev/full"):
        pull_array(lake, REFERENCE, Path("/dev/full"))
    with pytest.raises(UsageError, match=r"^No file can be named 'a/b\.npy'\.$"):
        default_file("a/b")


# push


def test_a_new_array_is_made_and_an_old_one_replaced_with_shape_and_dtype(lake, home):
    numpy.save(home / "a.npy", VALUES[:10])
    report = push_file(lake, REFERENCE, home / "a.npy")
    assert report == ArrayPushReport(REFERENCE, str(home / "a.npy"), False, (10, 2), 160)
    numpy.testing.assert_array_equal(stored(lake), VALUES[:10])
    records = numpy.array([(1, b"a"), (2, b"b")], [("n", "<i4"), ("s", "S3")])
    numpy.save(home / "a.npy", records)
    push_file(lake, REFERENCE, home / "a.npy")
    assert stored(lake).dtype == records.dtype
    numpy.testing.assert_array_equal(stored(lake), records)
    assert names(home) == ["a.npy"]


def test_a_large_push_is_seen_at_once_and_goes_on_where_it_was_broken_off(lake, send, home):
    send(OTHERS)
    numpy.save(home / "a.npy", VALUES)
    with pytest.raises(KeyboardInterrupt):
        push_file(lake, REFERENCE, home / "a.npy", observer=Watching(UPLOAD_SIZE + 32 * KIB))
    assert names(home) == [".a.npy.push", "a.npy"]
    numpy.testing.assert_array_equal(stored(lake), OTHERS)
    watching = Watching()
    report = push_file(lake, REFERENCE, home / "a.npy", observer=watching)
    assert report.resumed
    assert (watching.reused, watching.passed) == (UPLOAD_SIZE, VALUES.nbytes + 128 - UPLOAD_SIZE)
    numpy.testing.assert_array_equal(stored(lake), VALUES)
    assert names(home) == ["a.npy"]


def test_an_upload_that_the_lake_has_forgotten_is_begun_anew(lake, server, home):
    numpy.save(home / "a.npy", VALUES)
    with pytest.raises(KeyboardInterrupt):
        push_file(lake, REFERENCE, home / "a.npy", observer=Watching(UPLOAD_SIZE + 32 * KIB))
    note = home / ".a.npy.push"
    note.write_text(note.read_text().replace('"key": "', '"key": "not'))
    push_file(lake, REFERENCE, home / "a.npy")
    numpy.testing.assert_array_equal(stored(lake), VALUES)


@pytest.mark.parametrize("direction", ["up", "down"])
def test_a_push_over_a_network_that_breaks_arrives(far, home, direction):
    lake, network = far
    numpy.save(home / "a.npy", VALUES)
    after = (90 * KIB, 300 * KIB) if direction == "up" else (100, 900)
    network.faults += [Fault(direction, count, "reset") for count in after]
    watching = Watching()
    push_file(lake, REFERENCE, home / "a.npy", observer=watching)
    assert not network.faults
    assert watching.passed == (home / "a.npy").stat().st_size
    numpy.testing.assert_array_equal(stored(lake), VALUES)


def test_requests_that_reach_the_lake_twice_store_everything_once(lake, far, home):
    unsure, network = far
    numpy.save(home / "a.npy", VALUES)
    network.chaos = Chaos(seed=1, repeated=1.0)
    push_file(unsure, REFERENCE, home / "a.npy")
    report = push_file(unsure, REFERENCE, home / "a.npy", append=True)
    assert report.shape == (2 * len(VALUES), 2)
    numpy.testing.assert_array_equal(stored(lake), numpy.concatenate([VALUES, VALUES]))


def test_fortrans_order_is_turned_around_by_the_lake(lake, home):
    values = numpy.asfortranarray(VALUES)
    numpy.save(home / "a.npy", values)
    assert values.nbytes > UPLOAD_SIZE
    push_file(lake, REFERENCE, home / "a.npy")
    numpy.testing.assert_array_equal(stored(lake), VALUES)
    with pytest.raises(EbulkError) as caught:
        push_file(lake, REFERENCE, home / "a.npy", append=True)
    assert str(caught.value) == (
        f"{home / 'a.npy'} has its elements in Fortran's order, in which an array has no end to append to."
    )
    assert caught.value.hint == "Save numpy.ascontiguousarray(array), and append that."


# append


def test_an_append_that_was_broken_off_goes_on_and_doubles_nothing(lake, send, home):
    send(VALUES[:7])
    numpy.save(home / "a.npy", VALUES)
    with pytest.raises(KeyboardInterrupt):
        push_file(lake, REFERENCE, home / "a.npy", append=True, observer=Watching(APPEND_SIZE + 32 * KIB))
    assert len(Array(lake, REFERENCE)) == 7 + APPEND_SIZE // 16
    watching = Watching()
    report = push_file(lake, REFERENCE, home / "a.npy", append=True, observer=watching)
    assert report == ArrayPushReport(
        REFERENCE, str(home / "a.npy"), True, (7 + len(VALUES), 2), VALUES.nbytes, resumed=True
    )
    assert watching.reused + watching.passed == VALUES.nbytes
    numpy.testing.assert_array_equal(stored(lake), numpy.concatenate([VALUES[:7], VALUES]))
    assert names(home) == ["a.npy"]


def test_an_append_whose_answer_was_lost_is_not_done_twice(far, send, home):
    send(VALUES[:7])
    lake, network = far
    numpy.save(home / "a.npy", VALUES[:1000])
    network.faults.append(Fault("down", 0, "reset"))
    push_file(lake, REFERENCE, home / "a.npy", append=True)
    assert not network.faults
    assert len(Array(lake, REFERENCE)) == 1007


def test_the_same_file_can_be_appended_again_on_purpose(lake, send, home):
    send(VALUES[:7])
    numpy.save(home / "a.npy", VALUES[:3])
    for length in (10, 13):
        assert push_file(lake, REFERENCE, home / "a.npy", append=True).shape == (length, 2)


def test_rows_of_no_bytes_and_no_rows_are_appended_too(lake, send, home):
    send(VALUES[:7])
    numpy.save(home / "a.npy", VALUES[:0])
    assert push_file(lake, REFERENCE, home / "a.npy", append=True).size == 0
    assert len(Array(lake, REFERENCE)) == 7


def test_a_file_that_changes_while_it_is_sent_is_told(lake, home):
    numpy.save(home / "a.npy", VALUES)

    class Changing(Silent):
        def advance(self, path, count):
            os.utime(path, ns=(0, 0))

    with pytest.raises(ChangedError, match="a.npy changed while it was sent"):
        push_file(lake, REFERENCE, home / "a.npy", observer=Changing())
    with pytest.raises(NotFoundError):
        lake.array(REFERENCE)


@pytest.mark.parametrize(
    ("values", "append", "kind", "message"),
    [
        (numpy.float64(3), False, EbulkError, "{path} has no axis: it is a single value."),
        (numpy.zeros((3, 5)), True, ConflictError, r"Values of shape \(3, 5\) cannot be appended to an array of shape"),
        (numpy.zeros((3, 2), complex), True, ConflictError, "Values of dtype complex128 might lose something"),
    ],
)
def test_what_does_not_fit_is_refused(lake, send, home, values, append, kind, message):
    send(VALUES[:7])
    numpy.save(home / "a.npy", values)
    with pytest.raises(kind, match=message.format(path=home / "a.npy")):
        push_file(lake, REFERENCE, home / "a.npy", append=append)
    assert stored(lake).shape == (7, 2)


def test_rows_that_no_lake_takes_at_once_are_told_before_they_are_sent(lake, send, home):
    send(VALUES[:7])
    path = home / "a.npy"
    length = LARGEST_ROW // 8 + 1
    header = make_header("<f8", (2, length))
    path.write_bytes(header)
    os.truncate(path, len(header) + 2 * length * 8)
    with pytest.raises(EbulkError) as caught:
        push_file(lake, REFERENCE, path, append=True)
    assert str(caught.value) == f"{path} has rows of 67,108,872 bytes, of which a lake appends 67,108,864 at a time."
    assert caught.value.hint == "Push the whole array instead, or give it a shorter second axis."
    assert names(home) == ["a.npy"]


def test_a_file_that_is_not_there_or_no_array_is_told(lake, home):
    with pytest.raises(UsageError, match=r"^There is no file '.*a\.npy'\.$"):
        push_file(lake, REFERENCE, home / "a.npy")
    (home / "a.npy").write_text("text")
    with pytest.raises(EbulkError, match="a.npy is no .npy file"):
        push_file(lake, REFERENCE, home / "a.npy")


def test_a_note_that_cannot_be_written_is_told(lake, send, home):
    send(VALUES[:7])
    numpy.save(home / "a.npy", VALUES[:3])
    (home / ".a.npy.push").mkdir()
    with pytest.raises(EbulkError, match=r"\.a\.npy\.push cannot be written: is a directory"):
        push_file(lake, REFERENCE, home / "a.npy", append=True)


def test_a_lake_that_has_gone_is_told_and_what_was_sent_is_kept(far, home):
    lake, network = far
    numpy.save(home / "a.npy", VALUES)
    impatient = Lake(lake.url, Basic("ada", PASSWORD), retry_max_time=0, compress="never")
    network.faults.append(Fault("up", UPLOAD_SIZE + 32 * KIB, "reset"))
    with pytest.raises(NetworkError):
        push_file(impatient, REFERENCE, home / "a.npy")
    impatient.close()
    watching = Watching()
    push_file(lake, REFERENCE, home / "a.npy", observer=watching)
    assert watching.reused == UPLOAD_SIZE
