from __future__ import annotations

import tracemalloc

import pytest
import transaction

from Products.ERP5Wendelin.content.timed_records import Wanted
from Products.ERP5Wendelin.download.record_export import FORMATS, RecordExport
from Products.ERP5Wendelin.download.stored_stream import StoredStream
from support.site import data_fs, lake, site  # noqa: F401
from support.streams import NOON, SECOND, events


@pytest.fixture
def log(site):  # noqa: F811
    log = site.data_stream_module.newContent(reference="log")
    for number in range(4):
        log.appendData(events(2_000, NOON + number * 2_000 * SECOND, first=number * 2_000, size=4_000))
        transaction.commit()
    return log


@pytest.mark.parametrize("form", FORMATS)
def test_export_of_any_length_takes_the_memory_of_some_blocks(log, form):
    export = RecordExport(StoredStream(log._p_jar.db(), log), Wanted(0, log.getSize()), form)
    tracemalloc.start()
    try:
        size = sum(map(len, export))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
        export.close()
    assert size > 30 * 2**20
    assert peak < 16 * 2**20
