from __future__ import annotations

import threading

import pytest
import transaction
from DateTime import DateTime
from ZODB.POSException import ConflictError
from zope.interface.verify import verifyObject

from Products.ERP5Wendelin.content.entry import Entry
from Products.ERP5Wendelin.errors import BadInput, Conflict, NotFound, RangeNotSatisfiable
from Products.ERP5Wendelin.interfaces import IDataSet, IDataSetModule
from Products.ERP5Wendelin.protocol import SMALL_FILE_SIZE
from Products.ERP5Wendelin.storage.stream import ByteStream
from support.manifests import DATE, entry, files
from support.site import as_user


@pytest.fixture
def module(site):
    return site.data_set_module


@pytest.fixture
def data_set(module):
    return module.newDataSet("brain_mri", title="Brains of Zürich", description="T1 scans of 2026")


def references(data_sets):
    return [data_set.getReference() for data_set in data_sets]


def test_data_set_and_module_provide_their_interfaces(module, data_set):
    assert verifyObject(IDataSet, data_set)
    assert verifyObject(IDataSetModule, module)


def test_new_data_set_is_a_draft_without_files(module, data_set):
    assert data_set.getValidationState() == "draft"
    assert (data_set.getVersion(), data_set.getSize(), data_set.getFileCount()) == (0, 0, 0)
    assert (data_set.getTitle(), data_set.getDescription()) == ("Brains of Zürich", "T1 scans of 2026")
    assert data_set.getCreationDate() == data_set.getModificationDate()
    assert data_set.getCreationDate() == DateTime(data_set.created).toZone("UTC")
    assert module.getDataSet("brain_mri") == data_set


def test_unknown_reference_is_the_default(module):
    assert module.getDataSet("unknown") is None
    assert module.getDataSet("unknown", 7) == 7


def test_reference_is_unique_whatever_the_state(module, data_set):
    data_set.changeState("invalidate")
    with pytest.raises(Conflict, match=r"^There is a data set 'brain_mri' already\.$"):
        module.newDataSet("brain_mri")


def test_bad_reference_is_refused(module):
    with pytest.raises(BadInput, match=r"^The reference 'a/b' has a slash or a backslash\.$"):
        module.newDataSet("a/b")


def test_module_holds_its_own_portal_type_only(module):
    with pytest.raises(BadInput, match=r"^data_set_module holds Data Set documents, not 'Data Array'\.$"):
        module.newContent(portal_type="Data Array", reference="x")


def test_edit_changes_title_and_description_and_the_catalogue(module, data_set):
    data_set.edit(title="Hearts", description="")
    assert (data_set.getTitle(), data_set.getDescription()) == ("Hearts", "")
    assert references(module.searchDataSets("heart")) == ["brain_mri"]
    assert module.searchDataSets("Zürich") == []


@pytest.mark.parametrize(
    ("properties", "problem"),
    [
        ({"reference": "x"}, r"^A Data Set has no property 'reference'\. It has: title, description\.$"),
        ({"title": 7}, r"^title must be text\.$"),
    ],
)
def test_edit_refuses_what_it_does_not_have(data_set, properties, problem):
    with pytest.raises(BadInput, match=problem):
        data_set.edit(**({"description": "new"} | properties))
    assert data_set.getDescription() == "T1 scans of 2026"


# search


@pytest.mark.parametrize(
    "search",
    ["brain_mri", "brain", "BRA", "mri", "zurich", "ZÜRICH", "mri bra", "brains of zürich", "t1 2026", "  scan "],
)
def test_search_finds_by_the_beginning_of_all_words(module, data_set, search):
    module.newDataSet("other")
    assert references(module.searchDataSets(search)) == ["brain_mri"]


@pytest.mark.parametrize("search", ["rain", "brain heart", "mris", "?", "2026 t2"])
def test_search_for_what_is_not_there_finds_nothing(module, data_set, search):
    assert module.searchDataSets(search) == []


def test_list_is_by_reference_after_a_reference_and_limited(module):
    for reference in ("c", "a", "é", "b", "B"):
        module.newDataSet(reference)
    assert references(module.searchDataSets()) == ["B", "a", "b", "c", "é"]
    assert references(module.searchDataSets(after="a")) == ["b", "c", "é"]
    assert references(module.searchDataSets(after="aa", limit=2)) == ["b", "c"]
    assert references(module.searchDataSets(limit=2)) == ["B", "a"]


def test_list_has_what_the_user_may_view(site, module):
    for reference, transitions in {"d": (), "v": ("validate",), "p": ("publish",), "i": ("invalidate",)}.items():
        data_set = module.newDataSet(reference)
        for transition in transitions:
            data_set.changeState(transition)
    seen = {}
    for user in ("nobody", "dan", "eve", "boss"):
        with as_user(site, user):
            seen[user] = "".join(references(module.searchDataSets()))
    assert seen == {"nobody": "p", "dan": "pv", "eve": "dpv", "boss": "dipv"}
    assert references(module.searchDataSets(state="published")) == ["p"]


def test_unknown_state_is_refused(module):
    with pytest.raises(
        BadInput, match=r"^There is no state 'new'\. States are: draft, validated, published, invalidated\.$"
    ):
        module.searchDataSets(state="new")


# commits


def test_first_commit_validates_a_draft_and_is_a_modification(module, data_set):
    data_set.modified = data_set.modified.replace(year=2020)
    version = data_set.commit(files({"a": "one"}), [], "ada", "first", DATE)
    assert (version.number, data_set.getVersion(), data_set.getFileCount(), data_set.getSize()) == (1, 1, 1, 3)
    assert data_set.getValidationState() == "validated"
    assert data_set.getModificationDate().year() > 2020


def test_later_commit_leaves_the_state(data_set):
    data_set.changeState("publish")
    data_set.commit(files({"a": "one"}), [], "ada", "", DATE)
    assert data_set.getValidationState() == "published"


def test_commit_without_a_change_makes_no_version_but_validates(data_set):
    assert data_set.commit(files({}), [], "ada", "", DATE) is None
    assert (data_set.getVersion(), data_set.getValidationState()) == (0, "validated")


def test_large_content_is_found_in_data_sets_one_may_view(module, data_set):
    def large(letter):
        return Entry(None, 0, SMALL_FILE_SIZE, entry(letter).digest, 1)

    hidden = module.newDataSet("hidden")
    data_set.commit(files({"big": large("x"), "small": "s"}), [], "ada", "", DATE)
    hidden.commit(files({"big": large("x"), "other": large("y")}), [], "ada", "", DATE)
    assert module.findContent(entry("x").digest, lambda found: True).size == SMALL_FILE_SIZE
    assert module.findContent(entry("x").digest, lambda found: False) is None
    assert module.findContent(entry("y").digest, lambda found: found.getReference() != "hidden") is None
    assert module.findContent(entry("y").digest, lambda found: found.getReference() == "hidden")
    assert module.findContent(entry("s").digest, lambda found: True) is None


def test_deleted_data_set_leaves_its_reference_free_and_its_contents_unfound(site, module, data_set):
    digest = entry("x").digest
    data_set.commit(files({"big": Entry(None, 0, SMALL_FILE_SIZE, digest, 1)}), [], "ada", "", DATE)
    reference = data_set.getReference()
    with as_user(site, "boss"):
        module.manage_delObjects([data_set.getId()])
    assert module.getDataSet(reference) is None
    assert module.findContent(digest, lambda found: True) is None
    again = module.newDataSet(reference)
    assert (module.getDataSet(reference), again.getVersion()) == (again, 0)


# files as documents


def test_file_is_a_data_stream_with_the_state_of_its_data_set(site, data_set):
    stream = ByteStream()
    stream.append(b"0123456789")
    data_set.commit(files({"scans/a.nii": Entry(stream, 2, 5, b"d" * 32, 1)}), [], "ada", "", DATE)
    document = data_set.getDataStream("scans/a.nii")
    assert (document.getPortalType(), document.getReference(), document.getSize()) == ("Data Stream", "scans/a.nii", 5)
    assert (document.getData(), document.getData(1, 3), document.sha256) == (b"23456", b"34", b"d" * 32)
    assert document.getValidationState() == "validated"
    data_set.changeState("publish")
    assert document.getValidationState() == "published"
    with pytest.raises(RangeNotSatisfiable, match=r"^Bytes 1 to 6 are not within the 5 bytes of 'scans/a\.nii'\.$"):
        document.getData(1, 6)
    with pytest.raises(Conflict, match=r"^'scans/a\.nii' is a file of a data set: only a push changes it\.$"):
        document.appendData(b"x")
    with pytest.raises(Conflict, match=r"^'scans/a\.nii' is a file of a data set: change the state of the data set\.$"):
        document.changeState("publish")
    with pytest.raises(NotFound, match=r"^brain_mri has no file 'b'\.$"):
        data_set.getDataStream("b")


def test_empty_file_is_an_empty_data_stream(data_set):
    data_set.commit(files({"empty": ""}), [], "ada", "", DATE)
    assert data_set.getDataStream("empty").getData() == b""


def test_stream_of_its_own_is_appended_to(site):
    document = site.data_stream_module.newContent(reference="log")
    assert (document.getSize(), document.getData(), document.getValidationState()) == (0, b"", "draft")
    assert document.appendData(b"one") == 3
    assert document.appendData(b"two") == 6
    assert (document.getData(), document.getData(2, 4)) == (b"onetwo", b"et")


# concurrency


def together(lake, *actions):
    """Run actions on a site each, so that none sees what another commits; return what their commits raise, in order."""
    barrier = threading.Barrier(len(actions))
    outcomes = [None] * len(actions)

    def run(number, action):
        with lake.open() as site:
            site.data_set_module.objectCount()
            barrier.wait()  # all have begun their transactions
            action(site)
            barrier.wait()  # none has committed yet
            try:
                transaction.commit()
            except ConflictError as error:
                outcomes[number] = error

    threads = [threading.Thread(target=run, args=item) for item in enumerate(actions)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return outcomes


def add(*names):
    def action(site):
        for name in names:
            site.data_set_module.newDataSet(name, title=f"The data set {name}")

    return action


def test_concurrent_additions_do_not_conflict(lake):
    with lake.open() as site:
        add("first")(site)
        transaction.commit()
    assert together(lake, add("alpha"), add("beta"), add("gamma")) == [None] * 3
    with lake.open() as site:
        assert references(site.data_set_module.searchDataSets()) == ["alpha", "beta", "first", "gamma"]
        assert references(site.data_set_module.searchDataSets("data be")) == ["beta"]


def test_concurrent_additions_of_the_same_reference_conflict(lake):
    outcomes = together(lake, add("same"), add("same"))
    assert sorted(isinstance(outcome, ConflictError) for outcome in outcomes) == [False, True]
    with lake.open() as site:
        assert references(site.data_set_module.searchDataSets()) == ["same"]


def test_concurrent_commits_to_one_data_set_conflict_and_to_two_do_not(lake):
    with lake.open() as site:
        add("one", "two")(site)
        for name in ("one", "two"):
            site.data_set_module.getDataSet(name).commit(files({"a": "a"}), [], "ada", "", DATE)
        transaction.commit()

    def push(name, path):
        return lambda site: site.data_set_module.getDataSet(name).commit(files({path: path}), [], "ada", "", DATE)

    assert together(lake, push("one", "b"), push("two", "b")) == [None, None]
    outcomes = together(lake, push("one", "c"), push("one", "d"))
    assert sorted(isinstance(outcome, ConflictError) for outcome in outcomes) == [False, True]
