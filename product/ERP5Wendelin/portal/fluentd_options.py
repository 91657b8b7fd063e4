"""Options of the Forward server: of `wendelin fluentd`, and, with --fluentd- before them, of `wendelin serve`."""

from __future__ import annotations

import argparse
import ipaddress
import socket
import ssl
from typing import Any

from Products.ERP5Wendelin.errors import BadInput
from Products.ERP5Wendelin.ingestion.forward.settings import Settings
from Products.ERP5Wendelin.portal.fluentd import Listening
from Products.ERP5Wendelin.portal.private_file import read_shared_key, read_user_passwords
from Products.ERP5Wendelin.portal.size import size
from Products.ERP5Wendelin.protocol import MIB

DEST = "fluentd_"
"""How the options' attributes begin in what argparse makes of them."""


def add_options(parser: Any, prefix: str = "") -> None:
    """Add the options but the address to a parser or a group of one."""

    def add(name: str, **keywords: Any) -> None:
        parser.add_argument(f"--{prefix}{name}", dest=f"{DEST}{name.replace('-', '_')}", **keywords)

    unless = Settings()
    add("policy", metavar="ID", default=unless.policy, help="the Ingestion Policy that takes it (default: %(default)s)")
    add("user", metavar="NAME", default="", help="the user with whose rights it comes (default: fluentd, built in)")
    add("shared-key-file", metavar="FILE", help="its first line is the key that agents have to know")
    add("users-file", metavar="FILE", help="lines NAME:PASSWORD: agents come as these users of the lake")
    add("tls-certificate", metavar="FILE", help="speak TLS, with this certificate and its chain (PEM)")
    add("tls-key", metavar="FILE", help="the certificate's private key (PEM)")
    add("tls-client-ca", metavar="FILE", help="ask agents for certificates, of these authorities (PEM)")
    add("insecure", action="store_true", help="let everybody send who reaches an address beyond this machine")
    add(
        "interval",
        metavar="SECONDS",
        type=seconds,
        default=unless.interval,
        help="the least time from one commit to the next (default: %(default)s)",
    )
    for name, default, help_text in (
        ("max-message", unless.max_message, "the largest message"),
        ("max-memory", unless.max_memory, "memory for messages on their way"),
    ):
        add(name, metavar="SIZE", type=size, default=default, help=f"{help_text} (default: {default // MIB}MiB)")
    add(
        "max-connections",
        metavar="NUMBER",
        type=int,
        default=unless.max_connections,
        help="connections at a time (default: %(default)s)",
    )


def given_options(arguments: argparse.Namespace) -> list[str]:
    """Names, without the prefix, of the options that were given and say something else than without."""
    parser = argparse.ArgumentParser()
    add_options(parser)
    unless = vars(parser.parse_args([]))
    return [name.removeprefix(DEST).replace("_", "-") for name in unless if vars(arguments)[name] != unless[name]]


def seconds(text: str) -> float:
    """A time; another text is wrong usage."""
    try:
        value = float(text)
    except ValueError:
        value = -1
    if not 0 <= value <= 60:
        raise argparse.ArgumentTypeError(f"{text} is no time from 0 to 60 seconds, such as 0.1")
    return value


def listening(arguments: argparse.Namespace, address: tuple[str, int], prefix: str = "") -> Listening:
    """What options say; the files that they name are read. BadInput: a file or a combination that will not do."""
    given = {name.removeprefix(DEST): value for name, value in vars(arguments).items()}
    key_file, users_file = given["shared_key_file"], given["users_file"]
    settings = Settings(
        policy=given["policy"],
        user=given["user"],
        shared_key=None if key_file is None else read_shared_key(key_file),
        users={} if users_file is None else read_user_passwords(users_file),
        tls=tls_context(given["tls_certificate"], given["tls_key"], given["tls_client_ca"], prefix),
        interval=given["interval"],
        max_message=given["max_message"],
        max_memory=given["max_memory"],
        max_connections=given["max_connections"],
    )
    closed = settings.shared_key is not None or given["tls_client_ca"] is not None
    if not closed and not given["insecure"] and not is_loopback(address[0]):
        raise BadInput(
            f"Everybody who reaches {address[0]} could send data: give --{prefix}shared-key-file FILE, or "
            f"--{prefix}tls-client-ca FILE. If that is meant, give --{prefix}insecure."
        )
    return Listening(*address, settings)


def is_loopback(host: str) -> bool:
    """Whether an address, or a name, leads to this machine only."""
    try:
        found = {str(each[4][0]) for each in socket.getaddrinfo(host, None)}
    except OSError as error:
        raise BadInput(f"{host} is no address of this machine: {error.strerror}.") from error
    return all(ipaddress.ip_address(address.partition("%")[0]).is_loopback for address in found)


def tls_context(
    certificate: str | None, key: str | None, client_ca: str | None, prefix: str = ""
) -> ssl.SSLContext | None:
    """What TLS takes from these files; None without any. BadInput: one is missing, or not what it should be."""
    if certificate is None or key is None:
        if (certificate, key, client_ca) == (None, None, None):
            return None
        raise BadInput(
            f"TLS takes a certificate and its key: give both --{prefix}tls-certificate FILE and --{prefix}tls-key FILE."
        )
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        context.load_cert_chain(certificate, key, password=refuse_encrypted_key)
    except (OSError, ValueError) as error:  # an SSLError is an OSError
        raise BadInput(f"The TLS certificate {certificate} and key {key} cannot be used: {reason(error)}.") from error
    if client_ca is not None:
        try:
            context.load_verify_locations(client_ca)
        except OSError as error:
            raise BadInput(f"The TLS authorities {client_ca} cannot be used: {reason(error)}.") from error
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def refuse_encrypted_key() -> str:
    """What OpenSSL calls for the passphrase of a key, rather than ask at the terminal."""
    raise ValueError("the key is encrypted; decrypt it, and make the file private")


def reason(error: Exception) -> str:
    """What an error of OpenSSL, or of a file, is about."""
    if isinstance(error, ssl.SSLError) and not error.reason:
        return "not PEM"  # OpenSSL only says in which line of which source it noticed
    text = getattr(error, "reason", None) or getattr(error, "strerror", None) or str(error)
    return str(text).replace("_", " ").lower()
