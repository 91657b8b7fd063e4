"""Byte streams in a NEO cluster."""

from collections.abc import Iterator

import pytest

from support.databases import Unavailable, neo_cluster
from support.storage_suite import StorageSuite

# NEO's client ends its thread by SystemExit, which pytest reports.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")


class TestNEO(StorageSuite):
    """A master and a storage node, in processes of their own."""

    @pytest.fixture(scope="class")
    @classmethod
    def uri(cls, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
        try:
            with neo_cluster(tmp_path_factory.mktemp("neo")) as uri:
                yield uri
        except Unavailable as reason:
            pytest.skip(str(reason))
