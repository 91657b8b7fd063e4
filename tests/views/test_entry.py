"""Requests get through the publisher with their path, method and body as they were sent."""

from __future__ import annotations

import pytest
import zope.event
from zope.component.hooks import getSite
from zope.publisher.interfaces import IEndRequestEvent

NAMES = [
    "REQUEST",
    "aq_self",
    "aq_base",
    "index_html",
    "PUT",
    "GET",
    "manage_main",
    "api",
    "v1",
    "@@api",
    "acl_users",
    "...",
]


@pytest.mark.parametrize("name", NAMES)
def test_reference_that_the_publisher_gives_a_meaning_to_is_a_reference_like_any_other(server, name):
    assert server.request("PUT", f"/data-sets/{name}").status == 201
    assert server.request("GET", f"/data-sets/{name}").data["reference"] == name


def test_address_before_which_a_skin_is_chosen_is_nothing(server):
    for path in ("++skin++x/api/v1/", "++skin++x/ERP5Site_getIngestionConstantsJson", "++skin++x/"):
        assert server.request("GET", f"{server.portal}/{path}").status == 404
    assert server.request("PUT", "/data-sets/++skin++x").status == 201


def test_reference_in_another_script_comes_back(server):
    created = server.request("PUT", "/data-sets/%E8%84%B3%20mri%3F")
    assert created.headers["Location"] == f"{server.api}/data-sets/%E8%84%B3%20mri%3F"
    assert server.request("GET", created.headers["Location"]).data["reference"] == "脳 mri?"


@pytest.mark.parametrize(
    "content_type", [None, "application/x-www-form-urlencoded", "multipart/form-data", "text/xml", "application/json"]
)
def test_body_is_read_as_json_whatever_its_type_says(server, content_type):
    headers = {} if content_type is None else {"Content-Type": content_type}
    body = b'{"title": "a=b&c:int=d"}'
    assert server.request("PUT", "/data-sets/brain", body, headers).data["title"] == "a=b&c:int=d"


def test_query_is_not_a_form(server):
    assert server.request("GET", "/data-sets?:method=manage_main&limit:int=x&-C").status == 200


def test_path_that_is_not_utf_8_is_400(server):
    answer = server.request("PUT", "/data-sets/a%FFb")
    assert answer.status == 400
    assert answer.data["detail"] == "The path of the URL is not UTF-8. Percent-encode each segment in UTF-8."


def test_virtual_host_is_in_the_urls_that_are_answered(server):
    path = f"http://{server.host}:{server.port}/VirtualHostBase/https/lake.example.org:443/erp5/VirtualHostRoot/api/v1"
    created = server.request("PUT", f"{path}/data-sets/brain")
    assert created.headers["Location"] == "https://lake.example.org/api/v1/data-sets/brain"


@pytest.mark.parametrize(
    ("path", "status"), [("/", 200), ("", 200), ("/nothing", 404), ("/data-sets/", 404), ("//data-sets", 404)]
)
def test_slashes_count(server, path, status):
    assert server.request("GET", path).status == status


@pytest.mark.parametrize("path", ["/@@api", "/api", "/api/v2", "/api/v10", "/@@index.html", "/data_set_module/@@api"])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_nothing_of_the_api_is_published_elsewhere(server, path, method):
    answer = server.request(method, server.portal + path)
    assert answer.status == 404
    assert b"Resource not found" in answer.body


@pytest.mark.parametrize("path", ["/data_set_module/api/v1/user", "/nothing/api/v1"])
def test_api_is_that_of_a_site_only(server, path):
    answer = server.request("GET", server.portal + path)
    assert (answer.status, answer.data["detail"]) == (404, "There is nothing at this address.")


def test_unknown_path_is_404(server):
    answer = server.request("GET", "/nothing/at/all")
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.data == {
        "type": "about:blank",
        "title": "Not Found",
        "status": 404,
        "detail": "There is nothing at /nothing/at/all in this API. docs/protocol.rst lists what there is.",
    }


def test_other_method_is_405_with_those_there_are(server):
    answer = server.request("POST", "/data-sets/brain")
    assert answer.status == 405
    assert answer.headers["Allow"] == "DELETE, GET, HEAD, OPTIONS, PATCH, PUT"
    assert answer.data["detail"] == "POST is not possible here. Possible are: DELETE, GET, HEAD, OPTIONS, PATCH, PUT."


def test_unknown_method_is_405(server):
    assert server.request("PROPFIND", "/data-sets").status == 405


def test_options_tells_the_methods(server):
    answer = server.request("OPTIONS", "/data-sets", user=None)
    assert (answer.status, answer.headers["Allow"]) == (204, "GET, HEAD, OPTIONS")


def test_head_is_get_without_the_body(server):
    server.request("PUT", "/data-sets/brain")
    head, get = (server.request(method, "/data-sets/brain") for method in ("HEAD", "GET"))
    assert (head.status, head.body) == (200, b"")
    assert head.headers["Content-Length"] == get.headers["Content-Length"] == str(len(get.body))


def test_head_of_what_is_not_there_has_no_body_either(server):
    answer = server.request("HEAD", "/data-sets/brain")
    assert (answer.status, answer.body) == (404, b"")


def test_json_is_not_stored_and_no_cookie_is_set(server):
    answer = server.request("GET", "/user")
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.headers["Cache-Control"] == "no-store"
    assert "Set-Cookie" not in answer.headers


def test_post_stands_for_the_method_that_the_override_names(server):
    server.request("PUT", "/data-sets/brain")
    override = {"X-HTTP-Method-Override": "PATCH"}
    assert server.request("POST", "/data-sets/brain", {"title": "Brain"}, override).data["title"] == "Brain"
    assert server.request("GET", "/data-sets/brain", headers={"X-HTTP-Method-Override": "DELETE"}).status == 200


@pytest.mark.parametrize(
    "sent",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "cross-site", "Origin": "{origin}"},
        {"Origin": "https://evil.example.org"},
        {"Origin": "{origin}.evil.example.org"},
        {"Origin": "null"},
        {"Origin": "http://["},
    ],
)
def test_change_that_the_page_of_another_site_asks_for_is_403(server, sent):
    headers = {name: value.format(origin=f"http://{server.host}:{server.port}") for name, value in sent.items()}
    answer = server.request("PUT", "/data-sets/brain", headers=headers)
    assert answer.status == 403
    assert answer.data["detail"] == (
        "The page of another site asked for this change. Pages may change only their own site."
    )


@pytest.mark.parametrize(
    "sent",
    [
        {"Sec-Fetch-Site": "same-origin"},
        {"Sec-Fetch-Site": "none"},
        {"Origin": "{origin}"},
        {"Sec-Fetch-Site": "same-origin", "Origin": "https://lake.example.org"},
    ],
)
def test_change_that_our_own_page_asks_for_is_made(server, sent):
    headers = {name: value.format(origin=f"http://{server.host}:{server.port}") for name, value in sent.items()}
    assert server.request("PUT", "/data-sets/brain", headers=headers).status == 201


def test_origin_of_the_virtual_host_is_our_own(server):
    path = f"http://{server.host}:{server.port}/VirtualHostBase/https/lake.example.org:443/erp5/VirtualHostRoot/api/v1"
    headers = {"Origin": "https://lake.example.org"}
    assert server.request("PUT", f"{path}/data-sets/brain", headers=headers).status == 201


@pytest.mark.parametrize(("reference", "status"), [("brain", 201), ("%2F", 404)])
def test_site_is_left_before_its_connection_is_closed(server, reference, status):
    """Whatever the answer: the end of a request is told of when the site can't be loaded any more."""
    sites = []

    def hear(event: object) -> None:
        if IEndRequestEvent.providedBy(event):
            sites.append(getSite())

    zope.event.subscribers.insert(0, hear)  # before those that are found by asking the site
    try:
        assert server.request("PUT", f"/data-sets/{reference}").status == status
    finally:
        zope.event.subscribers.remove(hear)
    assert sites == [None]
