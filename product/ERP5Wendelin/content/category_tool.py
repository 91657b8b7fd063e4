"""The tool of categories, `portal_categories`.

State (public format): that of `content.tool`.
"""

from __future__ import annotations

from AccessControl.SecurityInfo import ClassSecurityInfo

from Products.ERP5Wendelin.content.declaration import declared
from Products.ERP5Wendelin.content.tool import Tool


@declared
class CategoryTool(Tool):
    """All base categories, by their ids, with their categories in them."""

    security = ClassSecurityInfo()

    id = "portal_categories"
    portal_type = meta_type = "Category Tool"
