"""The module of Data Ingestions: one document for each arrival of data."""

from __future__ import annotations

from Products.ERP5Wendelin.content.data_ingestion import DataIngestion
from Products.ERP5Wendelin.content.declaration import declared
from Products.ERP5Wendelin.content.module import Module


@declared
class DataIngestionModule(Module):
    """The folder of all Data Ingestions."""

    portal_type = meta_type = "Data Ingestion Module"
    _document_classes = (DataIngestion,)
