"""A database as a release writes it, kept in `tests/content/recorded/`: later releases prove that they can read it.

Run from the repository's root until the release is out, and never again for it:

    .venv/bin/python tests/support/recorded.py tests/content/recorded/0.3.0.fs.gz
"""

from __future__ import annotations

import gzip
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy
import transaction
from Acquisition import aq_base
from DateTime import DateTime

sys.path.insert(0, str(Path(__file__).parents[1]))

from Products.ERP5Wendelin.compute.claim import id_of
from Products.ERP5Wendelin.content.arrival import Arrival, Piece
from Products.ERP5Wendelin.content.entry import Entry
from Products.ERP5Wendelin.content.progress_indicator import FAILED
from Products.ERP5Wendelin.content.recent_chunks import WAITING
from Products.ERP5Wendelin.content.upload import Upload
from Products.ERP5Wendelin.protocol import SMALL_FILE_SIZE
from Products.ERP5Wendelin.storage.stream import ByteStream
from support.manifests import DATE, entry, files
from support.site import Lake, as_user, make_data_fs, open_data_fs


def populate(site: Any) -> None:
    """Make a document of each portal type, in versions and states, and whatever else is persistent."""
    content = ByteStream()
    content.append(b"0123456789" * 30_000)
    data_set = site.data_set_module.newDataSet("brain_mri", title="Brains", description="T1 scans")
    large = Entry(content, 0, SMALL_FILE_SIZE, entry("large").digest, 1_700_000_000_123_456_789)
    data_set.commit(files({"scans/a.nii": large, "old": "old", "empty": ""}), [], "ada", "first scans", DATE)
    small = Entry(content, 10, 5, entry("small").digest, 2, "100755")
    data_set.commit(files({"scans/b.nii": small}), ["old"], "eve", "second scans", DATE)
    data_set.changeState("publish")
    site.data_set_module.newDataSet("hearts")
    log = site.data_stream_module.newContent(reference="log", title="A log")
    log.appendData(b"line one\n")
    for number in range(WAITING + 1):  # so many that there are pages
        log.noteChunk(b"chunk %d" % number)
    buckets = site.data_stream_module.newContent("Data Bucket Stream", reference="flights")
    buckets.insertBucket("b", b"second")
    buckets.insertBucket("a", b"first")
    array = site.data_array_module.newContent(reference="table")
    array.initArray((4, 2), numpy.float64)[1:3] = [[1, 2], [3, 4]]
    array.provenance = {"data_set": "brain_mri", "path": "scans/table.npy"}
    arriving = site.data_array_module.beginArrival("import/brain_mri/scans/b.npy", {"path": "scans/b.npy"}, DATE)
    arriving.stream.append(b"01234567")
    arriving.offset = 8
    line = array.newContent("Data Array Line", reference="second", index_expression=":, 1", name_list=["second"])
    view = site.data_array_module.newContent("Data Array View", reference="columns")
    view.newContent("Data Array View Line", predecessor_value=line, dtype_expression="<f8", int_index=1)
    ingestion = site.data_ingestion_module.newContent(data_set="brain_mri", base_version=2, message="3rd", author="ada")
    ingestion.stage("scans/c.nii", small)
    ingestion.expect("scans/d.nii", 6, None, 3, "100644")
    ingestion.remove("empty")
    upload = Upload(aq_base(ingestion), "upload-id", "scans/e.nii", 10, b"e" * 32, 4, "100644", "path c2NhbnM=")
    ingestion.addUpload(upload)
    upload.stream.append(b"01234")
    upload.offset = 5
    ingestion.newContent(id="1", reference="out_stream", quantity=1.0, resource="data_product_module/readings")
    populate_progress(site)
    populate_arrival(data_set)
    populate_configuration(site)
    site.acl_users.access_tokens.newToken("ada", "laptop")


def populate_configuration(site: Any) -> None:
    """Make a document of each portal type that says how data is taken in."""
    with as_user(site, "boss"):
        site.data_product_module.newContent(id="readings", aggregated_portal_type_list=["Data Stream"], use="big_data")
        site.data_operation_module.newContent(id="append", script_id="DataIngestionLine_append", version="001")
        supply = site.data_supply_module.newContent(id="sensors", effective_date=DateTime("2026/01/01 UTC"))
        supply.newContent(id="1", int_index=1, resource_value=site.data_operation_module.append)
        site.portal_ingestion_policies.newContent(id="sensors", script_id="IngestionPolicy_parse").validate()
        transformation = site.data_transformation_module.newContent(id="mean", resource="data_product_module/readings")
        transformation.newContent(id="1", quantity=-1.0, resource="data_product_module/readings")
        analysis = site.data_analysis_module.newContent(id="mean", specialise_value=transformation)
        analysis.newContent(id="1", reference="in_stream", quantity=-1.0)
        analysis.claim("a process", DATE)


def populate_progress(site: Any) -> None:
    """Have a script that has failed in its second loop."""
    name = "mean.py table"
    indicator = site.progress_indicator_module.newContent(id=id_of(name), reference=name, int_offset_index=7)
    progress = indicator.progress
    progress.begin("lake1/boot/1/2/3", "/home/ada/mean.py", anew=True)
    progress.note(2, 4, "rows")
    progress.ended_loops = 1
    progress.loop = {"source": "Data Array 'table'", "position": 2, "total": 4, "snapshot": "03f6a5c1d2e3b4a5"}
    progress.memory.values = {"sum": 3.0, "array": numpy.arange(3)}
    progress.end(FAILED, "KeyError: 'celsius'")


def populate_arrival(data_set: Any) -> None:
    """Have a file of the original ebulk that comes in pieces: the first one is here, and the third one waits."""
    arrival = Arrival("ingestion-id", "scans/f.nii", "brain_mri/scans/f/nii", 30)
    arrival.stream.append(b"0123456789")
    arrival.offset = 10
    arrival.taken[1] = (0, 10, b"1" * 32)
    third = ByteStream()
    third.append(b"third")
    arrival.waiting[3] = Piece(third, 0, 5, b"3" * 32)
    data_set.addArrival(arrival)


def main(target: str) -> None:
    """Record a database, packed and compressed."""
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "Data.fs"
        make_data_fs(path)
        db = open_data_fs(path)
        with Lake(db).open() as site:
            populate(site)
            transaction.commit()
        db.pack()
        db.close()
        Path(target).write_bytes(gzip.compress(path.read_bytes(), mtime=0))


if __name__ == "__main__":
    main(sys.argv[1])
