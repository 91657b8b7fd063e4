"""`wendelin fluentd`, and `wendelin serve --fluentd`, as users run them."""

from __future__ import annotations

import signal
import ssl
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from Products.ERP5Wendelin.errors import BadInput
from Products.ERP5Wendelin.portal.command import make_parser
from Products.ERP5Wendelin.portal.command_serve import fluentd_of
from support.certificates import make_certificates
from support.forward import Client, entries
from support.forward_server import ForwardServer
from support.lake import ServedLake, wendelin

READ = """
stream = portal.data_ingestion_module.getSink('Data Stream', 'wind')
print(stream.getOwnerTuple(), stream.getData().hex())
"""


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedLake]:
    """A lake that nobody serves."""
    lake = ServedLake(tmp_path_factory.mktemp("lake"))
    lake.init()
    lake.add_user("ada", "contributor")
    yield lake
    lake.end()


def address_of(address: str) -> tuple[str, int]:
    host, port = address.split(":")
    return host, int(port)


def test_agents_with_key_user_and_tls_are_let_in_and_others_told_why_not(lake: ServedLake, tmp_path: Path) -> None:
    certificates = make_certificates(tmp_path)
    secret = tmp_path / "secret"
    secret.write_text("ada:horse\n")
    secret.chmod(0o600)
    fluentd = ForwardServer(
        lake,
        *("--shared-key-file", secret, "--users-file", secret),
        *("--tls-certificate", certificates.certificate, "--tls-key", certificates.key),
    )
    fluentd.start()
    try:
        trusting = ssl.create_default_context(cafile=certificates.authority)
        with Client(address_of(fluentd.address), trusting) as stranger:
            *_, accepted, reason, _, _ = stranger.greet("another key", "ada", "horse")
            assert not accepted
            assert reason.startswith("shared_key mismatch")
        with Client(address_of(fluentd.address), trusting) as agent:
            assert agent.greet("ada:horse", "ada", "horse")[1] is True
            agent.send(["wind", entries(3), {"chunk": "a"}])
            assert agent.acknowledged(1) == ["a"]
        assert fluentd.stop(signal.SIGINT) == 0
    finally:
        fluentd.end()
    assert (
        wendelin("shell", lake.directory, "-c", READ).stdout == f"(['erp5', 'acl_users'], 'ada') {entries(3).hex()}\n"
    )
    log = lake.directory / "log" / "fluentd.log"
    assert stat.S_IMODE(log.stat().st_mode) == 0o600
    assert "horse" not in log.read_text()


def test_the_server_takes_it_in_as_well(lake: ServedLake) -> None:
    lake.command = (*lake.command, "--fluentd", "127.0.0.1:0")
    lake.start()
    ready = lake.process.stdout.readline()
    assert ready.startswith("ready on tcp://127.0.0.1:")
    with Client(address_of(ready.strip().removeprefix("ready on tcp://"))) as agent:
        agent.send(["sun", entries(2), {"chunk": "a"}])
        assert agent.acknowledged(1) == ["a"]
        assert (
            wendelin("shell", lake.directory, "-c", READ.replace("wind", "sun")).stdout == f"None {entries(2).hex()}\n"
        )
        assert lake.stop() == 0
        assert agent.receive() is None
    assert lake.log().endswith("INFO wendelin.serve stopped\n")


def test_what_is_not_there_is_said_before_anybody_is_let_in_and_the_database_is_shared(lake: ServedLake) -> None:
    log = lake.directory / "log" / "fluentd.log"
    log.unlink(missing_ok=True)
    done = wendelin("fluentd", lake.directory, "--listen", "127.0.0.1:0", "--policy", "nope", code=1)
    assert done.stdout == ""
    assert done.stderr == (
        "wendelin: There is no Ingestion Policy 'nope'. There are: default, default_ebulk, wendelin_embulk.\n"
    )
    assert "shares" not in log.read_text()


def test_an_address_that_is_none_is_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    for command in (["fluentd", "DIR", "--listen"], ["serve", "DIR", "--fluentd"]):
        with pytest.raises(SystemExit):
            make_parser().parse_args([*command, "24224"])
        assert capsys.readouterr().err.endswith(
            f"argument {command[-1]}: 24224 is no address to listen on: give HOST:PORT, such as 127.0.0.1:24224.\n"
        )


def test_how_agents_are_let_in_takes_where_they_are() -> None:
    arguments = make_parser().parse_args(["serve", "DIR", "--fluentd-shared-key-file", "key"])
    with pytest.raises(BadInput) as caught:
        fluentd_of(arguments)
    assert str(caught.value) == (
        "--fluentd-shared-key-file says how to take in agents' data: give --fluentd HOST:PORT as well."
    )
    assert fluentd_of(make_parser().parse_args(["serve", "DIR"])) is None
