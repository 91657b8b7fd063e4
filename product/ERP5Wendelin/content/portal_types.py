"""The classes of portal types, by name: a portal type's `type_class` is one of these names.

Which portal types a site has is up to its business templates; what there is to make them of is here.
"""

from __future__ import annotations

from Products.ERP5Wendelin.content.alarm import Alarm
from Products.ERP5Wendelin.content.alarm_tool import AlarmTool
from Products.ERP5Wendelin.content.category import BaseCategory, Category
from Products.ERP5Wendelin.content.category_tool import CategoryTool
from Products.ERP5Wendelin.content.data_analysis import DataAnalysis
from Products.ERP5Wendelin.content.data_analysis_line import DataAnalysisLine
from Products.ERP5Wendelin.content.data_array import DataArray
from Products.ERP5Wendelin.content.data_array_line import DataArrayLine
from Products.ERP5Wendelin.content.data_array_module import DataArrayModule
from Products.ERP5Wendelin.content.data_array_view import DataArrayView
from Products.ERP5Wendelin.content.data_array_view_line import DataArrayViewLine
from Products.ERP5Wendelin.content.data_bucket_stream import DataBucketStream
from Products.ERP5Wendelin.content.data_ingestion import DataIngestion
from Products.ERP5Wendelin.content.data_ingestion_line import DataIngestionLine
from Products.ERP5Wendelin.content.data_ingestion_module import DataIngestionModule
from Products.ERP5Wendelin.content.data_operation import DataOperation
from Products.ERP5Wendelin.content.data_product import DataProduct
from Products.ERP5Wendelin.content.data_set import DataSet
from Products.ERP5Wendelin.content.data_set_module import DataSetModule
from Products.ERP5Wendelin.content.data_stream import DataStream
from Products.ERP5Wendelin.content.data_stream_module import DataStreamModule
from Products.ERP5Wendelin.content.data_supply import DataSupply
from Products.ERP5Wendelin.content.data_supply_line import DataSupplyLine
from Products.ERP5Wendelin.content.data_transformation import DataTransformation
from Products.ERP5Wendelin.content.data_transformation_line import DataTransformationLine
from Products.ERP5Wendelin.content.ingestion_policy import IngestionPolicy
from Products.ERP5Wendelin.content.ingestion_policy_tool import IngestionPolicyTool
from Products.ERP5Wendelin.content.module import Module
from Products.ERP5Wendelin.content.progress_indicator import ProgressIndicator
from Products.ERP5Wendelin.content.progress_indicator_module import ProgressIndicatorModule

DOCUMENT_CLASSES: dict[str, type] = {
    cls.__name__: cls
    for cls in (
        Alarm,
        AlarmTool,
        BaseCategory,
        Category,
        CategoryTool,
        DataAnalysis,
        DataAnalysisLine,
        DataArray,
        DataArrayLine,
        DataArrayModule,
        DataArrayView,
        DataArrayViewLine,
        DataBucketStream,
        DataIngestion,
        DataIngestionLine,
        DataIngestionModule,
        DataOperation,
        DataProduct,
        DataSet,
        DataSetModule,
        DataStream,
        DataStreamModule,
        DataSupply,
        DataSupplyLine,
        DataTransformation,
        DataTransformationLine,
        IngestionPolicy,
        IngestionPolicyTool,
        Module,
        ProgressIndicator,
        ProgressIndicatorModule,
    )
}
"""Name -> class. Modules that need no class of their own are of class Module."""

PORTAL_TYPE_CLASSES: dict[str, type] = {
    **{getattr(cls, "portal_type", name): cls for name, cls in DOCUMENT_CLASSES.items()},
    "Data Transformation Operation Line": DataTransformationLine,
}
"""Portal type -> class, of those that the lake's own templates bring: what other templates' documents may be of."""
