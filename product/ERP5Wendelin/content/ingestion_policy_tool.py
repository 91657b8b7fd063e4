"""The tool of Ingestion Policies, `portal_ingestion_policies`.

State (public format): that of `content.tool`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from AccessControl.SecurityInfo import ClassSecurityInfo

from Products.ERP5Wendelin.content.declaration import declared
from Products.ERP5Wendelin.content.msgpack_records import unpacked
from Products.ERP5Wendelin.content.tool import Tool


@declared
class IngestionPolicyTool(Tool):
    """All Ingestion Policies, by their ids; they acquire its methods."""

    security = ClassSecurityInfo()

    id = "portal_ingestion_policies"
    portal_type = meta_type = "Ingestion Policy Tool"

    @security.public
    def unpack(self, data: bytes) -> list[Any]:
        """The records of MessagePack in bytes. BadInput: they are none, or end within one."""
        return list(self.unpackLazy(data))

    @security.public
    def unpackLazy(self, data: bytes, use_list: bool = True) -> Iterator[Any]:
        """Iterate over the same records; sequences in them are lists or, quicker, tuples."""
        return unpacked(data, use_list)
