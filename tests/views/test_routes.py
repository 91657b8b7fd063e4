"""All URLs of the API, walked: each has a permission, and nothing leads around it."""

from __future__ import annotations

import inspect

import pytest
import transaction
from zope.component import getGlobalSiteManager
from zope.configuration.exceptions import ConfigurationError
from zope.publisher.interfaces.browser import IDefaultBrowserLayer

from Products.ERP5Wendelin import permissions
from Products.ERP5Wendelin.views.access import PUBLIC
from Products.ERP5Wendelin.views.directives import resource
from Products.ERP5Wendelin.views.erp5.script import Script
from Products.ERP5Wendelin.views.interfaces import IApiRequest
from Products.ERP5Wendelin.views.routing import CONTEXTS, portal_routes, routes
from support.push import metadata

FOR_EVERYBODY = {
    ("GET", "/"),
    ("GET", "/analyses"),
    ("GET", "/arrays"),
    ("GET", "/data-sets"),
    ("GET", "/progress-indicators"),
    ("GET", "/streams"),
    ("OPTIONS", "/data-sets/{reference}/ingestions/{ingestion}/uploads"),
}
"""They tell what the server can, and what is published."""


VIEWS = "Products.ERP5Wendelin.views."


def bases_of(factory) -> tuple:
    """A class with its bases, or the function that makes a component."""
    return inspect.getmro(factory) if isinstance(factory, type) else (factory,)


def fill(server, path: str) -> str:
    """A template with the names of things that exist, none of them public."""
    server.request("PUT", "/data-sets/brain")
    push = server.request("POST", "/data-sets/brain/ingestions").headers["Location"]
    creation = {"Tus-Resumable": "1.0.0", "Upload-Length": "1", "Upload-Metadata": metadata(path="a")}
    upload = server.request("POST", f"{push}/uploads", headers=creation).headers["Location"]
    token = server.request("POST", "/tokens", {"title": "laptop"}).data["id"]
    names = {"reference": "brain", "ingestion": push.rpartition("/")[2], "upload": upload.rpartition("/")[2]}
    with server.lake.open() as site:
        site.data_stream_module.newContent(reference="log")
        site.data_array_module.newContent(reference="table").initArray((1,), "u1")
        site.progress_indicator_module.newContent(reference="mean.py")
        names["analysis"] = site.data_analysis_module.newContent(reference="mean").getId()
        transaction.commit()
    many = {"{path*}": "a", "{stream*}": "log", "{reference*}": "table", "{indicator*}": "mean.py"}
    for placeholder, name in many.items():
        path = path.replace(placeholder, name)
    return path.format(**names, token=token)


def test_only_what_is_for_everybody_has_no_permission(server):
    found = routes()
    assert {(route.method, route.path) for route in found if route.permission == PUBLIC} == FOR_EVERYBODY
    known = {value for name, value in vars(permissions).items() if isinstance(value, str)}
    assert {route.permission for route in found} <= known | {PUBLIC}


def test_permission_is_checked_on_the_object_that_the_path_names(server):
    for route in routes():
        by_name = {
            "{ingestion}": "ingestion",
            "{reference}": "data_set",
            "{stream*}": "stream",
            "{reference*}": "array",
            "{analysis}": "analysis",
            "{indicator*}": "indicator",
        }
        named = next((context for name, context in by_name.items() if name in route.path), "site")
        makers = {
            ("PUT", "/data-sets/{reference}"),
            ("PUT", "/arrays/{reference*}"),
            ("PUT", "/arrays/{reference*}/data"),
        }
        exceptions = makers | FOR_EVERYBODY  # those make what their paths name
        assert route.context in CONTEXTS
        assert route.context == named or (route.method, route.path) in exceptions


def test_nobody_gets_anywhere_without_an_account(server):
    for route in routes():
        if (route.method, route.path) in FOR_EVERYBODY:
            continue
        answer = server.request(route.method, fill(server, route.path), user=None)
        assert answer.status == 401, (route.method, route.path)


def test_downloader_gets_nowhere_in_what_is_not_published(server):
    for route in routes():
        if (route.method, route.path) in FOR_EVERYBODY or route.context == "site":
            continue
        answer = server.request(route.method, fill(server, route.path), user="dan")
        assert answer.status == 404, (route.method, route.path)


def test_functions_of_the_api_are_not_published(server):
    for route in routes():
        assert inspect.isfunction(route.handler)
        assert route.handler.__module__.startswith(f"{VIEWS}api.")


PORTAL_ROUTES = {
    ("POST", "/portal_ingestion_policies/{policy}/ingest"): ("policy", permissions.PushData),
    ("GET", "/data_stream_module/{id}/getData"): ("data_stream", permissions.View),
    **{
        ("GET", f"/ERP5Site_{name}"): ("site", PUBLIC)
        for name in (
            "getIngestionConstantsJson",
            "checkIngestionReferenceExists",
            "ingestionReferenceExists",
            "getDataStreamList",
            "getDataStreamCount",
            "getDataStreamChunk",
            "getDescriptorHTMLContent",
        )
    },
    **{
        (method, f"/ERP5Site_{name}"): ("site", permissions.PushData)
        for method in ("GET", "POST")
        for name in (
            "invalidateIngestionObjects",
            "renameIngestion",
            "increaseDatasetVersion",
            "setDatasetDescription",
        )
    },
}
"""Of the scripts, each sees for itself which data set the caller may see, or change."""


def test_addresses_at_the_portal_are_these_with_these_permissions(server):
    found = portal_routes()
    assert {(route.method, route.path): (route.context, route.permission) for route in found} == PORTAL_ROUTES
    assert {route.path for route in found if route.changes} == {
        path
        for (method, path), (context, permission) in PORTAL_ROUTES.items()
        if method == "POST" and context == "site"
    }
    for route in found:
        assert isinstance(route.handler, Script) or route.handler.__module__.startswith(f"{VIEWS}erp5.")


def test_api_has_none_of_the_addresses_at_the_portal(server):
    for _, path in PORTAL_ROUTES:
        assert server.request("GET", path).status == 404
    assert server.request("GET", f"{server.portal}/data-sets").status == 404


def test_requests_come_in_through_one_view(server):
    ours = [
        registration
        for registration in getGlobalSiteManager().registeredAdapters()
        if any(getattr(base, "__module__", "").startswith(VIEWS) for base in bases_of(registration.factory))
    ]
    ours.sort(key=lambda registration: registration.name)
    assert [(registration.name, registration.required[1]) for registration in ours] == [
        ("api", IApiRequest),
        ("customise", IDefaultBrowserLayer),
        ("front", IDefaultBrowserLayer),
        ("front.css", IDefaultBrowserLayer),
        ("index.html", IApiRequest),
        ("index.html", IDefaultBrowserLayer),
    ]


def test_permission_that_there_is_not_is_refused_when_the_server_starts():
    with pytest.raises(ConfigurationError, match=r"^GET /x: permissions.py has no permission 'Veiw'.$"):
        resource(None, "GET", "/x", "site", "Veiw", print)
