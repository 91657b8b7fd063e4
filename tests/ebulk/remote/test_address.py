"""What is no URL of a lake is refused before anything is sent."""

from __future__ import annotations

import pytest

from ebulk.errors import UsageError
from ebulk.remote.address import checked_url


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:8080/erp5", "https://lake.example", "http://[::1]:8080/erp5", "http://lake/a/b"]
)
def test_url_is_returned_without_its_last_slash(url):
    assert checked_url(f"{url}/") == url


@pytest.mark.parametrize(
    "url",
    [
        "",
        "lake.example",
        "localhost:8080/erp5",
        "/srv/lake",
        "ftp://lake.example/x",
        "http://",
        "http:///erp5",
        "http://lake/erp5?x=1",
        "http://lake/erp5#x",
        "http://lake:port/erp5",
        "http://lake:99999/erp5",
        "http://[::1/erp5",
        "http://my lake/erp5",
    ],
)
def test_what_is_no_url_of_a_lake_is_a_usage_error(url):
    with pytest.raises(UsageError) as raised:
        checked_url(url)
    assert str(raised.value) == f"{url!r} is not the URL of a lake."
    assert raised.value.hint == "It looks like http://127.0.0.1:8080/erp5."


def test_password_in_the_url_is_a_usage_error_that_does_not_repeat_it():
    with pytest.raises(UsageError) as raised:
        checked_url("http://ada:geheim@lake.example/erp5")
    assert str(raised.value) == "A user or password in the URL would be seen by others."
    assert raised.value.hint == "Log in by `ebulk login URL` instead."
