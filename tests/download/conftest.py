"""A fresh site for each test, with a data set."""

from typing import Any

import pytest
import transaction

from support.site import data_fs, lake, site  # noqa: F401


@pytest.fixture
def data_set(site: Any) -> Any:  # noqa: F811
    """An empty data set of ada's."""
    made = site.data_set_module.newDataSet("scans")
    transaction.commit()
    return made
