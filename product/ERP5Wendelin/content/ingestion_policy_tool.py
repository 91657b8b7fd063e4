"""The tool of Ingestion Policies, `portal_ingestion_policies`.

State (public format): that of `content.tool`.
"""

from __future__ import annotations

from AccessControl.SecurityInfo import ClassSecurityInfo

from Products.ERP5Wendelin.content.declaration import declared
from Products.ERP5Wendelin.content.tool import Tool


@declared
class IngestionPolicyTool(Tool):
    """All Ingestion Policies, by their ids."""

    security = ClassSecurityInfo()

    id = "portal_ingestion_policies"
    portal_type = meta_type = "Ingestion Policy Tool"
