"""Streams of a real server, in this process, so that their heads can be dropped."""

import fcntl
import io
import json
import os
import threading
import time
from pathlib import Path

import msgpack
import numpy
import pytest
import transaction

from ebulk.errors import ConflictError, EbulkError, NetworkError, NotFoundError, UsageError
from ebulk.local.origin import read_origin
from ebulk.remote.credentials import Basic
from ebulk.remote.lake import Lake
from ebulk.verbs.observer import Silent
from ebulk.verbs.pull_stream import COMPARED, Part, StreamReport, copy_stream, default_file, pull_stream
from support.agent import T0, entries, send
from support.faults import Fault, faulty_network
from support.folders import read_files
from support.http_server import serve
from support.lake import PASSWORD
from support.scripted_server import Answer, problem, reply, scripted, scripted_server
from support.site import data_fs  # noqa: F401
from support.site import lake as site_lake  # noqa: F401
from support.streams import SECOND

MIB = 1 << 20
TAG = "wind.turbine"
RAW = Part(TAG)
HINT = "--discard-changes replaces it by what the lake keeps; --output names another file."


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
def stream(server):
    return Stream(server)


@pytest.fixture
def file(tmp_path):
    """The only file of its folder."""
    (tmp_path / "home").mkdir()
    return tmp_path / "home" / "turbine.raw"


class Stream:
    """A stream that the test sends to; `data` is all that it ever had."""

    def __init__(self, server):
        self._server = server
        self.data = b""

    def send(self, data):
        send(self._server.portal, TAG, data)
        self.data += data

    def drop(self, before):
        """Drop its head; the offset where it begins now."""
        with self._server.lake.open("system") as site:
            (stream,) = site.data_stream_module.objectValues()
            start = stream.dropData(before)
            transaction.commit()
        return start


class Counting(Silent):
    """Counts what it is told."""

    def __init__(self):
        self.expected = None
        self.advanced = self.reused = self.files = 0

    def expect(self, files, size):
        self.expected = (files, size)

    def advance(self, path, count):
        self.advanced += count

    def reuse(self, path, count):
        self.reused += count

    def done(self, path):
        self.files += 1


# the bytes


def test_all_bytes_come_and_later_only_new_ones(lake, stream, file):
    stream.send(os.urandom(MIB))
    told = Counting()
    assert pull_stream(RAW, lake, file, observer=told) == StreamReport(TAG, "raw", str(file), MIB, MIB, 0)
    assert (told.expected, told.advanced, told.reused, told.files) == ((1, MIB), MIB, 0, 1)
    assert file.read_bytes() == stream.data
    inode = file.stat().st_ino
    stream.send(b"more")
    told, before = Counting(), lake.traffic.received
    report = pull_stream(RAW, lake, file, observer=told)
    assert report == StreamReport(TAG, "raw", str(file), 4, MIB + 4, 0)
    assert report.changed
    assert (told.expected, told.advanced, told.reused, told.files) == ((1, MIB + 4), 4, MIB, 1)
    assert lake.traffic.received - before == COMPARED + 4
    assert (file.read_bytes(), file.stat().st_ino) == (stream.data, inode)


def test_nothing_new_changes_nothing(lake, stream, file):
    stream.send(b"data")
    pull_stream(RAW, lake, file)
    report = pull_stream(RAW, lake, file)
    assert (report.received, report.size, report.changed) == (0, 4, False)


def test_a_file_that_is_empty_is_filled(lake, stream, file):
    file.touch()
    stream.send(b"data")
    assert pull_stream(RAW, lake, file).received == 4
    assert file.read_bytes() == b"data"


def test_a_stream_that_nobody_knows_leaves_no_file(lake, file):
    with pytest.raises(NotFoundError, match="wind.turbine"):
        pull_stream(RAW, lake, file)
    assert list(file.parent.iterdir()) == []


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"xx", "it is not the beginning of what the lake keeps of 'wind.turbine'"),
        (b"dat", "it is not the beginning of what the lake keeps of 'wind.turbine'"),
        (b"some data", "it ends at byte 9 of the stream, which has 8"),
        (b"some data" * COMPARED, "it ends at byte 589,824 of the stream, which has 8"),
    ],
)
def test_a_file_that_the_stream_does_not_go_on_with_stays_unless_it_may_be_replaced(
    lake, stream, file, content, reason
):
    stream.send(b"old data")
    file.write_bytes(content)
    with pytest.raises(ConflictError) as caught:
        pull_stream(RAW, lake, file)
    assert str(caught.value) == f"{file} cannot be continued: {reason}."
    assert (caught.value.hint, caught.value.paths) == (HINT, (str(file),))
    assert read_files(file.parent) == {file.name: content.decode()}
    assert pull_stream(RAW, lake, file, discard=True) == StreamReport(TAG, "raw", str(file), 8, 8, 0)
    assert read_files(file.parent) == {file.name: "old data"}


def test_leave_to_discard_replaces_nothing_that_can_be_continued(lake, stream, file):
    stream.send(b"data")
    pull_stream(RAW, lake, file)
    stream.send(b"more")
    assert pull_stream(RAW, lake, file, discard=True).received == 4


def test_a_file_goes_on_after_the_head_it_has_was_dropped(lake, stream, file):
    stream.send(os.urandom(5 * MIB))
    pull_stream(RAW, lake, file)
    assert stream.drop(5 * MIB) == 4 * MIB
    stream.send(b"more")
    assert pull_stream(RAW, lake, file).received == 4
    assert file.read_bytes() == stream.data


def test_a_file_that_begins_where_the_head_was_dropped_goes_on_too(lake, stream, file):
    stream.send(os.urandom(5 * MIB))
    assert stream.drop(3 * MIB) == 2 * MIB
    report = pull_stream(RAW, lake, file)
    assert report == StreamReport(TAG, "raw", str(file), 3 * MIB, 3 * MIB, 2 * MIB)
    assert read_origin(file) == 2 * MIB
    assert stream.drop(5 * MIB) == 4 * MIB
    stream.send(b"more")
    assert pull_stream(RAW, lake, file) == StreamReport(TAG, "raw", str(file), 4, 3 * MIB + 4, 2 * MIB)
    assert file.read_bytes() == stream.data[2 * MIB :]


def test_only_what_is_kept_of_the_last_bytes_is_compared(lake, stream, file):
    stream.send(os.urandom(4 * MIB + 100))
    pull_stream(RAW, lake, file)
    assert stream.drop(4 * MIB) == 4 * MIB
    before = lake.traffic.received
    assert not pull_stream(RAW, lake, file).changed
    assert lake.traffic.received - before < COMPARED


def test_a_file_that_ends_where_the_stream_begins_goes_on(lake, stream, file):
    stream.send(os.urandom(4 * MIB))
    pull_stream(RAW, lake, file)
    assert stream.drop(4 * MIB) == 4 * MIB
    assert not pull_stream(RAW, lake, file).changed
    stream.send(b"more")
    assert pull_stream(RAW, lake, file).received == 4
    assert file.read_bytes() == stream.data


def test_a_file_that_ends_before_what_is_kept_is_told_of_the_gap(lake, stream, file):
    stream.send(b"beginning")
    pull_stream(RAW, lake, file)
    stream.send(os.urandom(4 * MIB))
    assert stream.drop(3 * MIB) == 2 * MIB
    with pytest.raises(ConflictError) as caught:
        pull_stream(RAW, lake, file)
    assert str(caught.value) == (
        f"{file} cannot be continued: it ends at byte 9 of the stream, of which the lake keeps only those from byte "
        "2,097,152 on."
    )
    assert caught.value.hint == HINT
    assert file.read_bytes() == b"beginning"
    assert pull_stream(RAW, lake, file, discard=True).start == 2 * MIB
    assert (file.read_bytes(), read_origin(file)) == (stream.data[2 * MIB :], 2 * MIB)


def test_another_stream_under_an_old_name_begins_at_its_beginning(lake, stream, file):
    stream.send(b"data")
    (file.parent / ".turbine.raw.origin").write_text('{"start": 4096}')
    assert pull_stream(RAW, lake, file).start == 0
    assert read_files(file.parent) == {file.name: "data"}


def test_broken_connections_cost_nothing_that_came(server, stream, file):
    stream.send(os.urandom(4 * MIB))
    with faulty_network(f"{server.host}:{server.port}") as network:
        network.faults.extend([Fault("down", MIB, "reset"), Fault("down", MIB, "close"), Fault("down", MIB, "reset")])
        lake = Lake(f"http://{network.address}/erp5", Basic("ada", PASSWORD), backoff=lambda failures: 0)
        report = pull_stream(RAW, lake, file)
        assert len(network.broken) == 3
        assert network.carried("down") < 5 * MIB
    assert report.received == 4 * MIB
    assert file.read_bytes() == stream.data


def test_what_came_before_the_network_gave_up_is_not_asked_for_again(server, stream, file):
    stream.send(os.urandom(4 * MIB))
    with faulty_network(f"{server.host}:{server.port}") as network:
        network.faults.append(Fault("down", 2 * MIB, "close"))
        lake = Lake(f"http://{network.address}/erp5", Basic("ada", PASSWORD), retry_max_time=0)
        with pytest.raises(NetworkError):
            pull_stream(RAW, lake, file)
        came = file.stat().st_size
        assert 0 < came <= 2 * MIB
        assert pull_stream(RAW, lake, file).received == 4 * MIB - came
    assert file.read_bytes() == stream.data


def test_a_lake_that_ignores_ranges_is_read_from_its_beginning(tmp_path):
    with scripted(reply(200, b"old data and more", Stream_Start="0")) as server:
        (tmp_path / "f").write_bytes(b"old data")
        report = pull_stream(RAW, Lake(server.url), tmp_path / "f")
    assert report.received == 9
    assert (tmp_path / "f").read_bytes() == b"old data and more"


def test_an_answer_that_is_too_short_is_asked_for_again(tmp_path):
    answer = reply(206, b"12345", Content_Range="bytes 0-9/10", Stream_Start="0")
    with scripted(answer) as server, pytest.raises(NetworkError) as caught:
        pull_stream(RAW, Lake(server.url, retry_max_time=0), tmp_path / "f")
    assert str(caught.value) == "The bytes of the stream 'wind.turbine' were cut short."
    assert (tmp_path / "f").read_bytes() == b"12345"


def test_bytes_that_were_dropped_meanwhile_end_a_pull(tmp_path):
    dropped = problem(416, "Dropped.", {"Content_Range": "bytes */5000", "Stream_Start": "4096"})
    answers = [reply(206, b"12345", Content_Range="bytes 0-9/10", Stream_Start="0"), dropped]
    with scripted_server(lambda request: answers.pop(0)) as server, pytest.raises(EbulkError) as caught:
        pull_stream(RAW, Lake(server.url, backoff=lambda failures: 0), tmp_path / "f")
    assert str(caught.value) == (
        "The lake does not have byte 5 of the stream 'wind.turbine', but those from 4,096 up to 5,000."
    )


def test_an_answer_without_a_length_is_no_lakes(tmp_path):
    headers = "HTTP/1.1 206 Partial Content\r\nContent-Length: 1\r\nContent-Range: bytes 0-0/*\r\n\r\nx"
    with scripted(Answer(headers.encode())) as server, pytest.raises(EbulkError) as caught:
        pull_stream(RAW, Lake(server.url), tmp_path / "f")
    assert str(caught.value) == (f"There is no data lake at {server.url}: it answers HTTP 206 without a length.")


def test_one_file_is_written_by_one_ebulk_at_a_time(lake, stream, file):
    stream.send(b"data")
    file.touch()
    with open(file, "r+b") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(EbulkError) as caught:
            pull_stream(RAW, lake, file)
    assert str(caught.value) == f"Another ebulk is at work on {file}."
    assert caught.value.hint == "Wait for it, or end it, then try again."
    assert file.read_bytes() == b""


@pytest.mark.parametrize("part", [RAW, Part(TAG, "jsonl")])
def test_a_folder_or_a_file_in_none_is_refused_before_anything_is_asked(tmp_path, part):
    lake = Lake("http://127.0.0.1:9/erp5")
    with pytest.raises(EbulkError) as caught:
        pull_stream(part, lake, tmp_path)
    assert str(caught.value) == f"{tmp_path} cannot be written: is a directory."


@pytest.mark.parametrize("part", [RAW, Part(TAG, "jsonl")])
def test_a_file_in_no_folder_is_refused(lake, stream, tmp_path, part):
    stream.send(b"")
    with pytest.raises(EbulkError) as caught:
        pull_stream(part, lake, tmp_path / "none" / "f")
    assert str(caught.value) == f"{tmp_path / 'none' / 'f'} cannot be written: no such file or directory."


def test_a_full_disk_is_told_as_that(lake, stream):
    stream.send(bytes(100_000))
    with pytest.raises(EbulkError) as caught:
        pull_stream(RAW, lake, Path("/dev/full"))
    assert str(caught.value) == "The disk has no room left for /dev/full."


def test_a_pipe_gets_the_bytes(lake, stream, tmp_path):
    stream.send(os.urandom(MIB))
    os.mkfifo(tmp_path / "pipe")
    read = []
    reader = threading.Thread(target=lambda: read.append((tmp_path / "pipe").read_bytes()))
    reader.start()
    pull_stream(RAW, lake, tmp_path / "pipe")
    reader.join()
    assert read == [stream.data]


def test_what_is_open_gets_the_bytes_that_are_kept(lake, stream):
    stream.send(os.urandom(3 * MIB))
    stream.drop(2 * MIB)
    out, told = io.BytesIO(), Counting()
    report = copy_stream(RAW, lake, out, told)
    assert (report.file, report.received, told.expected, told.advanced) == ("-", MIB, (1, MIB), MIB)
    assert out.getvalue() == stream.data[2 * MIB :]


# records of a time


def within(part):
    return Part(TAG, part, T0 + 10 * SECOND, T0 + 13 * SECOND)


def test_records_of_a_time_come_as_entries(lake, stream, file):
    stream.send(entries(100))
    report = pull_stream(within("msgpack"), lake, file)
    assert file.read_bytes() == entries(3, first=10)
    size = len(entries(3, first=10))
    assert report == StreamReport(TAG, "msgpack", str(file), size, size)
    assert list(file.parent.iterdir()) == [file]


def test_records_of_a_time_come_as_lines(lake, stream, file):
    stream.send(entries(100))
    pull_stream(within("jsonl"), lake, file)
    assert [json.loads(line) for line in file.read_text().splitlines()] == [
        {"time": f"2026-11-22T19:40:{number}.000000000Z", "record": {"n": number}} for number in (10, 11, 12)
    ]


def test_records_of_a_time_come_as_an_array(lake, stream, file):
    stream.send(entries(100))
    pull_stream(within("npy"), lake, file)
    array = numpy.load(file, allow_pickle=False)
    assert array["n"].tolist() == [10, 11, 12]
    assert array["time"].tolist() == [T0 + number * SECOND for number in (10, 11, 12)]


@pytest.mark.parametrize(("since", "until", "numbers"), [(None, 2, [0, 1]), (97, None, [97, 98, 99]), (500, None, [])])
def test_one_end_of_the_time_is_enough(lake, stream, file, since, until, numbers):
    stream.send(entries(100))
    times = [None if number is None else T0 + number * SECOND for number in (since, until)]
    pull_stream(Part(TAG, "msgpack", *times), lake, file)
    assert [record["n"] for _, record in msgpack.Unpacker(io.BytesIO(file.read_bytes()))] == numbers


def test_a_file_of_records_is_replaced_as_a_whole(lake, stream, file):
    file.write_text("old and longer than what comes")
    stream.send(entries(1))
    pull_stream(Part(TAG, "msgpack"), lake, file)
    assert file.read_bytes() == entries(1)


def test_a_failure_leaves_the_file_of_records_as_it_was(lake, file):
    file.write_text("old")
    with pytest.raises(NotFoundError):
        pull_stream(Part(TAG, "msgpack"), lake, file)
    assert read_files(file.parent) == {file.name: "old"}


@pytest.mark.parametrize("format", ["msgpack", "jsonl", "npy"])
def test_records_are_whole_also_after_breaks(server, stream, file, format):
    stream.send(entries(20_000))
    told = Counting()
    with faulty_network(f"{server.host}:{server.port}") as network:
        network.faults.extend([Fault("down", 100_000, "reset"), Fault("down", 200_000, "close")])
        lake = Lake(
            f"http://{network.address}/erp5", Basic("ada", PASSWORD), compress="never", backoff=lambda failures: 0
        )
        report = pull_stream(Part(TAG, format), lake, file, observer=told)
        whole, once = file.read_bytes(), io.BytesIO()
        network.faults.extend([Fault("down", 100_000, "reset"), Fault("down", 200_000, "close")])
        assert copy_stream(Part(TAG, format), lake, once).received == report.size
        assert len(network.broken) == 4
    assert report.received == report.size == told.advanced == len(whole)
    assert once.getvalue() == whole
    if format == "npy":
        assert numpy.load(file)["n"].tolist() == list(range(20_000))
    elif format == "jsonl":
        assert [json.loads(line)["record"]["n"] for line in whole.splitlines()] == list(range(20_000))
    else:
        assert whole == stream.data


def test_records_that_are_others_after_a_break_are_not_mixed(tmp_path):
    cut = reply(200, b'{"time": "1"}\n' * 10, "application/x-ndjson")
    answers = [Answer(cut.data[:-20], "close"), reply(200, b'{"time": "2"}\n' * 10, "application/x-ndjson")]
    with scripted_server(lambda request: answers.pop(0)) as server, pytest.raises(NetworkError) as caught:
        copy_stream(Part(TAG, "jsonl"), Lake(server.url, backoff=lambda failures: 0), io.BytesIO())
    assert str(caught.value) == (
        "The connection broke while records of 'wind.turbine' came, and by now they are others."
    )
    assert caught.value.hint == "Run the same command again: a range of times is brought from its beginning."


def test_who_gives_up_records_is_told_that_they_are_brought_from_the_beginning(tmp_path):
    answers = [problem(404, "Not yet."), problem(503, "Busy.")]
    with scripted_server(lambda request: answers.pop()) as server, pytest.raises(NetworkError) as caught:
        pull_stream(Part(TAG, "jsonl"), Lake(server.url, retry_max_time=0), tmp_path / "f")
    assert caught.value.hint == "Run the same command again: a range of times is brought from its beginning."
    assert list(tmp_path.iterdir()) == []


def test_a_lake_may_take_its_time_before_it_answers_with_records(tmp_path):
    def answer(request):
        time.sleep(0.5)
        return reply(200, b"records")

    with scripted_server(answer) as server:
        lake = Lake(server.url, stall_timeout=0.2, retry_max_time=10)
        assert pull_stream(Part(TAG, "npy"), lake, tmp_path / "f").size == 7
        with pytest.raises(NetworkError, match="stalled: nothing came or went for 0 s"):
            pull_stream(RAW, Lake(server.url, stall_timeout=0.2, retry_max_time=0), tmp_path / "g")


# what can be asked for


@pytest.mark.parametrize(
    ("arguments", "message", "hint"),
    [
        (("csv",), "'csv' is no format.", "Formats are raw, msgpack, jsonl, npy."),
        (("raw", 1), "Raw bytes cannot be chosen by time.", "Take one of the formats msgpack, jsonl, npy."),
        (("raw", None, 1), "Raw bytes cannot be chosen by time.", "Take one of the formats msgpack, jsonl, npy."),
        (("jsonl", 2, 2), "There is no time between since and until.", "Since is to be before until."),
    ],
)
def test_parts_that_there_are_none_of_are_refused(arguments, message, hint):
    with pytest.raises(UsageError) as caught:
        Part(TAG, *arguments)
    assert (str(caught.value), caught.value.hint) == (message, hint)


def test_files_are_named_after_stream_and_format():
    assert str(default_file(RAW)) == "wind.turbine.raw"
    assert str(default_file(Part("wind.turbine 7", "npy"))) == "wind.turbine 7.npy"


@pytest.mark.parametrize("reference", ["a/b", "a\nb", "é" * 120])
def test_a_stream_that_no_file_can_be_named_after_needs_a_name(reference):
    with pytest.raises(UsageError, match="No file can be named ") as caught:
        default_file(Part(reference))
    assert caught.value.hint == "Name one by --output."
