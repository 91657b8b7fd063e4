"""The module of Data Arrays."""

from __future__ import annotations

from Products.ERP5Wendelin.content.data_array import DataArray
from Products.ERP5Wendelin.content.declaration import declared
from Products.ERP5Wendelin.content.module import Module


@declared
class DataArrayModule(Module):
    """The folder of all Data Arrays."""

    portal_type = meta_type = "Data Array Module"
    _document_classes = (DataArray,)
