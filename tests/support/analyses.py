"""Data Analyses, as users come to have them: by a Data Ingestion and a Data Transformation."""

from __future__ import annotations

from typing import Any

import transaction

from Products.ERP5Wendelin.compute.create import Created, create_analyses
from Products.ERP5Wendelin.compute.execute import Executed, execute_analyses
from support.alarms import add_script
from support.site import as_user

COUNT = """\
data = in_stream["Data Stream"].getData()
array = out_array["Data Array"]
if array.getArray() is None:
    array.initArray((1,), "int64")
array.getArray()[0] = len(data)
"""


def prepare(site: Any, script: str = COUNT, user: str = "boss") -> None:
    """Let a site have products, and an operation with a script: it writes the size of a stream into an array."""
    with as_user(site, user):
        site.data_operation_module.newContent(id="count", script_id="DataAnalysisLine_count").validate()
        for id in ("readings", "counts"):
            site.data_product_module.newContent(id=id).validate()
    add_script(site, "DataAnalysisLine_count", script, "in_stream, out_array")
    transaction.commit()


def ingest(
    site: Any,
    data: bytes = b"12345",
    use: str = "big_data/ingestion/stream",
    user: str = "ada",
    reference: str = "sensor",
) -> tuple[Any, Any]:
    """A Data Ingestion of readings, started, with the stream they go to."""
    with as_user(site, user):
        stream = site.data_stream_module.newContent(portal_type="Data Stream", reference=reference)
        stream.appendData(data)
        ingestion = site.data_ingestion_module.newContent(portal_type="Data Ingestion", reference=reference)
        ingestion.newContent(
            reference="out_stream",
            resource="data_product_module/readings",
            use=use,
            quantity=1,
            aggregate_value=stream,
        )
    transaction.commit()
    return ingestion, stream


def transform(
    site: Any, user: str = "ada", use: str | None = None, script: str = "count", progress: bool = False
) -> Any:
    """A validated Data Transformation of readings to counts; its input has a Progress Indicator if `progress`."""
    with as_user(site, user):
        transformation = site.data_transformation_module.newContent(
            title="Count", reference="count", resource="data_product_module/readings"
        )
        transformation.newContent(
            "Data Transformation Resource Line",
            reference="in_stream",
            int_index=1,
            quantity=-1,
            resource="data_product_module/readings",
            use=use,
            aggregated_portal_type_list=["Progress Indicator"] if progress else [],
        )
        transformation.newContent(
            "Data Transformation Operation Line", int_index=2, resource=f"data_operation_module/{script}", quantity=1
        )
        transformation.newContent(
            "Data Transformation Resource Line",
            reference="out_array",
            int_index=3,
            quantity=1,
            resource="data_product_module/counts",
            aggregated_portal_type_list=["Data Array"],
        )
        transformation.validate()
    transaction.commit()
    return transformation


def always() -> bool:
    return True


def work(site: Any) -> tuple[Created, Executed]:
    """What an alarm does: make analyses, and run them."""
    created = create_analyses(site, always)
    executed = execute_analyses(site, always)
    transaction.begin()
    return created, executed


def analyses(site: Any) -> list[Any]:
    """All there are."""
    return list(site.data_analysis_module.objectValues())


def only_analysis(site: Any) -> Any:
    """The only one there is."""
    [analysis] = analyses(site)
    return analysis


def output(analysis: Any) -> Any:
    """The array that an analysis fills."""
    [line] = [line for line in analysis.objectValues() if line.getReference() == "out_array"]
    return line.getAggregateValue(portal_type="Data Array")
