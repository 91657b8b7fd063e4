"""Credentials make their header, and keep the secret out of what is printed."""

from __future__ import annotations

from ebulk.remote.credentials import Basic, Bearer


def test_basic_is_utf8_in_base64():
    assert Basic("adä", "p:w").header() == "Basic YWTDpDpwOnc="


def test_bearer_is_the_token():
    assert Bearer("t0ken").header() == "Bearer t0ken"


def test_secret_is_not_in_the_representation():
    assert "geheim" not in repr(Basic("ada", "geheim")) + repr(Bearer("geheim"))
