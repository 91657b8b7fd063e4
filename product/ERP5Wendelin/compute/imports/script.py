"""What the skin script DataArray_importFile calls."""

from __future__ import annotations

from typing import Any

from AccessControl.SecurityInfo import ModuleSecurityInfo
from Acquisition import aq_base

from Products.ERP5Wendelin.compute.imports.perform import choose, fill_array
from Products.ERP5Wendelin.content.data_array import DataArray
from Products.ERP5Wendelin.errors import BadInput, NotFound

security = ModuleSecurityInfo("Products.ERP5Wendelin.compute.imports.script")
security.declarePublic("import_file")


def import_file(document: Any, data_set: str, path: str, key: str = "", version: int | None = None) -> None:
    """Import a file of the data set of a reference into a Data Array; see `fill_array`. It checks what the user may."""
    if not isinstance(aq_base(document), DataArray):
        raise BadInput("A file is imported into a Data Array: call DataArray_importFile of one.")
    found = document.getPortalObject().data_set_module.getDataSet(data_set)
    if found is None:
        raise NotFound(f"There is no data set {data_set!r}.")
    fill_array(document, choose(found, path, key=key, version=version))
