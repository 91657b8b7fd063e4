"""The environment's proxy variables are read as curl reads them."""

from __future__ import annotations

import pytest

from ebulk.remote.proxy import proxy_for

HTTP, HTTPS = "http://lake.example:8080/erp5", "https://lake.example/erp5"


@pytest.mark.parametrize(
    ("url", "environment", "proxy"),
    [
        (HTTP, {}, None),
        (HTTP, {"http_proxy": "http://p:3128"}, "http://p:3128"),
        (HTTP, {"http_proxy": "p:3128"}, "http://p:3128"),
        (HTTP, {"HTTP_PROXY": "http://p:3128"}, None),
        (HTTP, {"https_proxy": "http://p:3128"}, None),
        (HTTPS, {"https_proxy": "http://p:3128"}, "http://p:3128"),
        (HTTPS, {"HTTPS_PROXY": "http://p:3128"}, "http://p:3128"),
        (HTTPS, {"all_proxy": "http://p:3128"}, "http://p:3128"),
        (HTTP, {"http_proxy": "http://p", "no_proxy": "*"}, None),
        (HTTP, {"http_proxy": "http://p", "no_proxy": "other, lake.example"}, None),
        (HTTP, {"http_proxy": "http://p", "no_proxy": ".example"}, None),
        (HTTP, {"http_proxy": "http://p", "no_proxy": "lake.example:8080"}, None),
        (HTTP, {"http_proxy": "http://p", "NO_PROXY": "ake.example"}, "http://p"),
        (HTTP, {"http_proxy": "http://p", "no_proxy": ""}, "http://p"),
        ("http://127.0.0.1:8080/erp5", {"http_proxy": "http://p"}, None),
        ("http://[::1]:8080/erp5", {"http_proxy": "http://p"}, None),
        ("http://localhost/erp5", {"http_proxy": "http://p"}, None),
        ("http://192.0.2.1/erp5", {"http_proxy": "http://p"}, "http://p"),
    ],
)
def test_proxy_follows_from_the_environment(url, environment, proxy):
    assert proxy_for(url, environment) == proxy
