from __future__ import annotations

from collections.abc import Iterator

import pytest
from ZODB import DB
from ZODB.MappingStorage import MappingStorage


@pytest.fixture
def database() -> Iterator[DB]:
    """An empty database in memory."""
    database = DB(MappingStorage())
    yield database
    database.close()
