"""Our classes are closed: what is public has a declaration, and URLs reach nothing but what ZCML names."""

from __future__ import annotations

import base64
import importlib
import io
import pkgutil
from types import FunctionType

import pytest
import transaction
from AccessControl.SecurityInfo import _appliedModuleSecurity, _moduleSecurity
from Acquisition import aq_base
from ExtensionClass import Base as ExtensionClass
from ZPublisher import zpublish_mark

import Products.ERP5Wendelin
from Products.ERP5Wendelin.content.portal_types import PORTAL_TYPE_CLASSES
from support.site import PASSWORD, as_user

OPEN_TO_SCRIPTS = {
    "alarms.analysis": "handle_analysis",
    "alarms.consistency": "check_consistency",
    "alarms.expiry": "expire_ingestions",
    "alarms.md5": "compute_md5",
    "alarms.retention": "apply_retention",
    "compute.imports.script": "import_file",
    "compute.transform": "copy_csv read_and_transform transform",
    "errors": "BadInput BadPath Conflict DigestMismatch Gone Incomplete NotAuthorised NotFound TooLarge WrongState",
    "ingestion.ebulk": "find_operation parse_tag write",
    "ingestion.fluentd": "contents",
    "ingestion.policy": "add_policy find_operation",
    "views.erp5.ebulk": "constants data_stream_chunk data_stream_count data_stream_list descriptor increase_version "
    "invalidate reference_exists rename set_description",
}
"""Our modules that scripts may import, and what of them: functions that check permissions themselves."""


def modules():
    """All of our modules."""
    package = Products.ERP5Wendelin
    return [
        importlib.import_module(info.name) for info in pkgutil.walk_packages(package.__path__, "Products.ERP5Wendelin.")
    ]


def classes():
    """All classes that our packages define and Zope can reach: those with acquisition."""
    for module in modules():
        for value in vars(module).values():
            if isinstance(value, type) and issubclass(value, ExtensionClass) and value.__module__ == module.__name__:
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


@pytest.mark.usefixtures("site")
def test_scripts_may_import_of_our_modules_what_is_listed_here_and_no_more():
    security = _moduleSecurity | _appliedModuleSecurity
    functions = {
        module.__name__.removeprefix("Products.ERP5Wendelin."): " ".join(sorted(security[module.__name__].names))
        for module in modules()
        if module.__name__ in security and not hasattr(module, "__path__")
    }
    assert functions == OPEN_TO_SCRIPTS


def test_object_that_is_an_attribute_of_a_document_or_a_tool_is_private(site):
    found = [thing for thing in site.objectValues() if hasattr(thing, "newContent")]
    with as_user(site, "boss"):
        for container in list(found):
            add_contents(site, container, found)
    found += [site.portal_templates, site.portal_templates.erp5_wendelin]
    assert {thing.getPortalType() for thing in found} >= PORTAL_TYPE_CLASSES.keys() - {"Module"}
    opened = {
        (type(thing).__name__, name)
        for thing in map(aq_base, found)
        for name, value in vars(thing).items()
        if not name.startswith("_") and name != "workflow_history" and not isinstance(value, (str, int))
        if name not in getattr(thing, "objectIds", list)() and getattr(type(thing), name + "__roles__", "open") != ()
    }
    assert opened == set()


def add_contents(site, container, found):
    """Make a document of each portal type that a container takes, and in them those that they take."""
    info = site.portal_types.getTypeInfo(container.getPortalType())
    for portal_type in info.allowed_content_types:
        if portal_type not in {thing.getPortalType() for thing in found}:
            found.append(container.newContent(portal_type, **({"reference": "x"} if portal_type == "Data Set" else {})))
            if hasattr(found[-1], "newContent"):
                add_contents(site, found[-1], found)


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
