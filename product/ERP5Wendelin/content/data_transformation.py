"""Data Transformation: which operations make what of a product; once validated, Data Analyses are made after it.

Its `resource` is the Data Product that it begins with: what ingestions bring of it is analysed. Its lines are those
that each analysis gets, in the order of `int_index`; what a line's `quantity` says, and what each is for, is in
`compute.create`.

State (public format): that of `content.folder` (its lines) and `content.base`.
"""

from __future__ import annotations

from typing import ClassVar

from AccessControl.SecurityInfo import ClassSecurityInfo

from Products.ERP5Wendelin.content.declaration import declared
from Products.ERP5Wendelin.content.folder import Folder
from Products.ERP5Wendelin.content.state import ValidationState


@declared
class DataTransformation(ValidationState, Folder):
    """A transformation of a product."""

    security = ClassSecurityInfo()

    portal_type = meta_type = "Data Transformation"
    properties: ClassVar[dict[str, str]] = {"version": "text"}
    base_categories = ("resource", "use", "specialise")
