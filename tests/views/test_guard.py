"""Of Zope's own URLs none is answered but to managers; walked, over all names that the published classes have."""

from __future__ import annotations

import http.client
import logging
import re
from collections.abc import Iterator
from urllib.parse import quote

import pytest
import transaction
from Acquisition import aq_base
from zope.component import getGlobalSiteManager

from support.http_server import Server, basic
from support.site import PASSWORD

PLACES = (
    "",
    "acl_users",
    "erp5",
    "erp5/acl_users",
    "erp5/acl_users/users",
    "erp5/data_set_module",
    "erp5/portal_catalog",
    "erp5/portal_membership",
    "erp5/portal_alarms",
    "erp5/portal_alarms/wendelin_compute_md5",
    "erp5/portal_ingestion_policies",
    "erp5/portal_skins/erp5_wendelin_data_lake/ERP5Site_getDataStreamChunk",
    "erp5/portal_templates/erp5_wendelin",
)
REFUSED = {401, 404}
OPEN = re.compile(r"(/.*)?/erp5/?(@@front(\.css)?)?")
"""The front page and its style, which what is beside the site acquires."""


def ask(server: Server, paths: list[str], user: str | None, method: str = "GET") -> Iterator[tuple[str, int]]:
    """The status of each path, all on one connection."""
    connection = http.client.HTTPConnection(server.host, server.port, timeout=60)
    headers = {"Authorization": basic(user, PASSWORD)} if user else {}
    for path in paths:
        connection.request(method, quote(path, safe="/@+"), headers=headers)
        answer = connection.getresponse()
        answer.read()
        yield path, answer.status
    connection.close()


def names_of(published: object) -> set[str]:
    """What a URL may name on an object: attributes, sub-objects, and views."""
    views = {registration.name for registration in getGlobalSiteManager().registeredAdapters() if registration.name}
    names = {name for name in dir(aq_base(published)) if not name.startswith("_")}  # the publisher refuses the others
    names.update(getattr(published, "objectIds", list)())
    return names | {f"@@{name}" for name in views} | {"++etc++site", "++skin++x", "p_", "misc_", "PROPFIND", "HEAD"}


@pytest.fixture
def draft(server: Server) -> str:
    """The path of a data set of ada's, and drafts are nobody's business."""
    with server.lake.open() as site:
        data_set = site.data_set_module.newDataSet("brain", title="Secret")
        transaction.commit()
        return "/".join(data_set.getPhysicalPath())


@pytest.mark.parametrize("user", [None, "ada"])
def test_nothing_but_the_front_page_is_published_to_who_is_no_manager(server, draft, user, caplog):
    caplog.set_level(logging.CRITICAL)
    with server.lake.open("system") as site:
        places = {"/" + place: site.aq_parent.unrestrictedTraverse(place) for place in PLACES}
        places[draft] = site.unrestrictedTraverse(draft)
        paths = [f"{place.rstrip('/')}/{name}" for place, thing in places.items() for name in ("", *names_of(thing))]
    assert len(paths) > 2000
    answered = [path for path, status in ask(server, paths, user) if status not in REFUSED]
    assert [path for path in answered if not OPEN.fullmatch(path)] == []


@pytest.mark.parametrize("method", ["PUT", "POST", "PROPFIND", "PROPPATCH", "MKCOL", "COPY", "MOVE", "LOCK", "OPTIONS"])
@pytest.mark.parametrize("user", [None, "dan", "ada"])
def test_webdav_is_for_managers(server, draft, method, user):
    for path, status in ask(server, [draft, "/erp5/data_set_module", "/erp5/new", "/new"], user, method):
        assert status in REFUSED | {405}, path


def test_manager_can_use_the_management_screens(server):
    assert server.request("GET", f"{server.portal}/data_set_module/manage_main", user="boss").status == 200


@pytest.mark.parametrize("sent", [{"Sec-Fetch-Site": "cross-site"}, {"Origin": "https://evil.example.org"}])
def test_page_of_another_site_cannot_use_the_management_screens_of_a_manager(server, sent):
    answer = server.request("GET", f"{server.portal}/manage_main", headers=sent, user="boss")
    assert answer.status == 403
    assert b"The page of another site asked for this. Only pages of this site may." in answer.body


def test_who_is_not_logged_in_is_asked_to_log_in(server):
    answer = server.request("GET", f"{server.portal}/manage_main", user=None)
    assert answer.status == 401
    assert answer.headers["WWW-Authenticate"].startswith("basic realm=")


def test_who_is_no_manager_is_told_that_there_is_nothing(server):
    answer = server.request("GET", f"{server.portal}/title_or_id", user="ada")
    assert answer.status == 404
    assert b"There is nothing at this address." in answer.body
