"""Importing: what is seen of it when, who may, and how it goes on after whatever has ended it."""

from __future__ import annotations

import errno
import os
from datetime import timedelta

import numpy
import pytest
import transaction
from AccessControl.SecurityManagement import getSecurityManager

from Products.ERP5Wendelin.alarms.expiry import expire_ingestions
from Products.ERP5Wendelin.compute.imports import formats, perform
from Products.ERP5Wendelin.compute.imports.perform import choose, fill_array, import_array
from Products.ERP5Wendelin.content.scripts import run, script_of
from Products.ERP5Wendelin.errors import BadInput, Conflict, NotAuthorised, NotFound, StorageFull
from Products.ERP5Wendelin.permissions import PushData
from Products.ERP5Wendelin.protocol import MIB
from Products.ERP5Wendelin.storage import transaction as storage_transaction
from Products.ERP5Wendelin.storage.block import BLOCK_SIZE
from support import pushes
from support.alarms import add_script
from support.array_files import npy, pushed, same
from support.site import as_user

VALUES = numpy.arange(1_000_000).reshape(10, 100_000)  # 8 MB: four blocks


@pytest.fixture
def site(lake):
    with lake.open() as site:
        yield site


@pytest.fixture
def small_slices(monkeypatch):
    """Let each transaction store one block."""
    monkeypatch.setattr(
        perform,
        "append_slices",
        lambda *arguments, **options: storage_transaction.append_slices(*arguments, **options, slice_size=BLOCK_SIZE),
    )


class Interrupted(Exception):
    """In place of what ends a process."""


def interrupted_after(count):
    """A progress that ends an import with its `count`-th call, and the calls there were."""
    calls = []

    def on_progress(done, total):
        calls.append((done, total))
        if len(calls) == count:
            raise Interrupted

    return on_progress, calls


def test_an_array_tells_what_it_was_imported_from(site):
    data_set = pushed(site, {"table.npy": npy(VALUES)})
    digest = data_set.manifest.get("table.npy").digest
    document = import_array(choose(data_set, "table.npy"))
    assert (document.getReference(), document.getPortalType()) == ("brain_mri/table.npy", "Data Array")
    assert document.getProvenance() == {
        "data_set": "brain_mri",
        "version": 1,
        "path": "table.npy",
        "digest": f"sha-256:{digest.hex()}",
        "format": "npy",
        "key": "",
    }
    assert document.getOwnerTuple()[1] == "ada"
    assert site.data_array_module.newContent().getProvenance() is None


def test_an_array_is_as_visible_as_its_data_set(site):
    data_set = pushed(site, {"table.npy": npy(VALUES[:, :3])})
    assert import_array(choose(data_set, "table.npy"), "validated").getValidationState() == "validated"
    with as_user(site, "system"):
        data_set.invalidate()
        transaction.commit()
        assert import_array(choose(data_set, "table.npy"), "draft").getValidationState() == "draft"


def test_a_file_of_an_older_version_is_imported(site):
    pushed(site, {"table.npy": npy(VALUES[0, :3])})
    data_set = pushed(site, {"table.npy": npy(VALUES[1, :3])})
    assert import_array(choose(data_set, "table.npy", version=1)).getArraySlice(0, 3).tolist() == [0, 1, 2]
    with pytest.raises(NotFound, match=r"^There is no version 3; the newest is 2\.$"):
        choose(data_set, "table.npy", version=3)


def test_what_is_no_file_that_can_be_imported_is_named(site):
    data_set = pushed(site, {"table.dat": b"x"})
    ingestion = pushes.start(data_set)
    with pushes.locks.serialised(pushes.session.key_of_ingestion(ingestion)):
        files = [pushes.planned("link", b"x", "120000"), pushes.planned("folder", b"", "040000")]
        assert pushes.session.plan(ingestion, files, [], [], pushes.anybody_may) == []
    pushes.stop(ingestion)
    for path, message, error in (
        ("none", r"^Version 2 of the data set 'brain_mri' has no file 'none'\.$", NotFound),
        ("link", r"^'link' of 'brain_mri' is a symbolic link: name a file\.$", BadInput),
        ("folder", r"^'folder' of 'brain_mri' is a folder: name a file\.$", BadInput),
        ("table.dat", r"^'table\.dat' does not tell its format: its name should end in one of \.npy, ", BadInput),
    ):
        with pytest.raises(error, match=message):
            choose(data_set, path)
    with pytest.raises(BadInput, match=rf"^There is no format 'x'\. There are: {', '.join(formats.FORMATS)}\.$"):
        choose(data_set, "table.dat", format="x")


def test_a_file_whose_name_tells_nothing_is_imported_as_what_it_is_said_to_be(site):
    data_set = pushed(site, {"table.dat": npy(VALUES[0, :3])})
    assert import_array(choose(data_set, "table.dat", format="npy")).getArraySlice(0, 3).tolist() == [0, 1, 2]


def test_an_array_that_is_there_is_replaced_only_if_asked_to(site):
    data_set = pushed(site, {"a.npy": npy(VALUES[0, :3]), "b.npy": npy(VALUES[1, :3])})
    document = import_array(choose(data_set, "a.npy"), "table")
    with pytest.raises(
        Conflict,
        match=r"^There is a Data Array 'table' already\. Give another reference \(--reference\), or replace it "
        r"\(--replace\)\.$",
    ):
        import_array(choose(data_set, "b.npy"), "table")
    replaced = import_array(choose(data_set, "b.npy"), "table", replace=True)
    assert replaced.getId() == document.getId()
    assert replaced.getArraySlice(0, 3).tolist() == [100_000, 100_001, 100_002]
    assert replaced.getProvenance()["path"] == "b.npy"
    assert not site.data_array_module._arrivals


def test_a_reference_that_no_array_can_have_is_refused_before_anything_is_read(site):
    choice = choose(pushed(site, {"table.npy": npy(VALUES[0, :3])}), "table.npy")
    site.data_array_module.newContent("Data Array View", reference="columns")
    transaction.commit()
    with pytest.raises(
        Conflict, match=r"^'columns' is a Data Array View, which shows other arrays\. Give another reference\.$"
    ):
        import_array(choice, "columns", replace=True)
    with pytest.raises(BadInput, match=r"^The reference 'a\\n' has a control character\.$"):
        import_array(choice, "b/a\n")
    assert not site.data_array_module._arrivals


def test_an_array_that_there_is_gets_a_files_content_in_place_of_its_own(site):
    data_set = pushed(site, {"table.npy": npy(VALUES[:, :3])})
    document = site.data_array_module.newContent(reference="out")
    document.initArray((7,), "f8")
    transaction.commit()
    fill_array(document, choose(data_set, "table.npy"))
    transaction.begin()
    assert same(document, VALUES[:, :3])


def test_an_array_that_is_not_committed_gets_no_file(site):
    data_set = pushed(site, {"table.npy": npy(VALUES[0, :3])})
    choice = choose(data_set, "table.npy")
    for options in ({}, {"temp_object": True}):
        with pytest.raises(Conflict, match=r"^A Data Array must be committed before a file is imported into it\.$"):
            fill_array(site.data_array_module.newContent(reference="out", **options), choice)


SCRIPT = """\
if context.getArray() is None:
    context.DataArray_importFile("brain_mri", "table.npy")
    return 1
return context.getArrayIndex((1, 2))
"""


def test_a_script_imports_a_file_and_sees_it_when_it_is_called_again(lake):
    with lake.open("boss") as site:
        pushed(site, {"table.npy": npy(VALUES[:, :3])})
        document = site.data_array_module.newContent(reference="out")
        add_script(site, "DataArray_test", SCRIPT)
        transaction.commit()
        assert run(script_of(document, "DataArray_test")) == 1
        transaction.commit()
        assert run(script_of(document, "DataArray_test")) == 100_002
        with pytest.raises(NotFound, match=r"^There is no data set 'other'\.$"):
            run(script_of(document, "DataArray_importFile"), data_set="other", path="table.npy")
        document.validate()
        with as_user(site, "dan"), pytest.raises(NotAuthorised, match=r"^You may not write to the Data Array 'out'\.$"):
            run(script_of(document, "DataArray_importFile"), data_set="brain_mri", path="table.npy")


def test_a_script_imports_into_nothing_but_a_data_array(lake):
    with lake.open("boss") as site:
        pushed(site, {"table.npy": npy(VALUES[:, :3])})
        view = site.data_array_module.newContent("Data Array View", reference="out")
        with pytest.raises(BadInput) as caught:
            run(script_of(view, "DataArray_importFile"), data_set="brain_mri", path="table.npy")
        assert str(caught.value) == "A file is imported into a Data Array: call DataArray_importFile of one."


def test_nobody_sees_an_array_before_it_is_whole(site, small_slices, lake):
    data_set = pushed(site, {"table.npy": npy(VALUES)})
    seen = []

    def on_progress(done, total):
        with lake.db.transaction() as connection:
            other = connection.root()["Application"].erp5
            seen.append((done, total, len(other.data_array_module.objectIds())))

    import_array(choose(data_set, "table.npy"), on_progress=on_progress)
    assert seen == [(done, 8_000_000, 0) for done in (0, *range(BLOCK_SIZE, 8_000_000, BLOCK_SIZE), 8_000_000)]


def test_an_import_that_was_interrupted_goes_on_where_it_was(site, small_slices):
    data_set = pushed(site, {"table.npy": npy(numpy.asfortranarray(VALUES))})
    on_progress, _ = interrupted_after(3)
    with pytest.raises(Interrupted):
        import_array(choose(data_set, "table.npy"), on_progress=on_progress)
    on_progress, calls = interrupted_after(-1)
    document = import_array(choose(data_set, "table.npy"), on_progress=on_progress)
    assert calls[0] == (BLOCK_SIZE, 8_000_000)  # that of the call that ended it was not committed
    assert same(document, VALUES)


def test_an_import_of_something_else_begins_anew(site, small_slices):
    data_set = pushed(site, {"table.npy": npy(VALUES)})
    on_progress, _ = interrupted_after(3)
    with pytest.raises(Interrupted):
        import_array(choose(data_set, "table.npy"), on_progress=on_progress)
    pushed(site, {"table.npy": npy(VALUES + 1)})
    on_progress, calls = interrupted_after(-1)
    document = import_array(choose(data_set, "table.npy"), on_progress=on_progress)
    assert calls[0] == (0, 8_000_000)
    assert same(document, VALUES + 1)


def test_of_two_imports_into_one_array_one_is_told_of_the_other(site, small_slices):
    data_set = pushed(site, {"table.npy": npy(VALUES)})
    calls = []

    def on_progress(done, total):
        calls.append(done)
        if len(calls) == 1:  # the other one runs from here to its end
            import_array(choose(data_set, "table.npy"))
            transaction.begin()

    with pytest.raises(
        Conflict,
        match=r"^'table\.npy' \(version 1 of 'brain_mri'\) is being imported by another process as well: let one of "
        r"them finish\.$",
    ):
        import_array(choose(data_set, "table.npy"), on_progress=on_progress)
    assert len(site.data_array_module.objectIds()) == 1
    assert same(site.data_array_module.objectValues()[0], VALUES)


def test_of_two_versions_that_are_imported_at_once_none_is_taken_for_the_other(site, small_slices, monkeypatch):
    data_set = pushed(site, {"table.npy": npy(VALUES)})
    pushed(site, {"table.npy": npy(VALUES + 1)})
    met = []

    def interrupt(*arguments):
        raise Interrupted

    def on_progress(done, total):
        if done == total and not met:  # the other one comes as far as this one
            met.append(done)
            with monkeypatch.context() as patched:
                patched.setattr(perform, "_give", interrupt)
                with pytest.raises(Interrupted):
                    import_array(choose(data_set, "table.npy", version=2))
            transaction.begin()

    with pytest.raises(Conflict, match=r"is being imported by another process as well: let one of them finish\.$"):
        import_array(choose(data_set, "table.npy", version=1), on_progress=on_progress)
    assert met
    transaction.begin()
    document = import_array(choose(data_set, "table.npy", version=2))
    assert same(document, VALUES + 1)
    assert document.getProvenance()["version"] == 2


def test_a_disk_that_is_full_is_told_and_the_import_goes_on_later(site, small_slices, monkeypatch):
    data_set = pushed(site, {"table.npy": npy(VALUES)})
    storage = site._p_jar.db().storage
    store, stored = type(storage).store, []

    def full(self, oid, serial, data, *rest):
        stored.append(len(data))
        if sum(stored) > 4 * MIB:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return store(self, oid, serial, data, *rest)

    with monkeypatch.context() as patch:
        patch.setattr(type(storage), "store", full)
        with pytest.raises(
            StorageFull, match=r"^The disk of the data lake is full: nothing of this request's last part "
        ):
            import_array(choose(data_set, "table.npy"))
    on_progress, calls = interrupted_after(-1)
    assert same(import_array(choose(data_set, "table.npy"), on_progress=on_progress), VALUES)
    assert calls[0] == (BLOCK_SIZE, 8_000_000)


def test_an_import_that_nobody_goes_on_with_expires(site, small_slices):
    data_set = pushed(site, {"table.npy": npy(VALUES)})
    on_progress, _ = interrupted_after(3)
    with pytest.raises(Interrupted):
        import_array(choose(data_set, "table.npy"), on_progress=on_progress)
    transaction.begin()
    arrival = site.data_array_module.getArrival("import/brain_mri/table.npy")
    with as_user(site, "system"):
        alarm = site.portal_alarms.wendelin_expire_ingestions
        assert expire_ingestions(alarm).text == "Given up: 0 pushes, 0 files and 0 arrays that came in part."
        arrival.touched -= timedelta(days=7, seconds=1)
        transaction.commit()
        assert expire_ingestions(alarm).text == "Given up: 0 pushes, 0 files and 1 arrays that came in part."
    assert not site.data_array_module._arrivals


def test_changes_that_would_be_lost_are_refused(site):
    data_set = pushed(site, {"table.npy": npy(VALUES[0, :3])})
    choice = choose(data_set, "table.npy")
    data_set.title = "changed"
    with pytest.raises(
        Conflict, match=r"^What was changed must be committed, or aborted, before a file is imported\.$"
    ):
        import_array(choice)


def test_who_may_not_is_told(site):
    data_set = pushed(site, {"table.npy": npy(VALUES[0, :3])})
    choice = choose(data_set, "table.npy")
    document = import_array(choice, "table")
    with as_user(site, "nobody"), pytest.raises(NotAuthorised, match=r"^You may not see this data set\.$"):
        choose(data_set, "table.npy")
    with as_user(site, "dan"):
        assert not getSecurityManager().checkPermission(PushData, document)
        with pytest.raises(NotAuthorised, match=r"^You may not add Data Arrays\.$"):
            import_array(choice, "other")
        with pytest.raises(NotAuthorised, match=r"^You may not write to the Data Array 'table'\.$"):
            import_array(choice, "table", replace=True)
