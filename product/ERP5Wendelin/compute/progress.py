"""How far an analysis is: by its Progress Indicators, or by how much of its input its script was called for."""

from __future__ import annotations

from typing import Any, NamedTuple

from Acquisition import aq_base

from Products.ERP5Wendelin.content.progress_indicator import ProgressIndicator
from Products.ERP5Wendelin.content.relation import find, paths
from Products.ERP5Wendelin.ingestion.lines import lines


class Progress(NamedTuple):
    """How much is done, of how much; `total` None: unknown."""

    done: float
    total: float | None
    unit: str


def progress_of(analysis: Any) -> Progress | None:
    """How far an analysis is; None: nothing says it.

    What a script notes in an indicator comes first. Otherwise it is counted in bytes of its input streams: those up to
    the offset that it keeps in the indicator of the line, or those there were when it was last called.
    """
    done = total = 0
    for line in lines(analysis):
        documents = _documents(line)
        indicator = next((each for each in documents.values() if isinstance(aq_base(each), ProgressIndicator)), None)
        if indicator is not None and indicator.getProgressState():
            return Progress(indicator.getDone(), indicator.getTotal(), indicator.getUnit())
        if line.getQuantity() < 0:
            for url, document in documents.items():
                if hasattr(aq_base(document), "getSize"):
                    size = document.getSize()
                    total += size
                    done += min(size, _read(analysis, url, indicator))
    return Progress(done, total, "bytes") if total else None


def _documents(line: Any) -> dict[str, Any]:
    """What a line leads to, by relative URL, whoever asks."""
    found = {url: find(line.getPortalObject(), url) for url in paths(line, "aggregate")}
    return {url: document for url, document in found.items() if document is not None}


def _read(analysis: Any, url: str, indicator: Any) -> int:
    """How many bytes of an input were read."""
    seen = int((analysis.sizes or {}).get(url, 0))
    return seen if indicator is None or not indicator.getIntOffsetIndex() else int(indicator.getIntOffsetIndex())
