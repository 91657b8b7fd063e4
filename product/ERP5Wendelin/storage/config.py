"""`<uristorage>`: a storage by its URI in zope.conf and zeo.conf.

::

    %import Products.ERP5Wendelin.storage
    <zodb_db main>
      mount-point /
      <uristorage>
        uri file:///srv/lake/Data.fs
      </uristorage>
    </zodb_db>
"""

from typing import Any

from ZODB.config import BaseConfig
from ZODB.interfaces import IStorage

from .database import open_storage


class URIStorage(BaseConfig):
    """The section, as `component.xml` declares it."""

    def open(self, database_name: str = "unnamed", databases: Any = None) -> IStorage:
        """Open the storage."""
        return open_storage(self.config.uri)
