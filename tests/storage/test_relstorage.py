"""Byte streams in RelStorage, over PostgreSQL and over SQLite."""

from collections.abc import Iterator

import pytest

from support.databases import Unavailable, create_postgresql_database, postgresql_server
from support.storage_suite import StorageSuite

pytest.importorskip("relstorage", reason="RelStorage is not installed: install erp5-wendelin[relstorage]")


@pytest.fixture(scope="module")
def postgresql() -> Iterator[str]:
    try:
        with postgresql_server() as folder:
            yield folder
    except Unavailable as reason:
        pytest.skip(str(reason))


class TestPostgreSQL(StorageSuite):
    """A real server, on a Unix socket."""

    @pytest.fixture(scope="class")
    @classmethod
    def uri(cls, postgresql: str) -> str:
        return create_postgresql_database(postgresql, "suite")


class TestSQLite(StorageSuite):
    """RelStorage in the files of a folder."""

    memory = 80 * 2**20

    @pytest.fixture(scope="class")
    @classmethod
    def uri(cls, tmp_path_factory: pytest.TempPathFactory) -> str:
        return f"sqlite://{tmp_path_factory.mktemp('sqlite')}"
