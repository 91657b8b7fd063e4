"""The headers of tus."""

from __future__ import annotations

import base64
import hashlib

import pytest

from Products.ERP5Wendelin.errors import BadInput, PreconditionFailed
from Products.ERP5Wendelin.views import tus


def encode(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def test_metadata_is_decoded():
    value = f"path {encode('naïve/a.txt')}, mode {encode('100644')},is_confidential"
    assert tus.parse_metadata(value) == {"path": "naïve/a.txt", "mode": "100644", "is_confidential": ""}


@pytest.mark.parametrize("value", [None, "", " "])
def test_no_metadata_is_empty(value):
    assert tus.parse_metadata(value) == {}


@pytest.mark.parametrize("value", ["path é", "path a", "path /w=="])
def test_metadata_that_is_not_text_in_base64_is_refused(value):
    with pytest.raises(BadInput, match=r"^Upload-Metadata: the value of 'path' is not UTF-8 text in base64.$"):
        tus.parse_metadata(value)


def test_metadata_given_twice_is_refused():
    with pytest.raises(BadInput, match=r"^Upload-Metadata has 'path' more than once.$"):
        tus.parse_metadata("path YQ==,path Yg==")


def test_checksum_is_decoded():
    digest = hashlib.sha1(b"a").digest()
    assert tus.parse_checksum(f"sha1 {base64.b64encode(digest).decode()}") == ("sha1", digest)
    assert tus.parse_checksum(None) is None


def test_checksum_of_an_unknown_algorithm_is_refused():
    with pytest.raises(BadInput, match=r"^Upload-Checksum: 'sha3' is not one of sha256, sha1, md5, crc32.$"):
        tus.parse_checksum("sha3 YQ==")


def test_checksum_that_is_not_base64_is_refused():
    with pytest.raises(BadInput, match=r"^Upload-Checksum: the digest is not in base64.$"):
        tus.parse_checksum("sha1 !")


@pytest.mark.parametrize("value", ["-1", "1.5", "", "1e3", "²", str(2**63), "9" * 10_000])
def test_size_that_is_no_count_of_bytes_is_refused(value):
    with pytest.raises(BadInput, match=r"^The header Upload-Length must be a whole number of bytes from 0.$"):
        tus.parse_size("Upload-Length", value)


def test_missing_size_is_refused():
    with pytest.raises(BadInput, match=r"^The header Upload-Offset is missing.$"):
        tus.parse_size("Upload-Offset", None)


@pytest.mark.parametrize("version", [None, "0.2.2", "1.0.0, 1.0.0"])
def test_other_version_is_412_naming_ours(version):
    with pytest.raises(
        PreconditionFailed, match=r"^This server speaks tus 1.0.0. Send the header Tus-Resumable: 1.0.0.$"
    ):
        tus.check_version(version)
