"""Categories: what documents are sorted by, in trees below `portal_categories`.

A Base Category, such as `use`, is a way in which documents relate to others; below it are the categories that they may
be in, if they relate to categories and not to documents. A category's relative URL is its path from the tool:
`use/big_data/ingestion`.

State (public format): that of `content.folder` and `content.base`.
"""

from __future__ import annotations

from AccessControl.SecurityInfo import ClassSecurityInfo

from Products.ERP5Wendelin.content.declaration import declared
from Products.ERP5Wendelin.content.folder import Folder


@declared
class Category(Folder):
    """A category, and those within it."""

    security = ClassSecurityInfo()

    portal_type = meta_type = "Category"

    @security.public
    def getRelativeUrl(self) -> str:
        """Its path from the tool, as in 'use/big_data/ingestion'."""
        return super().getRelativeUrl().partition("/")[2]


@declared
class BaseCategory(Category):
    """A way in which documents relate to others, and the root of its categories."""

    security = ClassSecurityInfo()

    portal_type = meta_type = "Base Category"
