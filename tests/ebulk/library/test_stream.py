import sys
from datetime import datetime, timedelta, timezone

import numpy
import pytest

import ebulk
from support.agent import T0, entries, send
from support.lake import PASSWORD
from support.streams import SECOND, event

AT_12 = datetime(2026, 11, 22, 19, 40, 12, tzinfo=timezone.utc)


@pytest.fixture
def lake(served):
    with ebulk.Lake(served.url, user="ada", password=PASSWORD) as lake:
        yield lake


@pytest.fixture
def stream(lake, served, request):
    """A stream of its own for each test, with 100 entries of a second each."""
    send(served.url, request.node.name, entries(100))
    return lake.stream(request.node.name)


def numbers(records):
    return [record["n"] for _, record in records]


def test_a_lake_lists_its_streams(lake, stream):
    assert repr(stream) == f"<ebulk.Stream {stream.reference!r} of {lake.url}>"
    (info,) = (info for info in lake.streams(stream.reference) if info.reference == stream.reference)
    assert isinstance(info, ebulk.StreamInfo)
    assert (info.start, info.size) == stream.extent() == (0, len(entries(100)))


def test_bytes_are_read_by_their_offsets(stream):
    data = entries(100)
    assert stream.read() == data
    assert stream.read(10) == data[10:]
    assert stream.read(10, 20) == data[10:20]
    assert stream.read(stop=20) == data[:20]
    assert stream.read(len(data) - 5, len(data) + 100) == data[-5:]
    assert stream.read(20, 20) == stream.read(len(data)) == stream.read(len(data) + 7) == b""


@pytest.mark.parametrize("offsets", [(-1,), (5, 4), (None, -1)])
def test_offsets_that_there_are_none_of_are_refused(stream, offsets):
    with pytest.raises(ebulk.UsageError, match="Offsets count from 0 up, and stop is not before start"):
        stream.read(*offsets)


@pytest.mark.parametrize(
    "since",
    [
        T0 + 12 * SECOND,
        AT_12,
        AT_12.astimezone().replace(tzinfo=None),
        AT_12.astimezone(timezone(timedelta(hours=5, minutes=30))),
        numpy.datetime64("2026-11-22T19:40:12"),
        numpy.datetime64(T0 + 12 * SECOND, "ns"),
        "2026-11-22T19:40:12Z",
        "2026-11-22T14:40:12-05:00",
    ],
)
def test_times_are_numbers_texts_and_what_python_and_numpy_have(stream, since):
    assert numbers(stream.records(since=since, until=T0 + 15 * SECOND)) == [12, 13, 14]


@pytest.mark.parametrize("since", [1.5, True, object])
def test_what_is_no_time_is_refused(stream, since):
    with pytest.raises(ebulk.UsageError) as caught:
        stream.records(since=since)
    assert str(caught.value) == f"{since!r} is no time."
    assert caught.value.hint == "Give a datetime, text such as '1h', or nanoseconds since the epoch."


def test_records_are_pairs_with_names(stream):
    first = next(stream.records())
    assert first == ebulk.Record(T0, {"n": 0})
    assert (first.time, first.record) == (T0, {"n": 0})


def test_records_become_an_array(stream):
    array = stream.to_numpy(since=AT_12)
    assert array.dtype["time"] == numpy.dtype("datetime64[ns]")
    assert array["n"].tolist() == list(range(12, 100))
    assert numbers(stream.records(since=array["time"][-2])) == [98, 99]
    assert len(stream.to_numpy(since="2100-01-01")) == 0


def test_without_numpy_the_way_to_it_is_told(stream, monkeypatch):
    monkeypatch.setitem(sys.modules, "numpy", None)
    with pytest.raises(ebulk.EbulkError) as caught:
        stream.to_numpy()
    assert str(caught.value) == "to_numpy needs NumPy, which is not installed."
    assert caught.value.hint == "`pip install numpy` gets it."


def test_who_follows_gets_what_is_there_and_what_arrives(stream, served):
    followed = stream.follow(since=AT_12)
    assert numbers(next(followed) for _ in range(88)) == list(range(12, 100))
    send(served.url, stream.reference, event(T0 + 100 * SECOND, {"n": "new"}))
    assert next(followed) == ebulk.Record(T0 + 100 * SECOND, {"n": "new"})
    followed.close()


def test_a_stream_is_pulled_into_a_file(stream, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    told = []
    report = stream.pull(progress=told.append)
    assert isinstance(report, ebulk.StreamReport)
    assert (tmp_path / f"{stream.reference}.raw").read_bytes() == entries(100)
    assert told[-1] == ebulk.Snapshot("Transferring", 1, 1, report.size, report.size)
    assert not stream.pull().changed
    stream.pull("some.npy", format="npy", since=AT_12, until=T0 + 14 * SECOND)
    assert numpy.load("some.npy")["n"].tolist() == [12, 13]
    (tmp_path / "mine").write_text("mine")
    with pytest.raises(ebulk.ConflictError):
        stream.pull("mine")
    stream.pull("mine", discard_changes=True)
    assert (tmp_path / "mine").read_bytes() == entries(100)


@pytest.mark.parametrize("reference", ["Kühlung 1.temp", "hall/one.temp", "a%2Fb.c?d"])
def test_a_stream_may_have_any_name(lake, served, reference):
    send(served.url, reference, entries(1))
    assert lake.stream(reference).read() == entries(1)
    assert numbers(lake.stream(reference).records()) == [0]


def test_a_stream_that_is_not_there_is_told_when_it_is_asked(lake):
    stream = lake.stream("nowhere")
    for ask in (stream.extent, stream.read, stream.pull, stream.to_numpy, lambda: next(stream.follow())):
        with pytest.raises(ebulk.NotFoundError, match="nowhere"):
            ask()
