"""URIs of databases: what each opens, and what is said of one that can't be opened."""

import sys
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from ZODB.config import storageFromString

from Products.ERP5Wendelin import errors
from Products.ERP5Wendelin.protocol import MIB
from Products.ERP5Wendelin.storage.database import open_database, open_storage, resolve, shown
from Products.ERP5Wendelin.storage.file_storage import SafeFileStorage
from Products.ERP5Wendelin.storage.relational import libpq_dsn

KNOWN = "file://, zeo://, neo://, neos://, postgresql://, mysql://, sqlite://"


def message_of(uri: str, kind: type[errors.WendelinError] = errors.BadInput) -> str:
    with pytest.raises(kind) as caught:
        open_database(uri)
    return str(caught.value)


class TestOpenDatabase:
    def test_a_missing_file_is_made_and_its_cache_is_bounded(self, tmp_path: Path) -> None:
        database = open_database(f"file://{tmp_path}/Data.fs")
        assert isinstance(database.storage, SafeFileStorage)
        assert database.getCacheSize() == 30_000
        assert database.getCacheSizeBytes() == 64 * MIB
        database.close()
        assert (tmp_path / "Data.fs").exists()

    def test_options_in_the_uri_are_those_of_storage_and_database(self, tmp_path: Path) -> None:
        database = open_database(
            f"file://{tmp_path}/Data.fs?quota=2gb&pack_keep_old=0"
            "&connection_cache_size=5&connection_cache_size_bytes=3MB&connection_pool_size=9&database_name=lake"
        )
        assert database.storage._quota == 2 * 1024 * MIB
        assert database.storage.pack_keep_old == 0
        assert (database.getCacheSize(), database.getCacheSizeBytes(), database.getPoolSize()) == (5, 3 * MIB, 9)
        assert database.database_name == "lake"
        database.close()

    def test_arguments_win_over_options_in_the_uri(self, tmp_path: Path) -> None:
        database = open_database(f"file://{tmp_path}/Data.fs?connection_cache_size=5", cache_size=7)
        assert database.getCacheSize() == 7
        database.close()

    def test_a_file_that_another_process_has_open_is_a_conflict_and_can_be_read_beside_it(self, tmp_path: Path) -> None:
        uri = f"file://{tmp_path}/Data.fs"
        database = open_database(uri)
        assert message_of(uri, errors.Conflict) == (
            f"{uri} is open in another process. Stop that process, or connect to the server that has it open."
        )
        beside = open_database(uri + "?read_only=1")
        assert beside.storage.isReadOnly()
        beside.close()
        database.close()

    def test_a_folder_that_is_not_there_is_bad_input(self) -> None:
        assert message_of("file:///nowhere/Data.fs") == (
            "file:///nowhere/Data.fs cannot be opened: No such file or directory."
        )

    def test_a_zeo_server_that_does_not_answer_is_bad_input(self, tmp_path: Path) -> None:
        uri = f"zeo://{tmp_path}/none.sock?wait_timeout=1"
        assert message_of(uri) == f"No ZEO server answers at {uri}. Start it, or correct the address."


class TestResolve:
    @pytest.mark.parametrize("uri", ["ftp://host/Data.fs", "/srv/Data.fs", "", "memory://"])
    def test_an_unknown_scheme_is_bad_input_with_the_known_ones(self, uri: str) -> None:
        assert message_of(uri) == f"{uri} is no URI of a database. Use one that begins with {KNOWN}."

    @pytest.mark.parametrize("uri", ["file:///srv/Data.fs", "zeo://localhost:1", "sqlite:///srv/lake"])
    def test_an_unknown_option_is_bad_input(self, uri: str) -> None:
        assert message_of(uri + "?colour=red&create=1") == (
            f"{uri}?colour=red&create=1 has options that are not known: colour, create."
        )

    def test_a_value_that_makes_no_sense_is_bad_input(self) -> None:
        assert message_of("file:///srv/Data.fs?quota=much") == (
            "file:///srv/Data.fs?quota=much is no valid URI of a database: "
            "invalid literal for int() with base 10: 'much'."
        )

    @pytest.mark.parametrize("scheme", ["postgresql", "mysql"])
    def test_a_server_without_a_database_is_bad_input(self, scheme: str) -> None:
        assert message_of(f"{scheme}://ada:secret@host") == (
            f"{scheme}://ada:***@host is no valid URI of a database: it names no database, as "
            f"{scheme}://user:password@host/database does."
        )

    @pytest.mark.parametrize("uri", ["sqlite://", "sqlite://srv/lake"])
    def test_sqlite_without_an_absolute_path_is_bad_input(self, uri: str) -> None:
        assert message_of(uri) == (
            f"{uri} is no valid URI of a database: it needs the absolute path of a folder, as in sqlite:///srv/lake."
        )

    def test_a_missing_driver_is_bad_input_that_names_the_package(self) -> None:
        assert message_of("mysql://ada@host/lake?driver=auto") == (
            "No driver for mysql is installed here. Install mysqlclient."
        )

    @pytest.mark.parametrize(
        ("module", "uri", "expected"),
        [
            (
                "relstorage",
                "sqlite:///srv/lake",
                "RelStorage, which stores in PostgreSQL, MySQL and SQLite, is not installed here. "
                "Install erp5-wendelin[relstorage].",
            ),
            (
                "neo",
                "neo://lake@localhost:1",
                "NEO cannot be loaded here: No module named 'neo.client'; 'neo' is not a package. The release of "
                "neoppod on PyPI is for Python 2: install upstream's development branch, "
                "https://lab.nexedi.com/nexedi/neoppod, and erp5-wendelin[neo].",
            ),
        ],
    )
    def test_a_missing_package_is_bad_input_that_names_it(
        self, monkeypatch: pytest.MonkeyPatch, module: str, uri: str, expected: str
    ) -> None:
        for name in [name for name in sys.modules if name.split(".")[0] == module or name.endswith(".relational")]:
            monkeypatch.delitem(sys.modules, name)
        monkeypatch.setitem(sys.modules, module, None)
        assert message_of(uri) == expected

    def test_postgresql_gets_the_parts_of_the_uri_decoded_and_quoted(self) -> None:
        parts = urlsplit("postgresql://ada:p%40ss'w%5Crd@db.example:5433/lake")
        assert libpq_dsn(parts, {"sslmode": "require"}) == (
            r"user='ada' password='p@ss\'w\\rd' host='db.example' port='5433' dbname='lake' sslmode='require'"
        )
        assert libpq_dsn(urlsplit("postgresql:///lake"), {"host": "/run/pg"}) == "dbname='lake' host='/run/pg'"

    def test_options_of_the_database_are_told_from_those_of_the_storage(self) -> None:
        _, options = resolve("sqlite:///lake?keep_history=false&connection_pool_size=3&connection_cache_size_bytes=1MB")
        assert options == {"pool_size": 3, "cache_size_bytes": MIB}


class TestShown:
    @pytest.mark.parametrize(
        ("uri", "expected"),
        [
            ("file:///srv/Data.fs", "file:///srv/Data.fs"),
            ("postgresql://ada:secret@host:1/lake?sslmode=require", "postgresql://ada:***@host:1/lake?sslmode=require"),
            ("zeo://host:1?username=ada&password=secret", "zeo://host:1?username=ada&password=***"),
        ],
    )
    def test_it_has_no_password(self, uri: str, expected: str) -> None:
        assert shown(uri) == expected


class TestConfiguration:
    def test_a_uristorage_section_opens_the_storage_of_its_uri(self, tmp_path: Path) -> None:
        storage = storageFromString(
            f"%import Products.ERP5Wendelin.storage\n<uristorage>\n  uri file://{tmp_path}/Data.fs\n</uristorage>\n"
        )
        assert isinstance(storage, SafeFileStorage)
        storage.close()

    def test_options_of_the_database_do_not_belong_into_a_uristorage_section(self, tmp_path: Path) -> None:
        uri = f"file://{tmp_path}/Data.fs?connection_cache_size=5"
        with pytest.raises(errors.BadInput) as caught:
            open_storage(uri)
        assert str(caught.value) == (
            f"{uri} has options of the database (cache_size) where only a storage is opened. "
            "Set them in the section of the database."
        )
