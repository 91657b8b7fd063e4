"""Clients that others wrote send by the Forward protocol, and by HTTP, to a lake that runs as users run it.

What they send is read back by HTTP, and as a Data Stream. Clients that can't be run by the tests were recorded.
"""

from __future__ import annotations

import gzip
import json
import logging
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgpack
import pytest
from backports import zstd
from fluent import asyncsender, handler, sender

from support.certificates import make_certificates
from support.faults import faulty_network
from support.forward_server import ForwardServer, forward_server
from support.http_server import basic
from support.lake import PASSWORD, ServedLake, wendelin
from support.node_logger import MODES, events_of_node, send_by_node

SECOND = 10**9
FIRST = 1_700_000_000

DEADLINE = 60
"""Seconds that anything may take on a busy machine."""

RECORDED = sorted((Path(__file__).parent / "recorded" / "forward").glob("*.msgpack"))

ACKNOWLEDGED = {
    "fluent-bit_CompressedPackedForward_metadata": 1,
    "fluent-bit_Forward": 1,
    "fluent-bit_Forward_metadata": 1,
    "fluentd_CompressedPackedForward": 3,
    "fluentd_CompressedPackedForward_zstd": 3,
    "fluentd_PackedForward": 3,
    "node_CompressedPackedForward": 2,
    "node_Forward": 2,
    "node_Message": 150,
    "node_PackedForward": 2,
    "python_Message": 0,
    "python_Message_nanoseconds": 0,
}
"""The recordings, and how many chunks of each ask to be acknowledged."""


@pytest.fixture(scope="module")
def lake(tmp_path_factory) -> Iterator[ServedLake]:
    """A lake whose server takes what agents send as well; `forward` is where."""
    lake = ServedLake(tmp_path_factory.mktemp("lake"))
    lake.init()
    lake.command = (*lake.command, "--fluentd", "127.0.0.1:0")
    lake.start()
    try:
        lake.forward = lake.process.stdout.readline().removeprefix("ready on tcp://").strip()
        lake.add_user("ada", "contributor")
        yield lake
    finally:
        lake.end()


@pytest.fixture
def tag(request) -> str:
    """A tag of the test's own."""
    return f"plant.{request.node.name}"


def ask(lake: ServedLake, tag: str, headers: dict[str, str] | None = None, query: str = "") -> tuple[int, bytes]:
    """Status and body of GET /api/v1/streams/TAG."""
    url = f"{lake.url}/api/v1/streams/{urllib.request.quote(tag)}{query}"
    request = urllib.request.Request(url, headers={"Authorization": basic("admin", PASSWORD), **(headers or {})})
    try:
        with urllib.request.urlopen(request, timeout=DEADLINE) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()


def read(lake: ServedLake, tag: str) -> bytes:
    """All of a stream."""
    status, body = ask(lake, tag)
    assert status == 200, body
    return body


def await_events(lake: ServedLake, tag: str, count: int) -> bytes:
    """All of a stream, once it has so many events: of what is sent without acknowledgement."""
    deadline = time.monotonic() + DEADLINE
    data = b""
    while len(events(data)) < count:
        assert time.monotonic() < deadline, f"{len(events(data))} of {count} events"
        status, body = ask(lake, tag, {"Range": f"bytes={len(data)}-"}, "?wait=5")
        if status in {200, 206}:
            data += body
        elif status == 404:
            time.sleep(0.05)  # nothing has arrived yet, so there is no stream to wait at
    return data


def nanoseconds(time: Any) -> int:
    """A time of the Forward protocol, in any of its forms: EventTime, with metadata as well, or seconds."""
    if isinstance(time, list):
        time, metadata = time
        assert metadata == {}
    if isinstance(time, msgpack.ExtType):
        assert time.code == 0
        return int.from_bytes(time.data[:4], "big") * SECOND + int.from_bytes(time.data[4:], "big")
    return time * SECOND


def events(data: bytes) -> list[tuple[int, dict[str, Any]]]:
    """The entries of a stream: times in nanoseconds, and records."""
    unpacker = msgpack.Unpacker()
    unpacker.feed(data)
    found = [(nanoseconds(time), record) for time, record in unpacker]
    assert unpacker.tell() == len(data)
    return found


# Python


@pytest.mark.parametrize("kind", [sender, asyncsender], ids=["sync", "async"])
def test_events_of_pythons_logger_are_there_in_order(kind, lake, tag):
    port = int(lake.forward.rpartition(":")[2])
    options = {"queue_maxsize": 2000} if kind is asyncsender else {}
    with kind.FluentSender(tag, port=port, nanosecond_precision=True, timeout=DEADLINE, **options) as logger:
        for number in range(1000):
            time = sender.EventTime(FIRST + number, number)
            assert logger.emit_with_time("", time, {"number": number, "text": "Überdruck"})
    expected = [((FIRST + number) * SECOND + number, {"number": number, "text": "Überdruck"}) for number in range(1000)]
    assert events(await_events(lake, tag, 1000)) == expected


def test_what_a_program_logs_by_pythons_logging_is_there(lake, tag):
    port = int(lake.forward.rpartition(":")[2])
    logger = logging.Logger("turbine")
    forward = handler.FluentHandler(tag, port=port, timeout=DEADLINE)
    forward.setFormatter(handler.FluentRecordFormatter({"level": "%(levelname)s"}))
    logger.addHandler(forward)
    logger.warning("blade %d is iced", 2)
    logger.info({"rpm": 14.2})
    forward.close()
    found = [record for _, record in events(await_events(lake, tag, 2))]
    assert found == [{"level": "WARNING", "message": "blade 2 is iced"}, {"level": "INFO", "rpm": 14.2}]


# Node


@pytest.mark.parametrize("mode", MODES)
def test_events_of_nodes_logger_are_acknowledged_and_there_in_order(mode, lake, tag):
    send_by_node(tag, 300, lake.forward, eventMode=mode)
    assert events(read(lake, tag)) == events_of_node(300)


def test_one_connection_serves_all_chunks_of_a_client(lake, tag):
    with faulty_network(lake.forward) as network:
        send_by_node(tag, 500, network.address)
        assert network.connections == 1
    assert events(read(lake, tag)) == events_of_node(500)


@pytest.fixture(scope="module")
def secured(lake, tmp_path_factory) -> Iterator[tuple[ForwardServer, Path]]:
    """A server with TLS, a shared key and users beside the other one, and the authority of its certificate."""
    folder = tmp_path_factory.mktemp("secrets")
    certificates = make_certificates(folder)
    for name, text in (("key", "a shared key\n"), ("users", f"ada:{PASSWORD}\n")):
        (folder / name).write_text(text)
        (folder / name).chmod(0o600)
    files = ("--shared-key-file", folder / "key", "--users-file", folder / "users")
    tls = ("--tls-certificate", certificates.certificate, "--tls-key", certificates.key)
    with forward_server(lake, *files, *tls) as server:
        yield server, certificates.authority


def security(**other: str) -> dict[str, str]:
    """What the client knows."""
    return {
        "clientHostname": "turbine-7",
        "sharedKey": "a shared key",
        "username": "ada",
        "password": PASSWORD,
        **other,
    }


def test_client_with_shared_key_user_and_tls_is_let_in(secured, lake, tag):
    server, authority = secured
    options = {"security": security(), "socket": {"tls": {"ca": str(authority)}}}
    send_by_node(tag, 100, server.address, **options)
    assert events(read(lake, tag)) == events_of_node(100)
    code = f"print(portal.data_ingestion_module.getSink('Data Stream', {tag!r}).getOwner())"
    assert wendelin("shell", lake.directory, "-c", code).stdout == "ada\n"


@pytest.mark.parametrize(
    ("other", "reason"),
    [({"sharedKey": "another key"}, "shared_key mismatch"), ({"password": "?"}, "username/password mismatch")],
    ids=["key", "password"],
)
def test_client_with_the_wrong_key_or_password_is_told_so(other, reason, secured, lake, tag):
    server, authority = secured
    options = {"security": security(**other), "socket": {"tls": {"ca": str(authority)}, "disableReconnect": True}}
    errors = send_by_node(tag, 1, server.address, code=1, **options)
    assert errors.startswith(f"AuthError: Authentication failed: {reason}: 'turbine-7' ")
    assert ask(lake, tag)[0] == 404


# HTTP


def curl(lake: ServedLake, tag: str, *arguments: str | Path) -> str:
    """The status that curl prints after sending to the policy `default`."""
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    done = subprocess.run(
        [
            *("curl", "--silent", "--show-error", "--noproxy", "*", "--output", "/dev/null"),
            *("--write-out", "%{http_code}", "--user", f"ada:{PASSWORD}", *arguments),
            f"{lake.url}/portal_ingestion_policies/default/ingest?reference={urllib.request.quote(tag)}",
        ],
        capture_output=True,
        text=True,
        timeout=DEADLINE,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


LINES = "".join(json.dumps({"number": number}) + "\n" for number in range(100)).encode()


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gzip"])
def test_lines_of_json_that_curl_sends_twice_with_a_key_are_there_once(packed, lake, tag, tmp_path):
    file = tmp_path / "lines"
    file.write_bytes(gzip.compress(LINES) if packed else LINES)
    headers = ["Content-Type: application/x-ndjson", 'Idempotency-Key: "first"']
    headers += ["Content-Encoding: gzip"] if packed else []
    options = [word for header in headers for word in ("--header", header)]
    for _ in range(2):
        assert curl(lake, tag, *options, "--data-binary", f"@{file}") == "204"
    assert read(lake, tag) == LINES


def test_what_comes_by_http_and_by_forward_is_in_one_stream(lake, tag):
    send_by_node(tag, 10, lake.forward)
    entry = msgpack.packb([FIRST, {"by": "HTTP"}])
    header = ("--header", "Content-Type: application/octet-stream")
    file = lake.directory.with_name("entry")
    file.write_bytes(entry)
    assert curl(lake, tag, *header, "--data-binary", f"@{file}") == "204"
    send_by_node(tag, 10, lake.forward)
    assert events(read(lake, tag)) == [*events_of_node(10), (FIRST * SECOND, {"by": "HTTP"}), *events_of_node(10)]


# recordings


def test_no_recording_is_missing():
    assert [file.stem for file in RECORDED] == sorted(ACKNOWLEDGED)


def replay(address: str, recording: bytes, tag: str, acknowledged: int) -> Sequence[Any]:
    """Send a recording under another tag, and return the ids of the chunks once so many are acknowledged."""
    host, _, port = address.rpartition(":")
    answers = msgpack.Unpacker()
    found: list[Any] = []
    with socket.create_connection((host, int(port)), DEADLINE) as connection:
        connection.sendall(retagged(recording, tag))
        while len(found) < acknowledged:
            data = connection.recv(65536)
            assert data, f"{len(found)} of {acknowledged} acknowledgements"
            answers.feed(data)
            found += [answer["ack"] for answer in answers]
    return found


def retagged(recording: bytes, tag: str) -> bytes:
    """The same messages, byte for byte but for their tags."""
    unpacker = msgpack.Unpacker(raw=True, strict_map_key=False)
    unpacker.feed(recording)
    parts, begin = [], 0
    while begin < len(recording):
        unpacker.read_array_header()
        head = unpacker.tell()
        unpacker.skip()
        rest = unpacker.tell()
        count = recording[begin] & 0x0F
        for _ in range(count - 1):
            unpacker.skip()
        end = unpacker.tell()
        parts += [recording[begin:head], msgpack.packb(tag), recording[rest:end]]
        begin = end
    return b"".join(parts)


@pytest.mark.parametrize("file", RECORDED, ids=lambda file: file.stem)
def test_recorded_client_gets_its_acknowledgements_and_its_events_are_there_once(file, lake, tag):
    recording, acknowledged = file.read_bytes(), ACKNOWLEDGED[file.stem]
    expected = sent(recording)
    ids = replay(lake.forward, recording, tag, acknowledged)
    stored = await_events(lake, tag, len(expected))
    assert events(stored) == expected
    assert [record["number"] for _, record in events(stored)] == list(range(len(expected)))
    if "_PackedForward" in file.stem:
        # stored without being decoded: as they were sent
        unpacker = msgpack.Unpacker(raw=True)
        unpacker.feed(recording)
        assert stored == b"".join(entries for _, entries, _ in unpacker)

    assert Counter(replay(lake.forward, recording, tag, acknowledged)) == Counter(ids)
    times = 1 if acknowledged else 2
    assert events(await_events(lake, tag, times * len(expected))) == times * expected


def sent(recording: bytes) -> list[tuple[int, dict[str, Any]]]:
    """The events of a recording."""
    unpacker = msgpack.Unpacker(raw=False, strict_map_key=False, unicode_errors="surrogateescape")
    unpacker.feed(recording)
    found = []
    for _, second, *rest in unpacker:
        if isinstance(second, (str, bytes)):
            data = second if isinstance(second, bytes) else second.encode("utf-8", "surrogateescape")
            found += events(decompressed(data, rest[-1].get("compressed", "text")))
        elif isinstance(second, list):
            found += [(nanoseconds(time), record) for time, record in second]
        else:
            found.append((nanoseconds(second), rest[0]))
    return found


def decompressed(data: bytes, compression: str) -> bytes:
    """The entries of a chunk."""
    if compression == "gzip":
        return gzip.decompress(data)
    if compression == "zstd":
        return zstd.decompress(data)
    return data


def test_what_clients_sent_is_read_as_data_streams(lake, tag):
    send_by_node(tag, 150, lake.forward, eventMode="Forward")
    code = (
        f"stream = portal.data_ingestion_module.getSink('Data Stream', {tag!r})\n"
        "records, end = stream.readMsgpackChunkList()\n"
        "import json\n"
        "print(json.dumps([[time, record] for time, record, _ in stream.iterateRecords()]))\n"
        "print(len(records), end == stream.getSize(), stream.getValidationState())\n"
    )
    found, summary = wendelin("shell", lake.directory, "-c", code).stdout.splitlines()
    assert [tuple(each) for each in json.loads(found)] == events_of_node(150)
    assert summary == "150 True validated"
