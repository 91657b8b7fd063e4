"""Certificates of an authority of the test's own, made by the openssl command."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import NamedTuple

import pytest


class Certificates(NamedTuple):
    """Paths of PEM files."""

    authority: Path
    certificate: Path
    """Of localhost and 127.0.0.1, signed by the authority."""
    key: Path
    encrypted_key: Path
    """The same key, with a passphrase."""
    other_key: Path
    """One that belongs to no certificate."""


def make_certificates(folder: Path) -> Certificates:
    """Make them in a folder; skips where there is no openssl."""
    if shutil.which("openssl") is None:
        pytest.skip("certificates are made by openssl, which is not installed")
    files = Certificates(*(folder / f"{name}.pem" for name in Certificates._fields))
    new_key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2")
    authority_key = folder / "authority-key.pem"
    openssl("req", "-x509", *new_key, "-subj", "/CN=authority", "-keyout", authority_key, "-out", files.authority)
    names = "subjectAltName=DNS:localhost,IP:127.0.0.1"
    request = folder / "request.pem"
    openssl("req", *new_key, "-subj", "/CN=localhost", "-addext", names, "-keyout", files.key, "-out", request)
    extensions = folder / "extensions"
    extensions.write_text(names)
    signing = ("-CA", files.authority, "-CAkey", authority_key, "-CAcreateserial", "-days", "2", "-extfile", extensions)
    openssl("x509", "-req", "-in", request, *signing, "-out", files.certificate)
    openssl("ec", "-in", files.key, "-aes256", "-passout", "pass:secret", "-out", files.encrypted_key)
    openssl("ecparam", "-genkey", "-name", "prime256v1", "-noout", "-out", files.other_key)
    return files


def openssl(*arguments: str | Path) -> None:
    subprocess.run(["openssl", *arguments], check=True, capture_output=True)
