"""Lines of Data Supplies, and the lines of a Data Ingestion that are made from them."""

from __future__ import annotations

from typing import Any

from Products.ERP5Wendelin.content import relation


def lines(document: Any) -> list[Any]:
    """The lines of a supply or an ingestion, in order."""
    return sorted(document.objectValues(), key=lambda line: line.getIntIndex() or 0)


def copy_lines(supply: Any, ingestion: Any) -> None:
    """Give an ingestion the lines that its supply has, with all that they are related to."""
    for line in lines(supply):
        ingestion.newContent(
            "Data Ingestion Line",
            line.getId(),
            reference=line.getReference(),
            title=line.getTitle(),
            int_index=line.getIntIndex(),
            quantity=line.getQuantity(),
            **relations(line),
        )


def relations(document: Any, without: str = "") -> dict[str, list[str]]:
    """The relations of a document, as `newContent` takes them."""
    bases = {text.partition("/")[0] for text in document.getCategoryList()} - {without}
    return {f"{base}_list": relation.paths(document, base) for base in bases}
