"""The recorded protocol is played against a real server of a fresh site."""

import pytest

from Products.ERP5Wendelin.download import tail
from Products.ERP5Wendelin.views.api import streams
from support.http_server import server  # noqa: F401
from support.site import data_fs, lake, site  # noqa: F401


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """What waits for a stream to grow ends with what is there."""
    for module in (streams, tail):
        monkeypatch.setattr(module, "LONGEST", 0)
