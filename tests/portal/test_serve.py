"""`wendelin serve`: from the first request to a clean stop, in a process of its own."""

from __future__ import annotations

import base64
import contextlib
import http.client
import json
import re
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from Products.ERP5Wendelin.errors import BadInput, Conflict
from Products.ERP5Wendelin.portal.serve import listen, parse_address
from support.lake import PASSWORD, ServedLake, served_lake, wendelin

TIMEOUT = 60


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedLake]:
    with served_lake(tmp_path_factory.mktemp("served")) as lake:
        yield lake


def connect(lake: ServedLake) -> http.client.HTTPConnection:
    return http.client.HTTPConnection(lake.address, timeout=TIMEOUT)


def basic(user: str, password: str = PASSWORD) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}


def whoami(lake: ServedLake, user: str, password: str = PASSWORD) -> tuple[int, dict[str, object]]:
    """Status and answer of `GET /user`."""
    with contextlib.closing(connect(lake)) as connection:
        connection.request("GET", "/erp5/api/v1/user", headers=basic(user, password))
        response = connection.getresponse()
        return response.status, json.loads(response.read())


def wait_for_log_line(lake: ServedLake, pattern: str) -> None:
    """Wait until a line of the access log matches: it is written once the answer is sent."""
    log = lake.directory / "log" / "access.log"
    deadline = time.monotonic() + TIMEOUT
    while True:
        lines = log.read_text().splitlines() if log.exists() else []
        if any(re.fullmatch(pattern, line) for line in lines):
            return
        assert time.monotonic() < deadline, f"no line of {lines} matches {pattern}"
        time.sleep(0.01)


def test_a_user_added_by_another_process_may_log_in_at_once_and_one_removed_may_not(lake: ServedLake) -> None:
    assert whoami(lake, "ada")[0] == 401
    lake.add_user("ada", "contributor")
    assert whoami(lake, "ada") == (200, {"name": "ada", "roles": ["Contributor"]})
    assert wendelin("user", "list", lake.directory).stdout == "ada\tcontributor\nadmin\tmanager\n"
    wendelin("user", "remove", lake.directory, "ada")
    assert whoami(lake, "ada")[0] == 401


def test_what_a_request_commits_is_seen_by_a_command_at_once(lake: ServedLake) -> None:
    with contextlib.closing(connect(lake)) as connection:
        connection.request("PUT", "/erp5/api/v1/data-sets/scans", headers=basic("admin"))
        assert connection.getresponse().status == 201
    script = f"""
from Products.ERP5Wendelin.portal.instance import find, perform
from Products.ERP5Wendelin.content.site import enter_site
print(perform(find({str(lake.directory)!r}),
              lambda app: enter_site(app).data_set_module.getDataSet("scans").getReference()))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=TIMEOUT, check=True)
    assert done.stdout == "scans\n"


def test_the_access_log_names_who_did_what_but_no_password_or_query(lake: ServedLake) -> None:
    whoami(lake, "admin")
    with contextlib.closing(connect(lake)) as connection:
        connection.request("GET", "/erp5/api/v1/%C3%A9?password=s3cret", headers=basic("nobody", "s3cret"))
        connection.getresponse().read()
    wait_for_log_line(
        lake,
        r"127\.0\.0\.1 - admin \[\d\d/\w{3}/\d{4}:\d\d:\d\d:\d\d \+0000\]"
        r' "GET /erp5/api/v1/user HTTP/1\.1" 200 \d+ \d+\.\d{3}',
    )
    wait_for_log_line(lake, r'.* "GET /erp5/api/v1/%C3%A9 HTTP/1\.1" 401 .*')
    for name in ("access.log", "wendelin.log"):
        assert "s3cret" not in lake.log(name)
        assert PASSWORD not in lake.log(name)


def test_a_request_that_is_no_http_is_400_and_in_the_access_log(lake: ServedLake) -> None:
    host, port = lake.address.split(":")
    with socket.create_connection((host, int(port)), timeout=TIMEOUT) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nContent-Length: many\r\n\r\n")
        assert connection.recv(12) == b"HTTP/1.1 400"
        while connection.recv(1000):
            pass
    wait_for_log_line(lake, r'.* "GET / HTTP/1\.1" 400 .*')


def test_a_log_that_was_moved_away_is_begun_anew(lake: ServedLake) -> None:
    log = lake.directory / "log" / "access.log"
    log.rename(log.with_suffix(".old"))
    whoami(lake, "admin")
    wait_for_log_line(lake, r'.* - admin .* "GET /erp5/api/v1/user HTTP/1\.1" 200 .*')
    assert stat.S_IMODE(log.stat().st_mode) == 0o600


def test_a_port_in_use_is_named_with_what_to_do(lake: ServedLake, tmp_path: Path) -> None:
    done = wendelin("serve", lake.directory, "--listen", lake.address, code=1)
    assert done.stderr == (
        f"wendelin: Cannot listen on {lake.address}: Address already in use."
        " Stop what uses it, or choose another with --listen.\n"
    )


def test_an_instance_is_served_once(lake: ServedLake) -> None:
    done = wendelin("serve", lake.directory, "--listen", "127.0.0.1:0", code=1)
    assert done.stderr == f"wendelin: {lake.directory} is being served already, by another process.\n"


def test_a_killed_server_starts_again_with_everything_that_was_committed(lake: ServedLake) -> None:
    lake.add_user("eve", "downloader")
    lake.kill()
    lake.start()
    assert whoami(lake, "eve") == (200, {"name": "eve", "roles": ["Downloader"]})


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_it_cleanly_with_exit_code_0(number: int, lake: ServedLake) -> None:
    assert lake.stop(number) == 0
    assert lake.log().endswith("INFO wendelin.serve stopped\n")
    assert not (lake.directory / "var" / "storage.socket").exists()
    assert lake.errors.read_text() == ""
    lake.start()


def test_a_request_that_has_begun_is_finished_before_it_stops(lake: ServedLake) -> None:
    body = json.dumps({"title": "x" * 1000}).encode()
    with contextlib.closing(connect(lake)) as connection, contextlib.closing(connect(lake)) as idle:
        idle.connect()
        connection.putrequest("PUT", "/erp5/api/v1/data-sets/begun")
        for name, value in {
            **basic("admin"),
            "Content-Length": str(len(body)),
            "Content-Type": "application/json",
        }.items():
            connection.putheader(name, value)
        connection.endheaders(body[:500])
        whoami(lake, "admin")  # the server reads connections in turn: it has the first half now
        lake.process.send_signal(signal.SIGTERM)
        assert idle.sock.recv(1) == b""  # it is stopping: idle connections are closed
        with pytest.raises(ConnectionRefusedError):
            connect(lake).connect()
        connection.send(body[500:])
        assert connection.getresponse().status == 201
    assert lake.wait() == 0
    lake.start()


def test_a_second_signal_stops_it_at_once(lake: ServedLake) -> None:
    with contextlib.closing(connect(lake)) as connection, contextlib.closing(connect(lake)) as idle:
        idle.connect()
        connection.putrequest("PUT", "/erp5/api/v1/data-sets/begun")
        connection.putheader("Content-Length", "1000")
        connection.endheaders(b"{")
        whoami(lake, "admin")
        lake.process.send_signal(signal.SIGTERM)
        assert idle.sock.recv(1) == b""
        assert lake.stop(signal.SIGTERM) == -signal.SIGTERM
    lake.start()


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1:8080", ("127.0.0.1", 8080)),
        ("[::1]:80", ("::1", 80)),
        ("lake.example.org:0", ("lake.example.org", 0)),
    ],
)
def test_addresses_are_parsed(text: str, address: tuple[str, int]) -> None:
    assert parse_address(text) == address


@pytest.mark.parametrize(
    "text", ["8080", "localhost", "localhost:", ":8080", "localhost:http", "localhost:65536", "a:²"]
)
def test_what_is_no_address_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(BadInput) as caught:
        parse_address(text)
    assert str(caught.value) == f"{text} is no address to listen on: give HOST:PORT, such as 127.0.0.1:8080."


def test_an_address_of_another_machine_is_refused() -> None:
    with pytest.raises(Conflict, match=r"^Cannot listen on 192\.0\.2\.1:0: Cannot assign requested address\."):
        listen(("192.0.2.1", 0))


def test_a_name_of_no_machine_is_refused() -> None:
    with pytest.raises(BadInput, match=r"^lake\.invalid is no address of this machine: "):
        listen(("lake.invalid", 0))


def test_address_that_is_none_is_wrong_usage(tmp_path: Path) -> None:
    done = wendelin("serve", tmp_path, "--listen", "abc", code=2)
    assert done.stderr.splitlines()[-1] == (
        "wendelin serve: error: argument --listen: abc is no address to listen on: "
        "give HOST:PORT, such as 127.0.0.1:8080."
    )
