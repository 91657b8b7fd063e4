"""Options of the Forward server, as `wendelin fluentd` and `wendelin serve --fluentd` have them."""

from __future__ import annotations

import argparse
import ssl
from pathlib import Path

import pytest

from Products.ERP5Wendelin.errors import BadInput
from Products.ERP5Wendelin.ingestion.forward.settings import Settings
from Products.ERP5Wendelin.portal.fluentd import Listening
from Products.ERP5Wendelin.portal.fluentd_options import add_options, given_options, is_loopback, listening
from Products.ERP5Wendelin.protocol import MIB
from support.certificates import Certificates, make_certificates

LOCAL = ("127.0.0.1", 24224)


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    """A private file with a shared key, or a user and a password."""
    path = tmp_path / "secret"
    path.write_text("ada:horse\n")
    path.chmod(0o600)
    return path


def parsed(*arguments: str | Path, prefix: str = "") -> argparse.Namespace:
    parser = argparse.ArgumentParser("wendelin fluentd")
    add_options(parser, prefix)
    return parser.parse_args([str(argument) for argument in arguments])


def test_without_options_it_is_open_to_this_machine_with_the_defaults_of_the_server() -> None:
    assert listening(parsed(), LOCAL) == Listening("127.0.0.1", 24224, Settings())


def test_options_say_what_the_server_does(secret: Path, certificates: Certificates) -> None:
    arguments = parsed(
        *("--policy", "weather", "--user", "ada", "--shared-key-file", secret, "--users-file", secret),
        *("--tls-certificate", certificates.certificate, "--tls-key", certificates.key),
        *("--tls-client-ca", certificates.authority, "--interval", "0.5", "--max-message", "2MiB"),
        *("--max-memory", "1 gb", "--max-connections", "7"),
    )
    found = listening(arguments, ("0.0.0.0", 1)).settings
    assert (found.policy, found.user, found.shared_key, found.users) == (
        "weather",
        "ada",
        "ada:horse",
        {"ada": "horse"},
    )
    assert (found.interval, found.max_message, found.max_memory, found.max_connections) == (0.5, 2 * MIB, 1 << 30, 7)
    assert found.tls is not None
    assert found.tls.verify_mode == ssl.CERT_REQUIRED


def test_without_authorities_agents_need_no_certificate(certificates: Certificates) -> None:
    arguments = parsed("--tls-certificate", certificates.certificate, "--tls-key", certificates.key)
    context = listening(arguments, LOCAL).settings.tls
    assert context is not None
    assert context.verify_mode == ssl.CERT_NONE


def test_an_address_beyond_this_machine_takes_a_key_a_certificate_or_that_it_is_meant(
    secret: Path, certificates: Certificates
) -> None:
    everywhere = ("0.0.0.0", 24224)
    with pytest.raises(BadInput) as caught:
        listening(parsed(), everywhere)
    assert str(caught.value) == (
        "Everybody who reaches 0.0.0.0 could send data: give --shared-key-file FILE, or --tls-client-ca FILE. "
        "If that is meant, give --insecure."
    )
    with pytest.raises(BadInput, match=r"give --fluentd-shared-key-file FILE, .* give --fluentd-insecure\.$"):
        listening(parsed(prefix="fluentd-"), everywhere, "fluentd-")
    tls = ("--tls-certificate", certificates.certificate, "--tls-key", certificates.key)
    with pytest.raises(BadInput, match="^Everybody who reaches"):
        listening(parsed(*tls), everywhere)
    for options in (
        ("--insecure",),
        ("--shared-key-file", secret),
        (*tls, "--tls-client-ca", certificates.authority),
    ):
        assert listening(parsed(*options), everywhere).host == "0.0.0.0"


@pytest.mark.parametrize(
    ("host", "local"),
    [("127.0.0.1", True), ("127.8.8.8", True), ("::1", True), ("localhost", True), ("::", False), ("192.0.2.1", False)],
)
def test_loopback_is_known_by_address_and_name(host: str, local: bool) -> None:
    assert is_loopback(host) is local


def test_a_name_of_no_machine_is_refused() -> None:
    with pytest.raises(BadInput, match=r"^lake\.invalid is no address of this machine: "):
        is_loopback("lake.invalid")


def test_users_take_a_shared_key(secret: Path) -> None:
    with pytest.raises(BadInput) as caught:
        listening(parsed("--users-file", secret), LOCAL)
    assert str(caught.value) == "Agents name users after the shared key: give a shared key as well."


def test_what_is_wrong_with_the_files_of_tls_is_named(tmp_path: Path, certificates: Certificates) -> None:
    certificate, key = certificates.certificate, certificates.key
    nothing, empty = tmp_path / "nothing", tmp_path / "empty"
    empty.write_text("")
    for options, problem in (
        (
            ("--tls-certificate", certificate),
            "TLS takes a certificate and its key: give both --tls-certificate FILE and --tls-key FILE.",
        ),
        (
            ("--tls-client-ca", certificates.authority),
            "TLS takes a certificate and its key: give both --tls-certificate FILE and --tls-key FILE.",
        ),
        (
            ("--tls-certificate", certificate, "--tls-key", nothing),
            f"The TLS certificate {certificate} and key {nothing} cannot be used: no such file or directory.",
        ),
        (
            ("--tls-certificate", certificate, "--tls-key", empty),
            f"The TLS certificate {certificate} and key {empty} cannot be used: not PEM.",
        ),
        (
            ("--tls-certificate", certificate, "--tls-key", certificates.other_key),
            f"The TLS certificate {certificate} and key {certificates.other_key} cannot be used: key values mismatch.",
        ),
        (
            ("--tls-certificate", certificate, "--tls-key", certificates.encrypted_key),
            f"The TLS certificate {certificate} and key {certificates.encrypted_key} cannot be used: "
            "the key is encrypted; decrypt it, and make the file private.",
        ),
        (
            ("--tls-certificate", certificate, "--tls-key", key, "--tls-client-ca", empty),
            f"The TLS authorities {empty} cannot be used: no certificate or crl found.",
        ),
    ):
        with pytest.raises(BadInput) as caught:
            listening(parsed(*options), LOCAL)
        assert str(caught.value) == problem


@pytest.mark.parametrize(
    ("option", "text", "problem"),
    [
        ("--max-message", "x", "'x' is no size, such as 512M or 2GiB"),
        ("--max-memory", "-1", "'-1' is no size, such as 512M or 2GiB"),
        ("--interval", "x", "x is no time from 0 to 60 seconds, such as 0.1"),
        ("--interval", "nan", "nan is no time from 0 to 60 seconds, such as 0.1"),
        ("--interval", "61", "61 is no time from 0 to 60 seconds, such as 0.1"),
    ],
)
def test_another_text_is_wrong_usage(option: str, text: str, problem: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        parsed(f"{option}={text}")
    assert caught.value.code == 2
    assert capsys.readouterr().err.endswith(f"wendelin fluentd: error: argument {option}: {problem}\n")


def test_limits_that_make_no_sense_are_refused() -> None:
    with pytest.raises(BadInput, match=r"^A message may have 1024 bytes at most: choose from "):
        listening(parsed("--max-message", "1KiB"), LOCAL)


def test_options_that_were_given_are_told_from_the_others(secret: Path) -> None:
    assert given_options(parsed(prefix="fluentd-")) == []
    options = ("--fluentd-shared-key-file", secret, "--fluentd-max-connections", "3")
    assert given_options(parsed(*options, prefix="fluentd-")) == ["shared-key-file", "max-connections"]
