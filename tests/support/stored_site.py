"""The site in a database that no process uses."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from Products.ERP5Wendelin.portal.root import ERP5Site

from .site import Lake, open_data_fs, start_zope


@contextmanager
def opened_site(data_fs: Path) -> Iterator[ERP5Site]:
    """The site in a FileStorage, for the system user; what is not committed is lost."""
    start_zope()
    db = open_data_fs(data_fs)
    try:
        with Lake(db).open("system") as site:
            yield site
    finally:
        db.close()
