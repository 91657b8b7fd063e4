"""Ingestion Policy: how data that agents send is taken in; they post it to the policy's URL.

State (public format): that of `content.base`.
"""

from __future__ import annotations

from typing import ClassVar

from AccessControl.SecurityInfo import ClassSecurityInfo

from Products.ERP5Wendelin.content.base import Base
from Products.ERP5Wendelin.content.declaration import declared
from Products.ERP5Wendelin.content.state import ValidationState


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
    }
