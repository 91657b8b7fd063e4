"""Ingestion Policy: how data that agents send is taken in, by the policy's URL or by the Forward protocol.

It may also say how much of that is kept: `retention_size` (bytes of each stream) and `retention_age` (seconds since the
arrival); None or 0: all. The alarm `wendelin_apply_retention` drops what is beyond either, see `alarms.retention`.

State (public format): that of `content.base`.
"""

from __future__ import annotations

from typing import Any, ClassVar

from AccessControl.SecurityInfo import ClassSecurityInfo

from Products.ERP5Wendelin.content.base import Base
from Products.ERP5Wendelin.content.declaration import declared
from Products.ERP5Wendelin.content.state import ValidationState
from Products.ERP5Wendelin.errors import BadInput


@declared
class IngestionPolicy(ValidationState, Base):
    """A policy: `script_id` names the script that parses a tag, `data_operation_script_id` the one that finds or makes
    the ingestion of what it says."""

    security = ClassSecurityInfo()

    portal_type = meta_type = "Ingestion Policy"
    properties: ClassVar[dict[str, str]] = {
        "version": "text",
        "script_id": "text",
        "data_operation_script_id": "text",
        "retention_size": "int",
        "retention_age": "int",
    }

    def _assign(self, properties: dict[str, Any]) -> None:
        for name, unit in (("retention_size", "bytes"), ("retention_age", "seconds")):
            value = properties.get(name)
            if isinstance(value, int) and value < 0:
                raise BadInput(f"{name} is a number of {unit}, and not {value}; 0 or None keeps all.")
        super()._assign(properties)
