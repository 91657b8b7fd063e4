"""What tests of several processes share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from support.lake import ServedLake


@pytest.fixture
def lake(tmp_path: Path) -> Iterator[ServedLake]:
    """An instance that nobody serves yet."""
    lake = ServedLake(tmp_path)
    lake.init()
    yield lake
    lake.end()
