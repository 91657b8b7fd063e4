"""`/data-sets/{reference}/delta/{path*}`: what of a file is not as another content of the data set has it."""

from __future__ import annotations

from itertools import islice

from Products.ERP5Wendelin.download.delta import changed
from Products.ERP5Wendelin.errors import NotFound
from Products.ERP5Wendelin.views.answer import Answer, as_json
from Products.ERP5Wendelin.views.api.files import find
from Products.ERP5Wendelin.views.call import Call
from Products.ERP5Wendelin.views.wire import parse_digest

RANGES = 100_000
"""The most ranges that are told; where there are more, all behind them counts as changed."""


def read(call: Call) -> Answer:
    """GET."""
    digest = parse_digest(call.query.text("base"), "base")
    _, entry = find(call)
    base = call.data_set.manifest.find_content(digest)
    if base is None:
        raise NotFound(
            f"{call.data_set.getReference()!r} has no content {call.query.text('base')} in any version. "
            "Read the file as a whole."
        )
    ranges = changed(entry, base)
    told = list(islice(ranges, RANGES))
    if next(ranges, None) is not None:
        told[-1] = (told[-1][0], entry.size)
    return as_json({"size": entry.size, "base_size": base.size, "changed": told})
