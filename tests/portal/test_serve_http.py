"""Waitress as we run it, in front of small WSGI applications."""

from __future__ import annotations

import http.client
import io
import json
import os
import random
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from waitress import wasyncore

from Products.ERP5Wendelin.portal import request_body
from Products.ERP5Wendelin.portal.request_body import ANONYMOUS, LARGEST, Room
from Products.ERP5Wendelin.portal.serve import listen
from Products.ERP5Wendelin.portal.serve_http import RESPONSE_BLOCK, Server, make_server
from Products.ERP5Wendelin.protocol import KIB, MIB

TIMEOUT = 60


@contextmanager
def serving(application: Callable[..., Any]) -> Iterator[Server]:
    """A server whose loop runs in a thread."""
    server = make_server(application, listen(("127.0.0.1", 0)))
    stopping = threading.Event()

    def loop() -> None:
        while not stopping.is_set():
            wasyncore.loop(timeout=0.1, use_poll=True, map=server._map, count=1)

    thread = threading.Thread(target=loop)
    thread.start()
    try:
        yield server
    finally:
        stopping.set()
        server.pull_trigger()
        thread.join(TIMEOUT)
        server.task_dispatcher.shutdown()
        wasyncore.close_all(server._map)


def test_a_body_larger_than_memory_allows_arrives_by_way_of_a_temporary_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    seen: list[object] = []

    def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        body = environ["wsgi.input"]
        descriptor = body.fileno()
        seen.extend((os.readlink(f"/proc/self/fd/{descriptor}"), os.fstat(descriptor).st_size))
        start_response("204 No Content", [])
        return []

    with serving(application) as server:
        connection = http.client.HTTPConnection("127.0.0.1", server.effective_port, timeout=TIMEOUT)
        connection.request("PATCH", "/", body=bytes(LARGEST + 1), headers={"Authorization": "Basic eDp4"})
        assert connection.getresponse().status == 204
        connection.close()
    name, size = seen
    assert str(name).startswith(str(tmp_path))
    assert size == LARGEST + 1


def echo(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
    """Answer the class of the body, and its content as it was sent."""
    body = environ["wsgi.input"]
    start_response("200 OK", [("X-Class", type(body).__name__)])
    return [body.read()]


@pytest.mark.parametrize(
    ("size", "room", "expected"),
    [
        (MIB, MIB, "MemoryBody"),
        (MIB, MIB - 1, "BufferedRandom"),
        (512 * KIB - 1, MIB, "BytesIO"),
    ],
)
def test_a_body_is_in_memory_while_there_is_room_for_it(
    size: int, room: int, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(request_body, "ROOM", Room(room))
    content = random.Random("body").randbytes(size)
    with serving(echo) as server:
        connection = http.client.HTTPConnection("127.0.0.1", server.effective_port, timeout=TIMEOUT)
        for _ in range(3):
            connection.request("PUT", "/", body=content)
            response = connection.getresponse()
            assert response.getheader("X-Class") == expected
            assert response.read() == content
        connection.close()
    assert request_body.ROOM.left == room


def test_a_body_whose_client_goes_away_gives_its_memory_back(monkeypatch: pytest.MonkeyPatch) -> None:
    given_back = threading.Event()

    class Watched(Room):
        def give_back(self, size: int) -> None:
            super().give_back(size)
            given_back.set()

    monkeypatch.setattr(request_body, "ROOM", Watched(MIB))
    with serving(echo) as server:
        with socket.create_connection(("127.0.0.1", server.effective_port), timeout=TIMEOUT) as client:
            client.sendall(b"PUT / HTTP/1.1\r\nHost: lake\r\nContent-Length: 1000000\r\n\r\n" + bytes(600_000))
        assert given_back.wait(TIMEOUT)
    assert request_body.ROOM.left == MIB


@pytest.mark.parametrize("answer", [[], [b"piece", b"piece"]])
def test_a_connection_stays_open_behind_an_answer_whose_end_is_known_without_a_length(answer: list[bytes]) -> None:
    def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterator[bytes]:
        start_response("200 OK" if answer else "204 No Content", [])
        return iter(answer)

    with serving(application) as server:
        connection = http.client.HTTPConnection("127.0.0.1", server.effective_port, timeout=TIMEOUT)
        for headers, closes in (({}, None), ({"Connection": "close"}, "close")):
            connection.request("PATCH", "/", headers=headers)
            response = connection.getresponse()
            assert response.read() == b"".join(answer)
            assert response.getheader("Connection") == closes
        connection.close()


def test_a_file_that_cannot_be_sought_is_read_in_large_blocks() -> None:
    sizes: list[int] = []

    class Source:
        left = 3 * RESPONSE_BLOCK

        def read(self, size: int) -> bytes:
            sizes.append(size)
            size = min(size, self.left)
            self.left -= size
            return bytes(size)

    def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
        start_response("200 OK", [("Content-Length", str(3 * RESPONSE_BLOCK))])
        return environ["wsgi.file_wrapper"](Source())

    with serving(application) as server:
        connection = http.client.HTTPConnection("127.0.0.1", server.effective_port, timeout=TIMEOUT)
        connection.request("GET", "/")
        assert len(connection.getresponse().read()) == 3 * RESPONSE_BLOCK
        connection.close()
    assert set(sizes) == {RESPONSE_BLOCK}


@pytest.mark.parametrize(("method", "size"), [("GET", 1000), ("HEAD", 0)])
def test_the_access_log_has_the_size_of_an_answer_that_is_a_file(
    method: str, size: int, caplog: pytest.LogCaptureFixture
) -> None:
    def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
        start_response("200 OK", [("Content-Length", "1000")])
        return environ["wsgi.file_wrapper"](io.BytesIO(bytes(1000))) if method == "GET" else []

    with caplog.at_level("INFO", "wendelin.access"), serving(application) as server:
        connection = http.client.HTTPConnection("127.0.0.1", server.effective_port, timeout=TIMEOUT)
        connection.request(method, "/")
        assert len(connection.getresponse().read()) == size
        connection.close()
    assert f'"{method} / HTTP/1.1" 200 {size} ' in caplog.text


@pytest.mark.parametrize("version", ["1.1", "1.0"])
def test_the_access_log_has_the_size_of_an_answer_whose_length_is_not_announced(
    version: str, caplog: pytest.LogCaptureFixture
) -> None:
    def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterator[bytes]:
        start_response("200 OK", [])
        return iter([bytes(600), bytes(400)])

    with (
        caplog.at_level("INFO", "wendelin.access"),
        serving(application) as server,
        socket.create_connection(("127.0.0.1", server.effective_port), timeout=TIMEOUT) as client,
    ):
        client.sendall(b"GET / HTTP/%b\r\nHost: lake\r\nConnection: close\r\n\r\n" % version.encode())
        while client.recv(KIB):
            pass
    assert f'"GET / HTTP/{version}" 200 1000 ' in caplog.text


def test_a_client_that_stops_reading_is_dropped_and_gives_its_thread_back() -> None:
    ended = threading.Event()

    def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterator[bytes]:
        start_response("200 OK", [("Content-Length", str(1 << 40))])

        def body() -> Iterator[bytes]:
            try:
                while True:
                    yield bytes(MIB)
            finally:
                ended.set()

        return body()

    with serving(application) as server:
        server.adj.cleanup_interval, server.adj.channel_timeout, server.next_channel_cleanup = 0, 1, 0
        with socket.create_connection(("127.0.0.1", server.effective_port), timeout=TIMEOUT) as client:
            client.sendall(b"GET / HTTP/1.1\r\nHost: lake\r\n\r\n")
            assert client.recv(1)
            assert not ended.is_set()
            assert ended.wait(TIMEOUT)


def test_a_failing_application_is_500_without_a_traceback_and_one_line_in_the_access_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        raise RuntimeError("a secret")

    with caplog.at_level("INFO"), serving(application) as server:
        connection = http.client.HTTPConnection("127.0.0.1", server.effective_port, timeout=TIMEOUT)
        connection.request("GET", "/x")
        response = connection.getresponse()
        assert response.status == 500
        assert b"secret" not in response.read()
        connection.close()
    (line,) = (record.getMessage() for record in caplog.records if record.name == "wendelin.access")
    assert '"GET /x HTTP/1.1" 500 ' in line
    assert [record.getMessage() for record in caplog.records if record.levelname == "ERROR"] == [
        "Exception while serving /x"
    ]


def test_a_request_that_makes_no_sense_has_a_line_in_the_access_log(caplog: pytest.LogCaptureFixture) -> None:
    with (
        caplog.at_level("INFO"),
        serving(lambda environ, start_response: []) as server,
        socket.create_connection(("127.0.0.1", server.effective_port), timeout=TIMEOUT) as client,
    ):
        client.sendall(b"\x16\x03\x01 what\r\n\r\n")
        assert client.makefile("rb").readline() == b"HTTP/1.0 400 Bad Request\r\n"
    assert '"- - HTTP/1.0" 400 ' in caplog.text
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


RUN = """
import sys, time
from Products.ERP5Wendelin.portal import serve
serve.GRACE = 1
def application(environ, start_response):
    if environ["PATH_INFO"] == "/slow":
        print("begun", flush=True)
        time.sleep(3600)
    start_response(sys.argv[1], [("Content-Length", "0")])
    return []
class NoAlarms:
    def start(self):
        pass
    stop = start
    def join(self, timeout):
        return True
listening = serve.listen(("127.0.0.1", 0))
serve.run(application, listening, [f"http://127.0.0.1:{listening.getsockname()[1]}/"], NoAlarms())
print("stopped")
"""


def test_a_request_that_does_not_finish_in_time_does_not_keep_it_from_stopping() -> None:
    with subprocess.Popen([sys.executable, "-c", RUN, "200 OK"], stdout=subprocess.PIPE, text=True) as process:
        port = int(process.stdout.readline().rpartition(":")[2].rstrip("/\n"))
        with socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT) as client:
            client.sendall(b"GET /slow HTTP/1.1\r\nHost: lake\r\n\r\n")
            assert process.stdout.readline() == "begun\n"
            process.terminate()
            assert client.recv(1) == b""
        assert process.communicate(timeout=TIMEOUT)[0] == "stopped\n"
        assert process.returncode == 0


def test_a_site_that_does_not_work_is_an_error_instead_of_ready() -> None:
    done = subprocess.run(
        [sys.executable, "-c", RUN, "500 Broken"], capture_output=True, text=True, timeout=TIMEOUT, check=False
    )
    assert done.returncode == 1
    assert done.stdout == ""
    assert "WendelinError: The site does not work: http://127.0.0.1:" in done.stderr
    assert done.stderr.endswith("/ answered 500 Broken. See wendelin.log.\n")


@pytest.mark.parametrize("framing", [f"Content-Length: {ANONYMOUS + 1}", "Transfer-Encoding: chunked"])
def test_large_body_from_nobody_is_refused_while_it_arrives(framing: str) -> None:
    def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        raise AssertionError("the application is not to see it")

    with serving(application) as server, socket.create_connection(server.socket.getsockname()[:2], TIMEOUT) as sock:
        sock.sendall(f"POST / HTTP/1.1\r\nHost: x\r\n{framing}\r\n\r\n".encode())
        if "chunked" in framing:
            sock.sendall(b"%x\r\n" % (2 * ANONYMOUS) + bytes(ANONYMOUS + 1))
        answer = http.client.HTTPResponse(sock, method="POST")
        answer.begin()
        assert (answer.status, answer.headers["WWW-Authenticate"][:5]) == (401, "Basic")
        assert answer.headers["Content-Type"] == "application/problem+json"
        assert json.loads(answer.read())["detail"] == "Log in first: without an account a body has at most 16 MiB."
        answer.close()


@pytest.mark.parametrize(("size", "headers"), [(ANONYMOUS, {}), (ANONYMOUS + 1, {"Authorization": "Basic eDp4"})])
def test_body_that_is_small_or_comes_with_credentials_is_taken(size: int, headers: dict[str, str]) -> None:
    def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        start_response("200 OK", [])
        return [b"%d" % len(environ["wsgi.input"].read())]

    with serving(application) as server:
        connection = http.client.HTTPConnection(*server.socket.getsockname()[:2], timeout=TIMEOUT)
        connection.request("POST", "/", bytes(size), headers)
        assert connection.getresponse().read() == b"%d" % size
        connection.close()
