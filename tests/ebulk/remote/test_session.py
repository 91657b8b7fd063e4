"""Requests reach one host, are tried again when that may help, and stop at once when told to."""

from __future__ import annotations

import socket
import threading
import time
from base64 import b64encode
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest

import ebulk
from ebulk.errors import EbulkError, NetworkError, UsageError
from ebulk.remote.credentials import Basic
from ebulk.remote.failure import StoppedError, TransientError
from ebulk.remote.retry import Notices
from ebulk.remote.session import Session, Settings, ignore
from support.faults import Fault, faulty_network
from support.scripted_server import Answer, document, greeting_server, problem, reply, scripted, scripted_server

MIB = 1024 * 1024


def session_with(url: str, notify: Callable[[str], None] = ignore, **options: object) -> Session:
    settings = {"stall_timeout": 5.0, "backoff": lambda failures: 0.0, "notices": Notices(notify), **options}
    return Session(Settings(url, **settings))


def free_address() -> str:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return "{}:{}".format(*listener.getsockname())


def get(session: Session) -> object:
    return session.call("GET", session.api("/x"))[1]


def test_connection_is_kept_for_the_next_request():
    with scripted(document([1])) as server, session_with(server.url) as session:
        for _ in range(3):
            assert get(session) == [1]
        assert server.connections == 1


@pytest.mark.parametrize("method", ["HEAD", "DELETE"])
def test_connection_is_kept_after_an_answer_without_a_body(method):
    with scripted(reply(204)) as server, session_with(server.url) as session:
        for _ in range(3):
            with session.request(method, session.api("/x"), expect=(204,)):
                pass
        assert server.connections == 1


def test_answer_that_was_not_read_closes_its_connection():
    with scripted(reply(200, bytes(MIB))) as server, session_with(server.url) as session:
        for _ in range(2):
            with session.request("GET", session.api("/x"), expect=(200,)) as answer:
                answer.read(10)
        assert server.connections == 2


def test_credentials_and_the_program_name_are_sent():
    with scripted(document([])) as server, session_with(server.url, credentials=Basic("ada", "pw")) as session:
        get(session)
        headers = server.requests[0].headers
        assert headers["authorization"] == "Basic YWRhOnB3"
        assert headers["user-agent"] == f"ebulk/{ebulk.__version__}"


def test_redirect_is_not_followed_so_that_nobody_else_gets_the_credentials():
    with scripted(document([])) as thief, scripted(reply(302, Location=f"{thief.url}/api/v1/x")) as server:
        session = session_with(server.url, credentials=Basic("ada", "pw"))
        with session, pytest.raises(EbulkError, match="which is not followed"):
            get(session)
        assert thief.requests == []


def test_location_keeps_its_path_only():
    session = session_with("https://lake.example/erp5")
    assert session.locate("http://127.0.0.1:8080/erp5/api/v1/u/1?a=b") == "/erp5/api/v1/u/1?a=b"
    assert session.locate("/erp5/api/v1/u/1") == "/erp5/api/v1/u/1"


def test_text_that_is_no_url_of_a_lake_is_a_usage_error():
    with pytest.raises(UsageError, match="'lake.example' is not the URL of a lake"):
        Settings("lake.example")


def test_busy_lake_is_asked_again_and_that_is_told_once():
    notes: list[str] = []
    answers = problem(503, "Starting."), problem(429, "Too many."), document("there")
    with scripted(*answers) as server, session_with(server.url, notify=notes.append) as session:
        assert get(session) == "there"
    assert notes == ["Starting. Trying again."]


def test_client_error_is_never_tried_again():
    with scripted(problem(400, "No."), document("there")) as server, session_with(server.url) as session:
        with pytest.raises(EbulkError, match=r"^No\.$"):
            get(session)
        assert len(server.requests) == 1


def test_retries_are_given_up_after_the_time_and_the_last_error_is_named():
    with scripted(problem(503, "Starting.")) as server:
        session = session_with(server.url, retry_max_time=0.2, backoff=lambda failures: 0.1)
        with session, pytest.raises(NetworkError, match=r"^Starting\. Nothing got through for 0 s\.$"):
            get(session)
        assert len(server.requests) == 3


def test_connection_that_breaks_is_tried_again():
    answers = Answer(b"", "reset"), Answer(b"HTTP/1.1 200 OK\r\nContent-Le", "close"), document("there")
    with scripted(*answers) as server, session_with(server.url) as session:
        assert get(session) == "there"
        assert len(server.requests) == 3


def test_answer_cut_within_its_header_is_not_taken_for_a_whole_one():
    cut = Answer(b"HTTP/1.1 204 No Content\r\nServer: waitress\r\n", "close")
    with scripted(cut, reply(204, Upload_Offset="5")) as server, session_with(server.url) as session:
        with pytest.raises(TransientError, match="the answer was cut short"):
            session.request("PATCH", session.api("/x"), expect=(204,))
        with session.request("PATCH", session.api("/x"), expect=(204,)) as answer:
            assert answer.headers["Upload-Offset"] == "5"


def test_answer_cut_short_is_tried_again():
    cut = Answer(b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 10\r\n\r\n["a', "close")
    notes: list[str] = []
    with scripted(cut, document(["a"])) as server, session_with(server.url, notify=notes.append) as session:
        assert get(session) == ["a"]
        broke = f"The connection to {server.address} broke: the answer was cut short."
        assert notes == [f"{broke} Trying again."]


def test_stalled_answer_is_given_up_after_the_stall_timeout_and_tried_again():
    notes: list[str] = []
    with scripted(Answer(b"HTTP/1.1 200 OK\r\n", "stall"), document("there")) as server:
        with session_with(server.url, stall_timeout=0.2, notify=notes.append) as session:
            assert get(session) == "there"
        stalled = f"The connection to {server.address} stalled: nothing came or went for 0 s."
        assert notes == [f"{stalled} Trying again."]


def test_stalled_upload_is_noticed():
    with scripted(document("there")) as server, faulty_network(server.address) as network:
        network.faults.append(Fault("up", MIB, "stall"))
        with session_with(f"http://{network.address}/erp5", stall_timeout=0.3) as session:
            blocks = (memoryview(bytes(MIB)) for _ in range(64))
            with pytest.raises(TransientError, match="stalled"):
                session.request("PUT", session.api("/x"), expect=(200,), body=blocks, length=64 * MIB)


def test_server_that_is_not_there_fails_at_the_first_attempt():
    address = free_address()
    notes: list[str] = []
    with session_with(f"http://{address}/erp5", notify=notes.append) as session, pytest.raises(NetworkError) as raised:
        get(session)
    assert str(raised.value) == f"No connection to {address}: connection refused. Is the server running?"
    assert raised.value.exit_code == 4
    assert notes == []


def test_server_that_went_away_is_waited_for():
    notes: list[str] = []
    with (
        scripted(Answer(document([]).data, "close")) as server,
        session_with(server.url, notes.append, retry_max_time=0.2, backoff=lambda failures: 0.1) as session,
    ):
        get(session)
        server.close()
        with pytest.raises(NetworkError, match="Is the server running"):
            get(session)
    assert notes == [f"No connection to {server.address}: connection refused. Is the server running? Trying again."]


def test_host_that_does_not_exist_is_named():
    with session_with("http://no-such-host.invalid/erp5") as session, pytest.raises(NetworkError) as raised:
        get(session)
    assert str(raised.value) == (
        "The host no-such-host.invalid cannot be found. Is its name right, and is there a network?"
    )


def test_server_that_does_not_speak_http_is_no_lake():
    with greeting_server(b"SSH-2.0-OpenSSH_9.2\r\n") as server, session_with(server.url) as session:
        with pytest.raises(EbulkError) as raised:
            get(session)
        assert str(raised.value) == f"There is no data lake at {server.address}: it answers something that is not HTTP."
        assert server.connections == 1


def test_server_that_does_not_speak_tls_is_told():
    with greeting_server(b"HTTP/1.1 400 Bad Request\r\n\r\n") as server:
        session = session_with(f"https://{server.address}/erp5")
        with session, pytest.raises(NetworkError) as raised:
            get(session)
    assert str(raised.value) == f"{server.address} does not speak TLS."
    assert raised.value.hint == "Its URL may begin with http:// instead of https://."


def test_page_instead_of_json_is_no_lake():
    with scripted(reply(200, b"<html>")) as server, session_with(server.url) as session:
        with pytest.raises(EbulkError) as raised:
            get(session)
        assert str(raised.value) == f"There is no data lake at {server.url}: it answers HTTP 200 with text/html."


def test_broken_json_is_no_lake():
    with scripted(reply(200, b"{", "application/json")) as server:
        session = session_with(server.url)
        with session, pytest.raises(EbulkError, match="it answers broken JSON"):
            get(session)


def test_repeated_delete_that_finds_nothing_has_succeeded():
    with scripted(Answer(b"", "reset"), problem(404, "Gone.")) as server, session_with(server.url) as session:
        assert session.call("DELETE", session.api("/x"), expect=(204,)) == (404, None)


def test_requests_go_through_the_proxy():
    with scripted(document("by proxy")) as proxy:
        with session_with("http://lake.example/erp5", proxy=f"http://{proxy.address}") as session:
            assert get(session) == "by proxy"
        assert proxy.requests[0].target == "http://lake.example/erp5/api/v1/x"


def test_proxy_is_given_the_user_and_password_of_its_url_and_the_lake_is_not():
    with scripted(document("by proxy")) as proxy:
        with session_with("http://lake.example/erp5", proxy=f"http://ada:ge%20heim@{proxy.address}") as session:
            assert get(session) == "by proxy"
        assert proxy.requests[0].headers["proxy-authorization"] == f"Basic {b64encode(b'ada:ge heim').decode()}"
        assert "authorization" not in proxy.requests[0].headers


@pytest.mark.parametrize("proxy", ["socks5://p:1080", "http://[p"])
def test_what_is_no_url_of_a_proxy_is_a_usage_error(proxy):
    with pytest.raises(UsageError) as raised:
        session_with("http://lake.example/erp5", proxy=proxy)
    assert str(raised.value) == "The environment names an HTTP proxy by what is not the URL of one."
    assert raised.value.hint.startswith("Put http_proxy, https_proxy or all_proxy right: ")


def test_threads_that_meet_the_same_failure_tell_of_it_once():
    notes: list[str] = []
    together = threading.Barrier(4, timeout=10)

    def answer(request):
        with suppress(threading.BrokenBarrierError):
            if len(server.requests) <= 4:
                together.wait()
        return problem(503, "Starting.") if len(server.requests) <= 4 else document("there")

    with (
        scripted_server(answer) as server,
        session_with(server.url, notify=notes.append, backoff=lambda failures: 0.1) as session,
        ThreadPoolExecutor(4) as pool,
    ):
        assert [future.result() for future in [pool.submit(get, session) for _ in range(4)]] == ["there"] * 4
    assert notes == ["Starting. Trying again."]


def test_server_that_does_not_answer_in_tls_is_not_tried_again():
    """As one that speaks plain HTTP and waits for the end of what it takes for a request's first line."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        host = "{}:{}".format(*silent.getsockname())
        with session_with(f"https://{host}/erp5", stall_timeout=0.2) as session, pytest.raises(NetworkError) as raised:
            get(session)
    assert str(raised.value) == f"{host} was connected to, and does not answer in TLS."
    assert raised.value.hint.startswith("Check the lake's URL, http or https too, ")


def test_proxy_that_is_not_there_is_told_from_the_lake():
    address = free_address()
    session = session_with("http://lake.example/erp5", proxy=f"http://{address}")
    with session, pytest.raises(NetworkError) as raised:
        get(session)
    assert str(raised.value) == "The HTTP proxy cannot be used: connection refused."


def stopped_while(session: Session, request: object, under_way: threading.Event) -> float:
    """Stop a session once a request of another thread is under way; seconds until it ended with StoppedError."""
    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(request)
        assert under_way.wait(5)
        start = time.monotonic()
        session.stop()
        with pytest.raises(StoppedError):
            future.result(timeout=5)
        return time.monotonic() - start


def test_stop_ends_a_request_that_waits_for_its_answer():
    arrived = threading.Event()

    def answer(request):
        arrived.set()
        return Answer(b"", "stall")

    with scripted_server(answer) as server, session_with(server.url, stall_timeout=60.0) as session:
        assert stopped_while(session, lambda: get(session), arrived) < 1


def test_stop_ends_an_upload():
    sending = threading.Event()

    def blocks():
        for number in range(64):
            if number == 2:
                sending.set()
            yield memoryview(bytes(MIB))

    with scripted(document([])) as server, faulty_network(server.address) as network:
        network.faults.append(Fault("up", 4 * MIB, "stall"))
        with session_with(f"http://{network.address}/erp5", stall_timeout=60.0) as session:

            def send():
                session.request("PUT", session.api("/x"), expect=(200,), body=blocks(), length=64 * MIB)

            assert stopped_while(session, send, sending) < 1


def test_stop_ends_the_wait_before_a_retry():
    told = threading.Event()
    with scripted(problem(503, "Later.")) as server:
        session = session_with(server.url, backoff=lambda failures: 60.0, notify=lambda note: told.set())
        with session:
            assert stopped_while(session, lambda: get(session), told) < 1


def test_session_that_was_stopped_sends_nothing_more():
    with scripted(document([])) as server, session_with(server.url) as session:
        session.stop()
        with pytest.raises(StoppedError):
            get(session)
        assert server.requests == []
