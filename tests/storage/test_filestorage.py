"""Byte streams in a FileStorage."""

from pathlib import Path

import pytest

from support.storage_suite import StorageSuite


class TestFileStorage(StorageSuite):
    """The default storage, and the fastest: it gets the largest stream."""

    large = 256 * 2**20
    memory = 80 * 2**20

    @pytest.fixture(scope="class")
    @classmethod
    def uri(cls, tmp_path_factory: pytest.TempPathFactory) -> str:
        folder: Path = tmp_path_factory.mktemp("filestorage")
        return f"file://{folder}/Data.fs"
