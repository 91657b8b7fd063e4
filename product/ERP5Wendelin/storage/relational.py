"""URIs of databases that RelStorage keeps in PostgreSQL, MySQL or SQLite.

RelStorage's own resolvers decode nothing, so that a password with `@` in it fails; they give libpq the text ``None``
for a part that the URI leaves out, and an option that libpq doesn't know. Hence these, on top of RelStorage's classes.

Options after the ``?``:

* all: ``keep_history`` (false saves the room of old revisions), ``read_only``, ``driver``, ``commit_lock_timeout``
  (seconds), ``cache_local_mb``, ``cache_local_object_max``, ``cache_prefix``, ``pack_gc``, ``blob_dir``, ``name``;
* postgresql: ``host`` (also a socket's folder), ``sslmode``, ``sslrootcert``, ``connect_timeout``;
* mysql: ``unix_socket``, ``connect_timeout``, ``compress``, ``read_default_file``, ``read_default_group``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from relstorage.adapters.interfaces import DriverNotAvailableError
from relstorage.adapters.mysql import MySQLAdapter
from relstorage.adapters.postgresql import PostgreSQLAdapter
from relstorage.adapters.sqlite.adapter import Sqlite3Adapter
from relstorage.options import Options
from relstorage.storage import RelStorage
from relstorage.zodburi_resolver import MySQLAdapterHelper, RelStorageURIResolver

from .. import errors

Adapter = Callable[[Options], Any]

_DRIVERS = {"postgresql": "psycopg2-binary", "mysql": "mysqlclient"}

_LIBPQ_OPTIONS = ("host", "sslmode", "sslrootcert", "sslcert", "sslkey", "connect_timeout")


def resolve(uri: str) -> tuple[Callable[[], RelStorage], dict[str, str]]:
    """What opens the storage of a URI, and the options in it that are not RelStorage's."""
    parts = urlsplit(uri)
    options = dict(parse_qsl(parts.query))
    adapter, options = _ADAPTERS[parts.scheme](parts, options)
    storage_options, unused = RelStorageURIResolver(None).interpret_kwargs(options)

    def open_storage() -> RelStorage:
        storage = Options(**storage_options)
        try:
            return RelStorage(adapter=adapter(storage), options=storage)
        except DriverNotAvailableError as error:
            raise errors.BadInput(
                f"No driver for {parts.scheme} is installed here. Install {_DRIVERS.get(parts.scheme, 'one')}."
            ) from error

    return open_storage, unused


def _postgresql(parts: SplitResult, options: dict[str, str]) -> tuple[Adapter, dict[str, str]]:
    dsn = libpq_dsn(parts, {key: options.pop(key) for key in _LIBPQ_OPTIONS if key in options})
    return lambda storage: PostgreSQLAdapter(dsn=dsn, options=storage), options


def libpq_dsn(parts: SplitResult, options: dict[str, str]) -> str:
    """The connection string for libpq."""
    keywords = _login(parts, user="user", password="password", host="host", port="port", database="dbname")  # noqa: S106
    return " ".join(f"{key}={_quoted(value)}" for key, value in {**keywords, **options}.items())


def _mysql(parts: SplitResult, options: dict[str, str]) -> tuple[Adapter, dict[str, str]]:
    keywords = _login(parts, user="user", password="passwd", host="host", port="port", database="db")  # noqa: S106
    own, options = MySQLAdapterHelper().interpret_kwargs(options)
    return lambda storage: MySQLAdapter(options=storage, **keywords, **own), options


def _sqlite(parts: SplitResult, options: dict[str, str]) -> tuple[Adapter, dict[str, str]]:
    folder = unquote(parts.path)
    if parts.netloc or not folder:
        raise ValueError("it needs the absolute path of a folder, as in sqlite:///srv/lake")
    return lambda storage: Sqlite3Adapter(folder, pragmas={}, options=storage), options


_ADAPTERS = {"postgresql": _postgresql, "mysql": _mysql, "sqlite": _sqlite}


def _login(parts: SplitResult, **names: str) -> dict[str, Any]:
    """User, password, host, port and database as the URI has them, decoded, under a driver's names for them."""
    values: Mapping[str, Any] = {
        "user": parts.username,
        "password": parts.password,
        "host": parts.hostname,
        "port": parts.port,
        "database": parts.path.strip("/"),
    }
    if not values["database"]:
        raise ValueError(f"it names no database, as {parts.scheme}://user:password@host/database does")
    return {
        name: unquote(values[part]) if isinstance(values[part], str) else values[part]
        for part, name in names.items()
        if values[part]
    }


def _quoted(value: Any) -> str:
    r"""A value in libpq's connection string: in single quotes, with \ before \ and '."""
    return "'" + str(value).replace("\\", r"\\").replace("'", r"\'") + "'"
