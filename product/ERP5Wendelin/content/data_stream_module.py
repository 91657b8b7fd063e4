"""The module of Data Streams that are documents of their own: those that agents append to."""

from __future__ import annotations

from Products.ERP5Wendelin.content.data_stream import DataStream
from Products.ERP5Wendelin.content.declaration import declared
from Products.ERP5Wendelin.content.module import Module


@declared
class DataStreamModule(Module):
    """The folder of all Data Streams that are stored."""

    portal_type = meta_type = "Data Stream Module"
    _document_classes = (DataStream,)
