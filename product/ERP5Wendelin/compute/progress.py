"""How far an analysis is: by its Progress Indicators, or by how much of its input its script was called for."""

from __future__ import annotations

from typing import Any, NamedTuple

from Acquisition import aq_base

from Products.ERP5Wendelin.compute.inputs import documents, size_of
from Products.ERP5Wendelin.content.progress_indicator import ProgressIndicator
from Products.ERP5Wendelin.ingestion.lines import lines


class Progress(NamedTuple):
    """How much is done, of how much; `total` None: unknown."""

    done: float
    total: float | None
    unit: str


def progress_of(analysis: Any) -> Progress | None:
    """How far an analysis is; None: nothing says it.

    What a script notes in an indicator comes first. Otherwise it is counted in bytes of its inputs: those up to
    the offset that it keeps in the indicator of the line, or those there were when it was last called.
    """
    done = total = 0
    for line in lines(analysis):
        found = documents(line)
        indicator = next((each for each in found.values() if isinstance(aq_base(each), ProgressIndicator)), None)
        if indicator is not None and indicator.getProgressState():
            return Progress(indicator.getDone(), indicator.getTotal(), indicator.getUnit())
        if line.getQuantity() < 0:
            for url, document in found.items():
                size = size_of(document) or 0
                total += size
                done += min(size, _read(analysis, url, indicator))
    return Progress(done, total, "bytes") if total else None


def _read(analysis: Any, url: str, indicator: Any) -> int:
    """How many bytes of an input were read."""
    seen = int((analysis.sizes or {}).get(url, 0))
    return seen if indicator is None or not indicator.getIntOffsetIndex() else int(indicator.getIntOffsetIndex())
