"""TLS: agents that speak it, with a certificate or without, and the lines of the log about those that do not."""

from __future__ import annotations

import contextlib
import ssl
from pathlib import Path

import pytest

from support.certificates import Certificates, make_certificates
from support.forward import Client, Keeper, entries, served


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("certificates"))


def server_side(certificates: Certificates, client_authority: Path | None = None) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates.certificate, certificates.key)
    if client_authority is not None:
        context.load_verify_locations(client_authority)
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def agents_side(certificates: Certificates) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(certificates.authority))


@pytest.fixture
def lines(caplog):
    """The warnings so far, without the ports of agents."""

    def read() -> list[str]:
        return [record.getMessage().partition(" ")[2] for record in caplog.records if record.name == "wendelin.fluentd"]

    return read


def test_what_comes_through_tls_is_stored_and_acknowledged(certificates):
    keeper = Keeper()
    data = entries(20_000)  # of several TLS records
    with (
        served(keeper, tls=server_side(certificates), shared_key="key") as server,
        Client(server.address, agents_side(certificates)) as agent,
    ):
        assert agent.greet("key")[1] is True
        for number in range(3):
            agent.send(["tag", data, {"chunk": f"{number}"}])
            assert agent.receive() == {"ack": f"{number}"}
    assert keeper.data() == data * 3


def test_what_an_agent_sends_at_once_after_the_handshake_of_tls_is_stored(certificates):
    keeper = Keeper()
    with served(keeper, tls=server_side(certificates)) as server:
        for number in range(20):
            with Client(server.address, agents_side(certificates)) as agent:
                agent.send(["tag", entries(1), {"chunk": f"{number}"}])
                assert agent.receive() == {"ack": f"{number}"}
    assert keeper.data() == entries(1) * 20


def test_who_was_turned_away_has_no_second_try_on_the_same_connection(certificates):
    keeper = Keeper()
    with (
        served(keeper, tls=server_side(certificates), shared_key="key") as server,
        Client(server.address, agents_side(certificates)) as agent,
    ):
        _, options = agent.receive()
        assert agent.ping(options, "wrong", "", "", "turbine")[1] is False
        with contextlib.suppress(OSError):
            assert agent.ping(options, "key", "", "", "turbine") is None
    assert keeper.batches == []


def test_memory_that_gets_full_or_free_in_the_moment_when_tls_is_lost_harms_nobody(certificates):
    keeper = Keeper()
    with (
        served(keeper, tls=server_side(certificates)) as server,
        Client(server.address, agents_side(certificates)) as lost,
    ):
        lost.send(["tag", entries(1), {"chunk": "a"}])
        assert lost.receive() == {"ack": "a"}

        def lose() -> None:
            (connection,) = server.server._reception.connections
            connection.pause()
            connection._transport._ssl_protocol.connection_lost(None)  # as asyncio does; it tells in its next step
            connection.resume()
            connection.pause()

        server.call(lose)
        with Client(server.address, agents_side(certificates)) as agent:
            agent.send(["tag", entries(1), {"chunk": "b"}])
            assert agent.receive() == {"ack": "b"}


def test_a_client_certificate_is_asked_for_where_an_authority_is_given(certificates, lines):
    keeper = Keeper()
    tls = server_side(certificates, certificates.authority)
    with served(keeper, tls=tls) as server:
        context = agents_side(certificates)
        context.load_cert_chain(certificates.certificate, certificates.key)
        with Client(server.address, context) as agent:
            agent.send(["tag", entries(1), {"chunk": "a"}])
            assert agent.receive() == {"ack": "a"}
        with Client(server.address, agents_side(certificates)) as agent, contextlib.suppress(ssl.SSLError):
            assert agent.receive() is None
    assert keeper.data() == entries(1)
    assert lines() == [
        "is dropped: no TLS with it: peer did not return a certificate. Give it a certificate by the authority of "
        "--tls-client-ca."
    ]


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"\x93\xa3tag\x00\x80", "no TLS with it: wrong version number. It does not speak TLS: turn TLS on there."),
        (b"GET / HTTP/1.1\r\n\r\n", "no TLS with it: http request. It speaks HTTP."),
    ],
)
def test_who_does_not_speak_tls_is_dropped_with_a_line_that_says_what_to_do(certificates, lines, data, why):
    keeper = Keeper()
    with served(keeper, tls=server_side(certificates)) as server, Client(server.address) as agent:
        agent.send(data * 10)
        while agent.socket.recv(1000):
            pass  # an alert
        with Client(server.address, agents_side(certificates)) as good:
            good.send(["tag", entries(1), {"chunk": "a"}])
            assert good.receive() == {"ack": "a"}
    assert lines() == [f"is dropped: {why}"]


def test_who_does_not_trust_the_server_is_named(certificates, lines):
    keeper = Keeper()
    with served(keeper, tls=server_side(certificates)) as server:
        with pytest.raises(ssl.SSLCertVerificationError):
            Client(server.address, ssl.create_default_context())
        with Client(server.address, agents_side(certificates)) as good:
            good.send(["tag", entries(1), {"chunk": "a"}])
            assert good.receive() == {"ack": "a"}
    assert lines() == [
        "is dropped: no TLS with it: tlsv1 alert unknown ca. Give it the authority of this server's certificate."
    ]


def test_too_slow_a_handshake_of_tls_is_dropped(certificates, lines):
    tls = server_side(certificates)
    with served(Keeper(), tls=tls, handshake_timeout=0.1) as server, Client(server.address) as silent:
        assert silent.receive() is None
    assert lines() == [
        "is dropped: no TLS with it: SSL handshake is taking longer than 0.1 seconds: aborting the connection"
    ]


def test_connections_on_which_tls_is_being_agreed_on_count(certificates, lines):
    with served(Keeper(), tls=server_side(certificates), max_connections=1, handshake_timeout=3600.0) as server:
        with Client(server.address), Client(server.address) as second:
            assert second.receive() is None
        server.stop()
    assert lines() == ["is dropped: it would be more than the 1 connections of --max-connections or ulimit -n"]
