"""Over TLS the server must be who it says, and all else is as without."""

from __future__ import annotations

import shutil
import ssl
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from ebulk.errors import NetworkError
from ebulk.protocol import MIB
from ebulk.remote.failure import StoppedError
from ebulk.remote.session import Session, Settings
from support.scripted_server import Answer, document, reply, scripted_server

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="makes certificates with the openssl command")


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """A certificate for 127.0.0.1 that signs itself, and its key, in one file."""
    folder = tmp_path_factory.mktemp("tls")
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    command += ["-days", "2", "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run([*command, "-keyout", folder / "key", "-out", folder / "crt"], check=True, capture_output=True)
    both = folder / "both.pem"
    both.write_bytes((folder / "crt").read_bytes() + (folder / "key").read_bytes())
    return both


@pytest.fixture
def context(certificate):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


def session_with(url: str, **options: object) -> Session:
    return Session(Settings(url, backoff=lambda failures: 0.0, **options))


def test_server_that_nobody_vouches_for_is_refused_at_the_first_attempt(context):
    with scripted_server(lambda request: document([]), context) as server, session_with(server.url) as session:
        with pytest.raises(NetworkError) as raised:
            session.call("GET", session.api("/x"))
        expected = f"The certificate of {server.address} is not trusted: self-signed certificate."
        assert str(raised.value).replace("self signed", "self-signed") == expected  # OpenSSL 1.1.1 wrote it otherwise
        assert raised.value.hint.startswith("Ask who runs the lake for its certificate authority")
        assert server.connections == 1
        assert server.requests == []


def test_bytes_arrive_whole_where_the_certificate_is_trusted(context, certificate):
    data = bytes(range(256)) * (4 * MIB // 256)
    blocks = (memoryview(data)[start : start + MIB] for start in range(0, len(data), MIB))
    with scripted_server(lambda request: reply(200, request.body), context) as server:
        session = session_with(server.url, ca_file=str(certificate))
        with session, session.request("PUT", "/x", expect=(200,), body=blocks, length=len(data)) as answer:
            assert answer.read_all() == data


def test_stop_ends_a_request_that_waits_for_its_answer(context, certificate):
    arrived = threading.Event()

    def answer(request):
        arrived.set()
        return Answer(b"", "stall")

    with scripted_server(answer, context) as server, ThreadPoolExecutor(1) as pool:
        session = session_with(server.url, ca_file=str(certificate))
        future = pool.submit(session.call, "GET", session.api("/x"))
        assert arrived.wait(5)
        session.stop()
        with pytest.raises(StoppedError):
            future.result(timeout=5)
        session.close()
