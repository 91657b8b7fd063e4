"""Routes: templates and the paths that fit them."""

from __future__ import annotations

import pytest

from Products.ERP5Wendelin.errors import NotFound
from Products.ERP5Wendelin.views.problem import MethodNotAllowed
from Products.ERP5Wendelin.views.routing import Route, allow_header, allowed, choose, split


def route(method: str, path: str) -> Route:
    return Route(method, path, "site", "View", lambda call: None)


ROUTES = [
    route("GET", "/"),
    route("PUT", "/sets/{reference}"),
    route("GET", "/sets/{reference}"),
    route("GET", "/sets/new"),
    route("GET", "/sets/{reference}/files/{path*}"),
]


def found(method: str, path: str) -> tuple[str, dict[str, str]]:
    chosen, names = choose(allowed(split(path), ROUTES), method)
    return chosen.path, names


@pytest.mark.parametrize("path", ["", "/"])
def test_root_is_found_with_and_without_a_slash(path):
    assert found("GET", path) == ("/", {})


def test_placeholder_takes_any_segment():
    assert found("PUT", "/sets/aq_self") == ("/sets/{reference}", {"reference": "aq_self"})


def test_text_goes_before_a_placeholder():
    assert found("GET", "/sets/new") == ("/sets/new", {})


def test_last_placeholder_takes_all_segments_as_they_are():
    assert found("GET", "/sets/a/files/../b//c/") == (
        "/sets/{reference}/files/{path*}",
        {"reference": "a", "path": "../b//c/"},
    )


@pytest.mark.parametrize("path", ["/nothing", "/sets", "/sets/a/", "/sets/a/files", "//sets/a"])
def test_other_path_is_404_that_names_it(path):
    with pytest.raises(
        NotFound, match=f"^There is nothing at {path} in this API. docs/protocol.rst lists what there is.$"
    ):
        found("GET", path)


def test_head_is_answered_where_get_is():
    assert found("HEAD", "/sets/a") == ("/sets/{reference}", {"reference": "a"})


def test_other_method_is_405_that_names_those_there_are():
    with pytest.raises(MethodNotAllowed, match=r"^POST is not possible here. Possible are: GET, HEAD, OPTIONS, PUT.$"):
        found("POST", "/sets/a")


def test_allow_header_names_each_method_once():
    assert allow_header(["OPTIONS", "POST"]) == "OPTIONS, POST"
