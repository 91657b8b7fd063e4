"""Databases that earlier releases wrote are read by this one: class paths and states are public format."""

from __future__ import annotations

import gzip
import importlib
import pickletools
import pkgutil
from datetime import timedelta
from pathlib import Path

import pytest
import transaction
from DateTime import DateTime
from persistent import Persistent
from ZODB.FileStorage import FileStorage

import Products.ERP5Wendelin.content
import Products.ERP5Wendelin.portal
from Products.ERP5Wendelin.compute.batch import Batch
from Products.ERP5Wendelin.portal.users import list_users
from Products.ERP5Wendelin.protocol import SMALL_FILE_SIZE
from Products.ERP5Wendelin.storage.lease import DURATION
from support.manifests import DATE, entry, files
from support.site import PASSWORD, Lake, as_user, open_data_fs, start_zope

RECORDED = sorted((Path(__file__).parent / "recorded").glob("*.fs.gz"))
SINCE_0_2 = [path for path in RECORDED if path.name >= "0.2"]
SINCE_0_3 = [path for path in RECORDED if path.name >= "0.3"]


@pytest.fixture(params=RECORDED, ids=lambda path: path.name)
def data_fs(request, tmp_path):
    path = tmp_path / "recorded.fs"
    path.write_bytes(gzip.decompress(request.param.read_bytes()))
    return path


@pytest.fixture
def site(data_fs):
    start_zope()
    db = open_data_fs(data_fs)
    with Lake(db).open() as site:
        yield site
    db.close()


def globals_of(pickle):
    """The classes that a pickle names, as 'module.name'."""
    strings = []
    for opcode, argument, _ in pickletools.genops(pickle):
        if opcode.name == "GLOBAL":
            yield argument.replace(" ", ".")
        elif opcode.name == "STACK_GLOBAL":
            yield ".".join(strings[-2:])
        elif isinstance(argument, str):
            strings.append(argument)


def persistent_classes():
    for package in (Products.ERP5Wendelin.content, Products.ERP5Wendelin.portal):
        for info in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
            for value in vars(importlib.import_module(info.name)).values():
                if isinstance(value, type) and issubclass(value, Persistent) and value.__module__ == info.name:
                    yield f"{value.__module__}.{value.__name__}"


def test_every_persistent_class_is_recorded(tmp_path):
    names = set()
    for recorded in RECORDED:
        path = tmp_path / recorded.name
        path.write_bytes(gzip.decompress(recorded.read_bytes()))
        storage = FileStorage(str(path), read_only=True)
        names |= {name for change in storage.iterator() for record in change for name in globals_of(record.data)}
        storage.close()
    prefix = "Products.ERP5Wendelin.content."
    bases = {
        prefix + name
        for name in (
            "array_window.ArrayWindow",
            "base.Base",
            "folder.FewContents",
            "folder.Folder",
            "movement.Movement",
            "tool.Tool",
        )
    }
    assert set(persistent_classes()) - bases <= names, "add them to support.recorded, and record the next release anew"


def test_only_classes_meant_for_it_are_in_the_database(data_fs):
    storage = FileStorage(str(data_fs), read_only=True)
    names = {name for change in storage.iterator() for record in change for name in globals_of(record.data)}
    storage.close()
    ours = {name for name in names if name.startswith("Products.ERP5Wendelin.")}
    stored_below = {
        "Products.ERP5Wendelin.storage.stream.ByteStream",
        "Products.ERP5Wendelin.storage.array.Array",
        "Products.ERP5Wendelin.storage.array_arrival.ArrayArrival",
        "Products.ERP5Wendelin.storage.bucket.NumberedBucket",
        "Products.ERP5Wendelin.storage.bucket.Value",
        "Products.ERP5Wendelin.storage.lease.Lease",
    }
    assert ours - stored_below <= set(persistent_classes())


def test_data_set_is_read_in_all_versions(site):
    data_set = site.data_set_module.getDataSet("brain_mri")
    assert (data_set.getTitle(), data_set.getDescription()) == ("Brains", "T1 scans")
    assert data_set.getValidationState() == "published"
    assert (data_set.getVersion(), data_set.getFileCount()) == (2, 3)
    assert [path for path, _ in data_set.manifest.items(version=1)] == ["empty", "old", "scans/a.nii"]
    assert [path for path, _ in data_set.manifest.items()] == ["empty", "scans/a.nii", "scans/b.nii"]
    assert data_set.getDataStream("scans/b.nii").getData() == b"01234"
    first, second = data_set.manifest.get_version(1), data_set.manifest.get_version(2)
    assert (first.author, first.message, first.date, first.added) == ("ada", "first scans", DATE, 3)
    assert (second.author, second.added, second.modified, second.removed) == ("eve", 1, 0, 1)
    large = data_set.manifest.get("scans/a.nii")
    assert (large.size, large.mtime_ns, large.mode) == (SMALL_FILE_SIZE, 1_700_000_000_123_456_789, "100644")
    assert data_set.manifest.find_content(entry("old").digest).size == 3


def test_module_still_finds_and_adds(site):
    module = site.data_set_module
    assert [found.getReference() for found in module.searchDataSets("brain")] == ["brain_mri"]
    assert module.findContent(entry("large").digest, lambda found: True).size == SMALL_FILE_SIZE
    module.newDataSet("lungs")
    module.getDataSet("brain_mri").commit(files({"new": "new"}), [], "ada", "", DATE)
    transaction.commit()
    assert [found.getReference() for found in module.searchDataSets()] == ["brain_mri", "hearts", "lungs"]


def test_stream_array_and_ingestion_are_read(site):
    [log] = site.data_stream_module.objectValues(portal_type="Data Stream")
    assert (log.getReference(), log.getTitle(), log.getData()) == ("log", "A log", b"line one\n")
    [table] = site.data_array_module.objectValues(portal_type="Data Array")
    assert table.getArraySlice(0, 4).tolist() == [[0, 0], [1, 2], [3, 4], [0, 0]]
    [ingestion] = site.data_ingestion_module.objectValues()
    assert (ingestion.getSimulationState(), ingestion.data_set, ingestion.base_version) == ("started", "brain_mri", 2)
    assert (list(ingestion.staged), list(ingestion.removed)) == (["scans/c.nii"], ["empty"])
    assert dict(ingestion.expected)["scans/d.nii"] == (6, None, 3, "100644")
    [upload] = ingestion.uploads.values()
    assert (upload.path, upload.offset, upload.length, upload.complete) == ("scans/e.nii", 5, 10, False)
    assert upload.stream.read(0, 5) == b"01234"
    assert upload.expires - upload.modified == timedelta(days=7)


@pytest.mark.parametrize("data_fs", SINCE_0_3, indirect=True, ids=lambda path: path.name)
def test_windows_on_arrays_are_read(site):
    [view] = site.data_array_module.objectValues(portal_type="Data Array View")
    [line] = view.objectValues()
    assert (line.getIntIndex(), line.getPredecessorPortalType()) == (1, "Data Array Line")
    assert view.getArrayDtypeNames() == ["f0"]
    assert line.getPredecessorValue().getNameList() == ["second"]
    assert [record[0] for record in view.getArraySlice(0, 4).tolist()] == [0, 2, 4, 0]


@pytest.mark.parametrize("data_fs", SINCE_0_2, indirect=True)
def test_chunks_that_a_stream_has_taken_are_known(site):
    [log] = site.data_stream_module.objectValues(portal_type="Data Stream")
    assert [log.hasChunk(b"chunk %d" % number) for number in (0, 1024, 1025)] == [True, True, False]
    assert log.getStartOffset() == 0


@pytest.mark.parametrize("data_fs", SINCE_0_2, indirect=True)
def test_configuration_is_read(site):
    with as_user(site, "system"):
        supply = site.data_supply_module["sensors"]
        assert (supply.getValidationState(), supply.getEffectiveDate()) == ("draft", DateTime("2026/01/01 UTC"))
        [line] = supply.objectValues()
        assert (line.getIntIndex(), line.getResourceValue()) == (1, site.data_operation_module["append"])
        assert line.getResourceValue().getScriptId() == "DataIngestionLine_append"
        product = site.data_product_module["readings"]
        assert (product.getAggregatedPortalTypeList(), product.getUseTitle()) == (["Data Stream"], "Big Data")
        policy = site.portal_catalog.getResultValue(portal_type="Ingestion Policy", id="sensors")
        assert (policy.getScriptId(), policy.getValidationState()) == ("IngestionPolicy_parse", "validated")
        [line] = site.portal_catalog(portal_type="Data Ingestion Line", resource_uid=product.getUid())
        assert (line.getQuantity(), line.getParentValue().data_set) == (1.0, "brain_mri")
        assert site.data_analysis_module["mean"].getSpecialiseValue() == site.data_transformation_module["mean"]


@pytest.mark.parametrize("data_fs", SINCE_0_2, indirect=True)
def test_file_that_arrives_in_pieces_is_read(site):
    arrival = site.data_set_module.getDataSet("brain_mri").getArrival("scans/f.nii")
    assert (arrival.full_size, arrival.offset, dict(arrival.taken)) == (30, 10, {1: (0, 10, b"1" * 32)})
    assert arrival.find(3).stream.read(0, 5) == b"third"


@pytest.mark.parametrize("data_fs", SINCE_0_2, indirect=True)
def test_buckets_are_read(site):
    [buckets] = site.data_stream_module.objectValues(portal_type="Data Bucket Stream")
    assert buckets.getItemList() == [("a", b"first"), ("b", b"second")]
    assert buckets.getIndexKeyTupleList() == [(0, "b"), (1, "a")]
    buckets.insertBucket("b", b"third")
    assert buckets.getIndexKeyTupleList() == [(1, "a"), (2, "b")]


def test_users_and_tokens_are_read(site):
    assert dict(list_users(site)) == {
        "ada": "contributor",
        "eve": "contributor",
        "dan": "downloader",
        "boss": "manager",
    }
    assert site.acl_users.users.authenticateCredentials({"login": "ada", "password": PASSWORD}) == ("ada", "ada")
    [token] = site.acl_users.access_tokens.listTokens("ada")
    assert (token["title"], token["used"]) == ("laptop", None)


@pytest.mark.parametrize("data_fs", SINCE_0_3, indirect=True)
def test_progress_is_read_and_gone_on_with(site):
    indicator = site.progress_indicator_module.getProgressIndicator("mean.py table")
    assert (indicator.getProgressState(), indicator.getErrorText()) == ("failed", "KeyError: 'celsius'")
    assert (indicator.getDone(), indicator.getTotal(), indicator.getUnit()) == (2, 4, "rows")
    assert indicator.getIntOffsetIndex() == 7
    batch = Batch(site, "mean.py table", origin="/home/ada/mean.py")
    assert (batch.resumed, batch.state["sum"], batch.state["array"].tolist()) == (True, 3.0, [0, 1, 2])
    progress = indicator.progress
    assert (progress.ended_loops, progress.loop["position"], progress.loop["snapshot"]) == (1, 2, "03f6a5c1d2e3b4a5")


@pytest.mark.parametrize("data_fs", SINCE_0_3, indirect=True)
def test_the_claim_of_an_analysis_is_read(site):
    analysis = site.data_analysis_module["mean"]
    assert (analysis.holder, analysis.lease.holder, analysis.lease.expires) == (
        "a process",
        "a process",
        DATE + DURATION,
    )
    assert analysis.is_held(DATE)
    assert not analysis.is_held(DATE + DURATION)
