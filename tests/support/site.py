"""A fresh site for each test, in a FileStorage of its own.

Zope is started once a process: products and ZCML are loaded, as `wendelin serve` does. The first test makes a site
with the users below, and all get copies of its Data.fs. A test package takes the fixtures over in its conftest.py:

    from support.site import data_fs, lake, site  # noqa: F401
"""

from __future__ import annotations

import functools
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import OFS.Application
import pytest
import transaction
import Zope2
import ZPublisher.WSGIPublisher
from AccessControl.SecurityManagement import (
    getSecurityManager,
    newSecurityManager,
    noSecurityManager,
    setSecurityManager,
)
from AccessControl.users import nobody, system
from App.ZApplication import ZApplicationWrapper
from Testing.makerequest import makerequest
from ZODB.DB import DB
from ZODB.FileStorage import FileStorage
from zope.component.hooks import getSite, setSite
from Zope2.App import patches, startup
from Zope2.App.ClassFactory import ClassFactory

from Products.ERP5Wendelin.content.site import enter_site
from Products.ERP5Wendelin.portal.business_template.shipped import DEFAULT_TEMPLATES
from Products.ERP5Wendelin.portal.root import ERP5Site
from Products.ERP5Wendelin.portal.setup import make_site
from Products.ERP5Wendelin.portal.users import add_user

USERS = {"ada": "contributor", "eve": "contributor", "dan": "downloader", "boss": "manager"}
"""The users of every site, and their roles."""

PASSWORD = "correct horse"
"""Everybody's."""


@dataclass
class Lake:
    """A database with a site in it; `application` answers requests to it (WSGI), as the server would."""

    db: DB
    application: Callable[..., Any] = ZPublisher.WSGIPublisher.publish_module

    @contextmanager
    def open(self, user: str = "ada") -> Iterator[ERP5Site]:
        """The site on a connection of this thread, as one of its users, 'system' or 'nobody'.

        What is not committed is lost.
        """
        connection = self.db.open()
        before = getSite()
        try:
            site = enter_site(makerequest(connection.root()["Application"]))
            with as_user(site, user):
                yield site
        finally:
            setSite(before)
            transaction.abort()
            connection.close()


@contextmanager
def as_user(site: ERP5Site, name: str) -> Iterator[None]:
    """Act as a user of the site, as 'system' (who may everything) or as 'nobody' (anonymous)."""
    before = getSecurityManager()
    special = {"system": system, "nobody": nobody}
    user = special[name] if name in special else site.acl_users.getUserById(name).__of__(site.acl_users)
    newSecurityManager(None, user)
    try:
        yield
    finally:
        noSecurityManager()
        setSecurityManager(before)


@pytest.fixture
def lake(tmp_path: Path, data_fs: Path) -> Iterator[Lake]:
    """A fresh site, which requests reach, too."""
    shutil.copy(data_fs, tmp_path / "Data.fs")
    db = open_data_fs(tmp_path / "Data.fs")
    publish(db)
    try:
        yield Lake(db)
    finally:
        db.close()


def publish(db: DB) -> None:
    """Let requests reach a database, in place of any before."""
    Zope2.DB = db
    Zope2.bobo_application = ZApplicationWrapper(db, "Application", OFS.Application.Application)
    ZPublisher.WSGIPublisher._MODULES.clear()


@pytest.fixture
def site(lake: Lake) -> Iterator[ERP5Site]:
    """A fresh site, seen by ada."""
    with lake.open() as site:
        yield site


@pytest.fixture(scope="session")
def data_fs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The database that `lake` copies."""
    path = tmp_path_factory.mktemp("site") / "Data.fs"
    make_data_fs(path)
    return path


def make_data_fs(
    path: Path, templates: Sequence[str] = DEFAULT_TEMPLATES, users: Mapping[str, str] = MappingProxyType(USERS)
) -> None:
    """Make a database with a site of these business templates, and its users."""
    start_zope()
    db = open_data_fs(path)
    connection = db.open()
    newSecurityManager(None, system)
    try:
        connection.root()["Application"] = OFS.Application.Application()
        app = makerequest(connection.root()["Application"])
        OFS.Application.initialize(app)
        site = make_site(app, templates=templates)
        for name, role in users.items():
            add_user(site, name, role, PASSWORD)
        transaction.commit()
    finally:
        setSite()
        noSecurityManager()
        transaction.abort()
        connection.close()
        db.close()


@functools.cache
def start_zope() -> None:
    """Load products and ZCML, once a process."""
    patches.apply_patches()
    OFS.Application.import_products()
    startup.load_zcml()


def open_data_fs(path: Path) -> DB:
    """The database in a FileStorage."""
    # large enough that writers and readers of one test never wait for a connection
    return DB(FileStorage(str(path)), pool_size=50, class_factory=ClassFactory)
