"""What a data set keeps for the original ebulk; class paths and attributes are public format."""

from __future__ import annotations

import pytest

from Products.ERP5Wendelin.content.arrival import LAST, Arrival, Piece
from Products.ERP5Wendelin.storage.stream import ByteStream


@pytest.fixture
def data_set(site):
    return site.data_set_module.newDataSet("brain")


def test_data_set_keeps_nothing_before_it_is_needed(data_set):
    assert not {"_md5s", "_sent_references", "_arrivals", "dataset_version"} & set(data_set.aq_base.__getstate__())
    assert data_set.getMd5(b"1" * 32) is None
    assert data_set.getIngestionReference("a/b.txt") == "brain/a/b/txt"
    assert data_set.getDatasetVersion() == "000"
    assert (data_set.getArrival("a"), list(data_set.arrivals())) == (None, [])


def test_md5_of_a_content_stays(data_set):
    data_set.noteMd5(b"1" * 32, b"m" * 16)
    data_set.noteMd5(b"1" * 32, b"n" * 16)
    assert data_set.getMd5(b"1" * 32) == b"m" * 16
    assert list(data_set.aq_base.__getstate__()["_md5s"].items()) == [(b"1" * 32, b"m" * 16)]


def test_only_references_that_a_path_does_not_have_are_kept(data_set):
    data_set.noteIngestionReference("a.txt", "brain/a/txt")
    assert "_sent_references" not in data_set.aq_base.__getstate__()
    data_set.noteIngestionReference("a.tar.gz", "brain/a/tar.gz")
    assert dict(data_set.aq_base.__getstate__()["_sent_references"]) == {"a.tar.gz": "brain/a/tar.gz"}
    data_set.noteIngestionReference("a.tar.gz", "brain/a.tar/gz")
    assert data_set.getIngestionReference("a.tar.gz") == "brain/a.tar/gz"
    assert dict(data_set.aq_base.__getstate__()["_sent_references"]) == {}


def test_version_is_kept_as_text(data_set):
    data_set.dataset_version = "999"
    assert data_set.increaseDatasetVersion() == "1000"
    assert data_set.aq_base.__getstate__()["dataset_version"] == "1000"


def test_arrival_is_dropped_with_a_sign_for_who_writes_to_it(data_set):
    arrival = Arrival("id", "a.bin", "brain/a/bin", None)
    data_set.addArrival(arrival)
    assert data_set.getArrival("a.bin") is arrival
    data_set.dropArrival("a.bin")
    data_set.dropArrival("a.bin")
    assert (data_set.getArrival("a.bin"), arrival.dropped) == (None, True)


def test_states_of_arrivals_and_pieces_are_public():
    assert f"{Arrival.__module__}.{Arrival.__qualname__}" == "Products.ERP5Wendelin.content.arrival.Arrival"
    assert set(Arrival("id", "a", "b/a/none", 1).__getstate__()) == {
        *("ingestion", "path", "reference", "full_size", "stream", "offset", "taken", "waiting", "incoming", "modified")
    }
    assert set(Piece(ByteStream()).__getstate__()) == {"stream", "offset", "start", "stop", "sha256"}


def arrival_of(full_size=None, taken=(), waiting=()):
    arrival = Arrival("id", "a", "b/a/none", full_size)
    for number in taken:
        arrival.take(number, arrival.end + 10, b"")
    for number in waiting:
        arrival.waiting[number] = Piece(ByteStream(), 0, 10)
    return arrival


@pytest.mark.parametrize(
    ("full_size", "taken", "waiting", "next_waiting"),
    [
        (None, [1, 2], [LAST], LAST),
        (None, [1], [LAST, 3], None),
        (None, [1], [LAST, 2], 2),
        (None, [], [LAST], None),
        (None, [1, 2], [], None),
        (10, [], [LAST], LAST),
        (30, [1, 2], [LAST], LAST),
        (25, [1, 2], [LAST], LAST),
        (31, [1, 2], [LAST], None),
        (5, [], [LAST], None),
    ],
)
def test_what_is_appended_next_follows_from_what_is_here(full_size, taken, waiting, next_waiting):
    assert arrival_of(full_size, taken, waiting).next_waiting == next_waiting
