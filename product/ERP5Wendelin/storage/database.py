"""Opening the database that a URI names.

=====================================================  =================================================================
URI                                                    storage
=====================================================  =================================================================
``file:///srv/lake/Data.fs``                           FileStorage; one process has it open for writing
``zeo://host:port``, ``zeo:///run/lake/zeo.sock``      a ZEO server; IPv6 as ``zeo://[::1]:8100``
``neo://name@master:port,master:port``, ``neos://…``   a NEO cluster, with TLS; needs upstream's neoppod for Python 3
``postgresql://user:password@host:port/database``      RelStorage; ``?host=/run/postgresql`` for a socket's folder
``mysql://user:password@host:port/database``           RelStorage; ``?unix_socket=/run/mysqld/mysqld.sock`` for a socket
``sqlite:///srv/lake``                                 RelStorage in the files of a folder
=====================================================  =================================================================

Options follow a ``?``, joined by ``&``. Of what zodburi and the storages understand, these matter here:

* all: ``connection_pool_size``, ``connection_cache_size`` (objects), ``connection_cache_size_bytes`` (``64MB``),
  ``database_name``;
* file: ``read_only=1``, ``quota`` (``500GB``), ``pack_keep_old=0``, ``pack_gc=0``; the path is taken as it is, not
  percent-decoded;
* zeo: ``storage``, ``wait``, ``wait_timeout`` (seconds), ``cache_size``, ``client``, ``var``, ``read_only``,
  ``username``, ``password``;
* neo: the keys of its ZConfig section, with ``_`` or ``-``: ``compress``, ``cache_size``, ``logfile``, ``ca``,
  ``cert``, ``key``;
* postgresql, mysql, sqlite: see `storage.relational`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from functools import partial
from importlib import import_module
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import zodburi
from zc.lockfile import LockError
from ZEO.Exceptions import ClientDisconnected
from ZODB import DB
from ZODB.FileStorage import FileStorage
from ZODB.interfaces import IStorage
from zodburi.datatypes import convert_bytesize, convert_int
from zodburi.resolvers import client_storage_resolver as zeo_resolver

from .. import errors
from ..protocol import MIB
from .file_storage import SafeFileStorage

CACHE_SIZE = 30_000
CACHE_SIZE_BYTES = 64 * MIB
"""The most a connection keeps in memory between transactions, in objects and in bytes. Blocks are never kept."""

Factory = Callable[[], IStorage]
Resolved = tuple[Factory, dict[str, Any]]

_FILE_OPTIONS = {
    "read_only": convert_int,
    "pack_gc": convert_int,
    "pack_keep_old": convert_int,
    "quota": convert_bytesize,
}

_SCHEMES = ("file", "zeo", "neo", "neos", "postgresql", "mysql", "sqlite")


def open_database(uri: str, **options: Any) -> DB:
    """Open the database of a URI; `options` go to `ZODB.DB` and win over those in the URI.

    BadInput when the URI makes no sense, a package is missing or the storage can't be opened; Conflict when another
    process has the file open.
    """
    factory, database_options = resolve(uri)
    defaults = {"cache_size": CACHE_SIZE, "cache_size_bytes": CACHE_SIZE_BYTES}
    return DB(_open(uri, factory), **{**defaults, **database_options, **options})


def open_storage(uri: str) -> IStorage:
    """Open the storage of a URI alone, for whoever configures the database elsewhere, as zope.conf does."""
    factory, database_options = resolve(uri)
    if database_options:
        raise errors.BadInput(
            f"{shown(uri)} has options of the database ({', '.join(sorted(database_options))}) where only a storage is "
            "opened. Set them in the section of the database."
        )
    return _open(uri, factory)


def uri_of(database: DB | IStorage) -> str | None:
    """The URI of a database or storage, by which another process can open it; None: it has none, as one in memory.

    Of a FileStorage the path alone, whatever options it was opened with.
    """
    storage = database.storage if isinstance(database, DB) else database
    path = getattr(storage, "_file_name", None) if isinstance(storage, FileStorage) else None
    return f"file://{path}" if path else getattr(storage, "uri", None)


def note_uri(storage: IStorage, uri: str) -> None:
    """Remember the URI of a storage that was opened by it, for `uri_of`."""
    path = path_of(uri)
    storage.uri = uri if path is None else f"file://{path}"


def path_of(uri: str) -> str | None:
    """The absolute path of a FileStorage's file in a URI; None for a URI of another storage."""
    if urlsplit(uri).scheme != "file":
        return None
    return os.path.abspath(uri.removeprefix("file://").partition("?")[0])


def resolve(uri: str) -> Resolved:
    """What opens the storage of a URI, and the arguments it has for `ZODB.DB`."""
    scheme = urlsplit(uri).scheme
    try:
        factory, unused = _resolver(scheme)(uri)
        return factory, _database_options(unused)
    except zodburi.NoResolverForScheme:
        known = ", ".join(f"{scheme}://" for scheme in _SCHEMES)
        raise errors.BadInput(f"{shown(uri)} is no URI of a database. Use one that begins with {known}.") from None
    except zodburi.UnknownDatabaseKeywords as error:
        raise errors.BadInput(f"{shown(uri)} has options that are not known: {', '.join(sorted(error.kw))}.") from error
    except ValueError as error:
        raise errors.BadInput(f"{shown(uri)} is no valid URI of a database: {error}.") from error


def shown(uri: str) -> str:
    """A URI without the password in it, for messages and logs."""
    return re.sub(r"(//[^/?#:@]*:)[^/?#]*@|(?<=[?&])(password=)[^&]*", _starred, uri)


def _starred(match: re.Match[str]) -> str:
    return f"{match[1]}***@" if match[1] else f"{match[2]}***"


def _resolver(scheme: str) -> Callable[[str], Resolved]:
    """What makes of a URI the factory of a storage, and the options that are not the storage's."""
    if scheme == "file":
        return _file
    if scheme == "zeo":
        return zeo_resolver
    if scheme in ("neo", "neos"):
        return _neo_resolver()
    if scheme in ("postgresql", "mysql", "sqlite"):
        return _relational_resolver()
    raise zodburi.NoResolverForScheme(scheme)


def _file(uri: str) -> Resolved:
    """As zodburi's, which opens ZODB's FileStorage and not one that is safe when the disk is full."""
    path, _, query = uri.removeprefix("file://").partition("?")
    options = dict(parse_qsl(query))
    arguments = {key: _FILE_OPTIONS[key](options.pop(key)) for key in _FILE_OPTIONS if key in options}
    return partial(SafeFileStorage, os.path.normpath(path), **arguments), options


def _neo_resolver() -> Callable[[str], Resolved]:
    try:
        return import_module("neo.client.zodburi").resolve_uri
    except (ImportError, SyntaxError) as error:
        raise errors.BadInput(
            f"NEO cannot be loaded here: {error}. The release of neoppod on PyPI is for Python 2: install upstream's "
            "development branch, https://lab.nexedi.com/nexedi/neoppod, and erp5-wendelin[neo]."
        ) from error
    except ValueError as error:
        raise errors.BadInput(
            f"NEO cannot be loaded in this thread: {error}. Import neo.client before, in the main thread; workers of "
            "dask do that when they are started by `dask worker --preload neo.client`."
        ) from error


def _relational_resolver() -> Callable[[str], Resolved]:
    try:
        return import_module("..relational", __name__).resolve
    except ImportError as error:
        raise errors.BadInput(
            "RelStorage, which stores in PostgreSQL, MySQL and SQLite, is not installed here. "
            "Install erp5-wendelin[relstorage]."
        ) from error


def _database_options(unused: dict[str, Any]) -> dict[str, Any]:
    """The arguments for `ZODB.DB` among options in zodburi's spelling."""
    converted = zodburi.resolve_uri("memory://?" + urlencode(unused))[1]
    return {
        key: value
        for key, value in converted.items()
        if (key == "database_name" and key in unused) or f"connection_{key}" in unused
    }


def _open(uri: str, factory: Factory) -> IStorage:
    try:
        storage = factory()
        note_uri(storage, uri)
        return storage
    except LockError as error:
        raise errors.Conflict(
            f"{shown(uri)} is open in another process. Stop that process, or connect to the server that has it open."
        ) from error
    except ClientDisconnected as error:
        raise errors.BadInput(f"No ZEO server answers at {shown(uri)}. Start it, or correct the address.") from error
    except OSError as error:
        raise errors.BadInput(f"{shown(uri)} cannot be opened: {error.strerror or error}.") from error
