"""An instance: the directory that `wendelin init` makes and every other `wendelin` command is given.

::

    DIR/etc/zope.conf         Zope's configuration: the storage, caches, limits; made once, then the operator's
    DIR/etc/admin-password    the first administrator's, where `init` had to make one up
    DIR/var/Data.fs           the database, unless --storage says otherwise
    DIR/var/storage.socket    while `serve` or `fluentd` runs: other commands come in here (see `shared_storage`)
    DIR/var/shell-history     what was typed at the prompt of `wendelin shell`
    DIR/var/tmp/              request bodies on their way in
    DIR/log/                  wendelin.log, access.log, fluentd.log

All of it is private to the user who made it. `zope.conf` is written last: a directory without it is no instance, and
what an interrupted `init` left behind is known by `zope.conf.part`.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import transaction
import Zope2
from AccessControl.SecurityManagement import newSecurityManager, noSecurityManager
from AccessControl.users import system
from App.config import getConfiguration
from Testing.makerequest import makerequest
from ZODB import DB
from zope.component.hooks import setSite
from Zope2.Startup.run import make_wsgi_app

from Products.ERP5Wendelin.errors import BadInput, Conflict, NotFound

THREADS = 16
"""Requests served at once; files on their way out take none."""

CONFLICT_RETRIES = 10
"""How often a transaction is repeated that met another's."""

Result = TypeVar("Result")

ZOPE_CONF = """\
# Zope's configuration of this instance, written by `wendelin init`; yours to change while `wendelin serve` is stopped.
%import Products.ERP5Wendelin.storage
%import Products.ERP5Wendelin.portal
%define INSTANCE {directory}

instancehome $INSTANCE
clienthome $INSTANCE/var
locale C
datetime-format international
http-realm wendelin
debug-mode off
# Writers of one data set may meet; Zope then repeats the request, as often as this before the client learns of it.
max-conflict-retries {retries}

# Limits of web forms. Uploads of the HTTP API are no forms: they have none.
<dos_protection>
  # a piece that the original ebulk sends is a form field of 70 MB
  form-memory-limit 80MB
  form-disk-limit 1GB
  form-memfile-limit 64KB
</dos_protection>

<zodb_db main>
  mount-point /
  # connections that may be open at once: a request that moves contents reads or writes on a second one
  pool-size {pool_size}
  # for each connection, bounded by the bytes; file contents are read past the cache. Storing what agents send under a
  # tag takes 14 objects: with fewer than all that are in use each commit would read all of them anew
  cache-size 50000
  cache-size-bytes 16MB
  <sharedstorage>
    socket $INSTANCE/var/storage.socket
    <uristorage>
      uri {uri}
    </uristorage>
  </sharedstorage>
</zodb_db>
"""


@dataclass(frozen=True)
class Instance:
    """The directory of an instance, by its absolute path."""

    directory: Path

    @property
    def etc(self) -> Path:
        return self.directory / "etc"

    @property
    def var(self) -> Path:
        return self.directory / "var"

    @property
    def log(self) -> Path:
        return self.directory / "log"

    @property
    def tmp(self) -> Path:
        return self.var / "tmp"

    @property
    def zope_conf(self) -> Path:
        return self.etc / "zope.conf"

    @property
    def unfinished_zope_conf(self) -> Path:
        return self.etc / "zope.conf.part"

    @property
    def admin_password(self) -> Path:
        return self.etc / "admin-password"

    @property
    def shell_history(self) -> Path:
        return self.var / "shell-history"

    @property
    def storage_socket(self) -> Path:
        return self.var / "storage.socket"


def find(directory: str | Path) -> Instance:
    """The instance in a directory; NotFound if there is none."""
    instance = Instance(Path(directory).absolute())
    if instance.directory.is_file():
        raise NotFound(f"{directory} is a file, where the folder of an instance is to be named.")
    if not instance.zope_conf.is_file():
        raise NotFound(f"{directory} is not an instance. Make one with: wendelin init {directory}")
    return instance


def create(directory: str | Path, uri: str | None, populate: Callable[[Instance, Any], None]) -> Instance:
    """Make an instance, all of it or nothing; `populate(instance, app)` fills the database in one transaction.

    `uri` names the storage, a FileStorage in the instance unless given. An empty directory will do, as will what an
    interrupted `init` left; anything else in it is a Conflict.
    """
    instance = Instance(Path(directory).absolute())
    existed = instance.directory.is_dir()
    check_is_free(instance)
    os.umask(0o077)
    try:
        lay_out(instance, uri)
        perform(instance, partial(populate, instance), instance.unfinished_zope_conf)
        instance.unfinished_zope_conf.rename(instance.zope_conf)
    except BaseException:
        clear(instance)
        if not existed and instance.directory.exists():
            instance.directory.rmdir()
        raise
    return instance


def check_is_free(instance: Instance) -> None:
    """Conflict if the directory holds anything that isn't the remains of an interrupted `init`."""
    directory = instance.directory
    if instance.zope_conf.exists():
        raise Conflict(f"{directory} is an instance already. Serve it with: wendelin serve {directory}")
    if instance.unfinished_zope_conf.exists():
        clear(instance)
    if directory.is_dir():
        if any(directory.iterdir()):
            raise Conflict(f"{directory} is not empty: name a new or an empty directory.")
    elif directory.exists():
        raise Conflict(f"{directory} is a file: name a new or an empty directory.")
    elif not directory.parent.is_dir():
        raise NotFound(f"There is no directory {directory.parent} to make {directory.name} in.")


def lay_out(instance: Instance, uri: str | None) -> None:
    """Make the directories and the unfinished configuration, private to this user."""
    text = zope_conf(instance, uri)
    instance.directory.mkdir(exist_ok=True)
    instance.directory.chmod(0o700)
    instance.etc.mkdir()
    instance.unfinished_zope_conf.write_text(text, encoding="utf-8")  # from here on it can be told what this was
    for directory in (instance.var, instance.log, instance.tmp):
        directory.mkdir()


def zope_conf(instance: Instance, uri: str | None) -> str:
    """Text of the configuration."""
    directory = str(instance.directory)
    for value in (directory, uri or ""):
        if not value.isprintable() or value != value.strip():
            raise BadInput(f"{value!r} cannot stand in a configuration file: name another.")
    if uri is None and "?" in directory:
        raise BadInput(f"{directory} has a question mark, which would begin the options of the storage: name another.")
    return ZOPE_CONF.format(
        directory=directory.replace("$", "$$"),
        uri=uri.replace("$", "$$") if uri else "file://$INSTANCE/var/Data.fs",
        pool_size=2 * THREADS,
        retries=CONFLICT_RETRIES,
    )


def clear(instance: Instance) -> None:
    """Remove what `lay_out` made and `populate` put there."""
    for directory in (instance.var, instance.log, instance.etc):  # etc, by which remains are known, last
        shutil.rmtree(directory, ignore_errors=True)


def start_zope(instance: Instance, zope_conf: Path | None = None) -> Callable[..., Any]:
    """Start Zope in this process, which can be done once, and return its WSGI application."""
    tempfile.tempdir = str(instance.tmp)
    return make_wsgi_app({}, str(zope_conf or instance.zope_conf))


def reopen_database() -> DB:
    """Open the database of the Zope that runs in this process anew, once it was closed."""
    tab = getConfiguration().dbtab
    tab.databases.clear()
    Zope2.DB = tab.getDatabase("/", is_root=True)
    return Zope2.DB


@contextmanager
def opened(instance: Instance, zope_conf: Path | None = None) -> Iterator[Any]:
    """The Zope application of an instance, with all rights, on a connection of this thread; in the end closed.

    Like `start_zope`, it can be done once a process. What was not committed is lost.
    """
    start_zope(instance, zope_conf)
    try:
        app = makerequest(Zope2.app())
        newSecurityManager(None, system)
        try:
            yield app
        finally:
            setSite()
            noSecurityManager()
            transaction.abort()
            app._p_jar.close()
    finally:
        Zope2.DB.close()


def perform(instance: Instance, function: Callable[[Any], Result], zope_conf: Path | None = None) -> Result:
    """Call `function(app)` with all rights in one transaction, repeated when it meets another's; close the database."""
    with opened(instance, zope_conf) as app:
        for attempt in transaction.manager.attempts(CONFLICT_RETRIES):
            with attempt:
                result = function(app)
        return result
