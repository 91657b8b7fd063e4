"""Zope's management screens, as a manager opens them in a browser: each tab of each class of objects."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import quote, urlencode

import pytest
import transaction
from Acquisition import aq_base

from Products.ERP5Wendelin.content.module import Module
from support.http_server import Server
from support.original_ebulk import OriginalEbulk
from support.site import PASSWORD

FAILS_IN_CMF = "portal_memberdata/manage_showContents"
"""CMFCore asks for a list of all users there, which no PluggableAuthService has."""


def below(container: Any) -> Iterator[Any]:
    """What is in a container, and in what is in it."""
    for thing in container.objectValues():
        yield thing
        if hasattr(aq_base(thing), "objectValues"):
            yield from below(thing)


def tabs_of(site: Any) -> list[str]:
    """The path of each tab of an object of each class, below the site."""
    depth = len(site.getPhysicalPath())
    found: dict[tuple[type, str], str] = {}
    for thing in (site, *below(site)):
        for tab in thing.filtered_manage_options():
            path = "/".join([*thing.getPhysicalPath()[depth:], tab["action"]])
            found.setdefault((type(aq_base(thing)), tab["action"]), path)
    return list(found.values())


@pytest.fixture
def documents(server: Server) -> None:
    """A document of each portal type that a module takes."""
    with server.lake.open("boss") as site:
        for module in site.objectValues():
            if isinstance(module, Module):
                for portal_type in site.portal_types.getTypeInfo(module).allowed_content_types:
                    module.newContent(portal_type=portal_type, title=f"A {portal_type}", reference="sample")
        transaction.commit()


def press(server: Server, path: str, method: str, fields: dict[str, str], headers: dict[str, str] | None = None):
    """What a button of a screen does."""
    sent = {"Content-Type": "application/x-www-form-urlencoded", **(headers or {})}
    body = urlencode({**fields, f"{method}:method": "OK"}).encode()
    return server.request("POST", f"{server.portal}/{path}", body, sent, user="boss")


# CMFCore calls what CMFCore deprecates
@pytest.mark.filterwarnings("ignore:TypeInformation.listContentTypes:DeprecationWarning")
def test_each_tab_of_each_class_of_objects_opens(server, documents):
    with server.lake.open("boss") as site:
        paths = tabs_of(site)
    assert len(paths) > 200
    assert FAILS_IN_CMF in paths
    refused = {}
    for path in paths:
        answer = server.request("GET", f"{server.portal}/{quote(path)}", user="boss")
        if answer.status not in (200, 302) and path != FAILS_IN_CMF:
            refused[path] = answer.status
    assert refused == {}


def test_document_with_lines_lists_them(server):
    page = server.request("GET", f"{server.portal}/data_supply_module/default/manage_main", user="boss")
    assert page.status == 200
    assert b'value="1"' in page.body
    assert b'title="Data Supply Line"' in page.body
    assert b"manage_workflowsTab" in page.body


@pytest.mark.parametrize("container", ["data_supply_module", "portal_ingestion_policies", "data_supply_module/default"])
def test_documents_are_neither_copied_nor_renamed_there(server, container):
    id = "1" if container.endswith("/default") else "default"
    copied = press(server, f"{container}/", "manage_copyObjects", {"ids:list": id})
    clipboard = copied.headers["Set-Cookie"].partition(";")[0]
    answers = [
        press(server, f"{container}/", "manage_pasteObjects", {}, {"Cookie": clipboard}),
        press(server, f"{container}/", "manage_renameObjects", {"ids:list": id, "new_ids:list": "other"}),
    ]
    for answer in answers:
        assert answer.status == 400
        assert b"Documents can't be copied, moved, renamed or imported. Make another one, by newContent." in answer.body


def test_data_set_that_is_deleted_there_can_be_sent_again(server):
    ada = OriginalEbulk(server.portal, "ada", PASSWORD)
    for path, eof in (("whole.txt", "END"), ("parts.txt", "001")):
        assert ada.send("brain", path, b"before", eof).status == 204
    with server.lake.open("boss") as site:
        id = site.data_set_module.getDataSet("brain").getId()
    assert press(server, "data_set_module/", "manage_delObjects", {"ids:list": id}).status == 200

    assert server.request("GET", "/data-sets/brain").status == 404
    assert ada.send("brain", "parts.txt", b"after", "END").status == 204
    assert server.request("GET", "/data-sets/brain/files/parts.txt").body == b"after"
    assert server.request("GET", "/data-sets/brain/files/whole.txt").status == 404
