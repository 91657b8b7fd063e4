"""Byte streams through a ZEO server."""

from collections.abc import Iterator

import pytest

from support.databases import zeo_server
from support.storage_suite import StorageSuite


class TestZEO(StorageSuite):
    """A server in a process of its own, on a Unix socket."""

    @pytest.fixture(scope="class")
    @classmethod
    def uri(cls, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
        with zeo_server(tmp_path_factory.mktemp("zeo")) as uri:
            yield uri
