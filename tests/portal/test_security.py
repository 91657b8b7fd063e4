"""Our classes are closed: what is public has a declaration, and URLs reach nothing but what ZCML names."""

from __future__ import annotations

import base64
import importlib
import io
import pkgutil
from types import FunctionType

import pytest
import transaction
from Acquisition import aq_base
from ExtensionClass import Base as ExtensionClass
from ZPublisher import zpublish_mark

import Products.ERP5Wendelin.content
import Products.ERP5Wendelin.portal
from support.site import PASSWORD


def classes():
    """All classes that our packages define and Zope can reach: those with acquisition."""
    for package in (Products.ERP5Wendelin.content, Products.ERP5Wendelin.portal):
        for info in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
            module = importlib.import_module(info.name)
            for value in vars(module).values():
                if isinstance(value, type) and issubclass(value, ExtensionClass) and value.__module__ == info.name:
                    yield value


def methods():
    for cls in classes():
        for name, value in vars(cls).items():
            if isinstance(value, (FunctionType, classmethod, staticmethod)) and not name.startswith("_"):
                yield pytest.param(cls, name, id=f"{cls.__name__}.{name}")


def test_there_are_classes_to_look_at():
    assert {"DataSet", "DataSetModule", "DataIngestion", "ERP5Site", "AccessTokens"} <= {c.__name__ for c in classes()}


@pytest.mark.parametrize(("cls", "name"), list(methods()))
def test_public_method_has_a_declaration(cls, name):
    assert any(name + "__roles__" in vars(base) for base in cls.__mro__), f"{cls.__name__}.{name} is open to anybody"


@pytest.mark.parametrize(("cls", "name"), list(methods()))
def test_public_method_is_not_published(cls, name):
    assert zpublish_mark(vars(cls)[name]) is False


@pytest.mark.parametrize(
    "portal_type",
    ["data_set", "data_stream", "data_array", "data_ingestion", "data_supply", "data_operation", "data_product"],
)
def test_object_that_is_an_attribute_of_a_document_is_private(site, portal_type):
    module = site[f"{portal_type}_module"]
    document = aq_base(module.newDataSet("x") if portal_type == "data_set" else module.newContent())
    for name, value in vars(document).items():
        if not name.startswith("_") and name != "workflow_history" and not isinstance(value, (str, int)):
            assert getattr(type(document), name + "__roles__", "open") == (), name


def request(lake, path, user="boss", method="GET"):
    """The status that a request meets."""
    statuses = []
    environ = {
        "REQUEST_METHOD": method,
        "PATH_INFO": path,
        "QUERY_STRING": "",
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "8080",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "wsgi.input": io.BytesIO(),
        "wsgi.url_scheme": "http",
    }
    if user:
        environ["HTTP_AUTHORIZATION"] = "Basic " + base64.b64encode(f"{user}:{PASSWORD}".encode()).decode()
    try:
        result = lake.application(environ, lambda status, headers, exc_info=None: statuses.append(int(status[:3])))
        b"".join(result)
    except Exception as error:  # what no view answers for, the server would
        return type(error).__name__
    return statuses[-1]


@pytest.mark.parametrize(
    "attribute",
    [
        "changeState",
        "getTitle",
        "edit",
        "commit",
        "manifest",
        "manifest/version",
        "manifest/commit",
        "reference",
        "created",
    ],
)
@pytest.mark.parametrize("user", ["", "ada"])
def test_nothing_of_a_document_can_be_reached_by_url(lake, attribute, user):
    with lake.open() as site:
        data_set = site.data_set_module.newDataSet("x")
        data_set.changeState("publish")
        transaction.commit()
        path = "/".join(data_set.getPhysicalPath())
    assert request(lake, f"{path}/{attribute}", user) in ("Forbidden", "NotFound", "Unauthorized", 401, 403, 404)


@pytest.mark.parametrize(
    "name", ["users/listUserIds", "access_tokens/newToken", "roles/listRoleIds", "users/_user_passwords"]
)
def test_nobody_reaches_the_users_by_url(lake, name):
    assert request(lake, f"/erp5/acl_users/{name}", "ada") in ("Forbidden", "NotFound", "Unauthorized", 401, 403, 404)
