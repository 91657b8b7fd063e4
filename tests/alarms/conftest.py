from __future__ import annotations

import pytest
import transaction

from support.alarms import add_alarm
from support.site import data_fs, lake  # noqa: F401


@pytest.fixture
def site(lake):  # noqa: F811
    """A fresh site, seen by the system, as alarms see it."""
    with lake.open("system") as site:
        yield site


@pytest.fixture
def alarm(site):
    """An alarm without a script, for functions that are called with it."""
    alarm = add_alarm(site, "under_test", "")
    transaction.commit()
    return alarm
