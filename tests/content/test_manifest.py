from __future__ import annotations

import pytest
from BTrees.OOBTree import OOBTree
from ZODB.DB import DB
from ZODB.FileStorage import FileStorage
from zope.interface.verify import verifyObject

from Products.ERP5Wendelin.content import manifest as manifest_module
from Products.ERP5Wendelin.content.entry import Entry
from Products.ERP5Wendelin.content.manifest import Manifest
from Products.ERP5Wendelin.errors import NotFound, PushConflict
from Products.ERP5Wendelin.interfaces import IManifest
from support.manifests import DATE, commit, entry, files, stored_manifest


def paths(manifest, **kw):
    return [path for path, _ in manifest.items(**kw)]


def test_manifest_provides_its_interface():
    assert verifyObject(IManifest, Manifest())


def test_new_manifest_is_version_0_without_files():
    manifest = Manifest()
    assert (manifest.version, manifest.file_count, manifest.size) == (0, 0, 0)
    assert list(manifest.items()) == list(manifest.items(version=0)) == list(manifest.versions()) == []
    assert not manifest.changed_since(0)


def test_first_commit_adopts_the_staged_tree_itself():
    manifest, staged = Manifest(), files({"a": "one", "b/c": "three"})
    version = manifest.commit(staged, [], "ada", "first scans", DATE)
    assert manifest._entries is staged
    assert (version.number, version.author, version.message, version.date) == (1, "ada", "first scans", DATE)
    assert (version.added, version.modified, version.removed) == (2, 0, 0)
    assert (version.size, version.file_count) == (manifest.size, manifest.file_count) == (8, 2)
    assert manifest.get("b/c") == entry("three")


def test_second_commit_adds_modifies_and_removes():
    manifest = Manifest()
    commit(manifest, {"a": "1", "b": "22", "c": "333"})
    version = commit(manifest, {"b": "2222", "d": "55555"}, removed=["c"])
    assert (version.number, version.added, version.modified, version.removed) == (2, 1, 1, 1)
    assert (version.size, version.file_count) == (manifest.size, manifest.file_count) == (10, 3)
    assert paths(manifest) == ["a", "b", "d"]


def test_older_version_stays_readable():
    manifest = Manifest()
    commit(manifest, {"a": "1", "b": "22", "c": "333"})
    commit(manifest, {"b": "2222", "d": "55555"}, removed=["c"])
    assert dict(manifest.items(version=1)) == dict(files({"a": "1", "b": "22", "c": "333"}))
    assert manifest.get("b", version=1) == entry("22")
    assert manifest.get("c", version=1) == entry("333")
    assert manifest.get("d", version=1) is None


def test_version_0_has_no_files_whatever_came_later():
    manifest = Manifest()
    commit(manifest, {"a": "1"})
    commit(manifest, {"b": "1"})
    assert paths(manifest, version=0) == []
    assert manifest.get("a", version=0) is None


def test_unknown_version_is_not_found_with_the_newest_named():
    manifest = Manifest()
    commit(manifest, {"a": "1"})
    for call in (
        lambda: manifest.get("a", version=2),
        lambda: manifest.items(version=2),
        lambda: manifest.changed_since(2),
        lambda: manifest.get_version(2),
    ):
        with pytest.raises(NotFound, match=r"^There is no version 2; the newest is 1\.$"):
            call()
    with pytest.raises(NotFound, match="version -1"):
        manifest.get("a", version=-1)
    with pytest.raises(NotFound, match="version 0"):
        manifest.get_version(0)


def test_items_come_by_code_point_from_after_within_prefix():
    manifest = Manifest()
    commit(manifest, dict.fromkeys(("b/a", "b-c", "B", "é", "a", "bb/z", "𝄞"), "x"))
    assert paths(manifest) == ["B", "a", "b-c", "b/a", "bb/z", "é", "𝄞"]
    assert paths(manifest, prefix="b") == ["b-c", "b/a", "bb/z"]
    assert paths(manifest, prefix="b/") == ["b/a"]
    assert paths(manifest, prefix="b", after="b-c") == ["b/a", "bb/z"]
    assert paths(manifest, prefix="b/a", after="b/a") == []
    assert paths(manifest, after="bb/z") == ["é", "𝄞"]
    assert paths(manifest, prefix="b", after="c") == []


def test_same_content_time_and_mode_elsewhere_is_no_change():
    manifest = Manifest()
    commit(manifest, {"a": "same"})
    moved = Entry(None, 4096, 4, entry("same").digest, 1, "100644")
    assert commit(manifest, {"a": moved}) is None
    assert manifest.version == 1
    assert manifest.get("a").offset == 0


@pytest.mark.parametrize("changed", [entry("same", mtime_ns=2), entry("same", mode="100755")])
def test_another_time_or_mode_is_a_modification(changed):
    manifest = Manifest()
    commit(manifest, {"a": "same"})
    assert commit(manifest, {"a": changed}).modified == 1
    assert manifest.get("a") == changed


def test_nothing_to_change_makes_no_version():
    manifest = Manifest()
    assert commit(manifest, {}, removed=["a"]) is None
    commit(manifest, {"a": "1"})
    assert commit(manifest, {}, removed=["b"]) is None
    assert manifest.version == 1


def test_path_that_is_staged_and_removed_is_staged():
    manifest = Manifest()
    commit(manifest, {"a": "1", "b": "1"})
    version = commit(manifest, {"a": "2"}, removed=["a"])
    assert (version.modified, version.removed) == (1, 0)
    assert manifest.get("a") == entry("2")


def test_emptied_data_set_adopts_again_and_keeps_its_past():
    manifest = Manifest()
    commit(manifest, {"a": "1"})
    commit(manifest, {}, removed=["a"])
    assert (manifest.file_count, manifest.size) == (0, 0)
    commit(manifest, {"b": "22"})
    commit(manifest, {"c": "333"})
    assert [paths(manifest, version=n) for n in range(5)] == [[], ["a"], [], ["b"], ["b", "c"]]
    assert list(manifest.changed_since(1)) == ["a", "b", "c"]
    assert list(manifest.changed_since(2)) == ["b", "c"]


def test_versions_come_newest_first():
    manifest = Manifest()
    for number in range(3):
        commit(manifest, {"a": "x" * number})
    assert [version.number for version in manifest.versions()] == [3, 2, 1]
    assert [version.number for version in manifest.versions(before=3)] == [2, 1]
    assert list(manifest.versions(before=1)) == []


def test_changed_since_has_what_later_commits_changed():
    manifest = Manifest()
    commit(manifest, {"a": "1", "b": "1", "z": "1"})
    commit(manifest, {"a": "2"})
    commit(manifest, {"c": "1"}, removed=["b"])
    assert list(manifest.changed_since(0)) == ["a", "b", "c", "z"]
    assert list(manifest.changed_since(1)) == ["a", "b", "c"]
    assert list(manifest.changed_since(2)) == ["b", "c"]
    assert not manifest.changed_since(3)
    changed = manifest.changed_since(1)
    assert changed
    assert "b" in changed
    assert "z" not in changed
    assert "z" in manifest.changed_since(0)


@pytest.mark.parametrize(
    ("before", "staged", "clash"),
    [
        ({"a": "1"}, {"a/b": "1"}, ["a", "a/b"]),
        ({"a/b/c": "1"}, {"a": "1"}, ["a", "a/b/c"]),
        ({"z": "1"}, {"a": "1", "a-b": "1", "a/b": "1"}, ["a", "a/b"]),
        ({}, {"a": "1", "a-b": "1", "a/b/c/d": "1"}, ["a", "a/b/c/d"]),
        ({"x/y": "1"}, {"x/y/z": "1", "x/w": "1"}, ["x/y", "x/y/z"]),
    ],
)
def test_path_that_would_be_file_and_folder_is_a_conflict(before, staged, clash):
    manifest = Manifest()
    commit(manifest, before)
    version = manifest.version
    with pytest.raises(PushConflict) as error:
        commit(manifest, staged)
    assert str(error.value) == (
        f"{clash[0]!r} would be a file and a folder at once, since {clash[1]!r} is below it. "
        "Rename or remove one of the two and push again."
    )
    assert error.value.extra == {"paths": clash, "version": version}


def test_file_may_become_a_folder_and_back():
    manifest = Manifest()
    commit(manifest, {"a": "1", "b": "1"})
    commit(manifest, {"a/b": "1"}, removed=["a"])
    commit(manifest, {"a": "2"}, removed=["a/b"])
    assert [paths(manifest, version=n) for n in (1, 2, 3)] == [["a", "b"], ["a/b", "b"], ["a", "b"]]


FOLDER = entry("", mode="040000")


def test_a_folder_may_be_beside_what_is_in_it():
    manifest = Manifest()
    commit(manifest, {"a": FOLDER, "a/b": "1"})
    assert commit(manifest, {"a/b/c": "1"}, removed=["a/b"]).added == 1
    assert commit(manifest, {"a/b": FOLDER, "x/y": "1"}).added == 2
    assert commit(manifest, {"x": FOLDER}, removed=["a"]).removed == 1
    assert paths(manifest) == ["a/b", "a/b/c", "x", "x/y"]


@pytest.mark.parametrize(
    ("before", "staged", "clash"),
    [
        ({}, {"a": "1", "a/b": FOLDER}, ["a", "a/b"]),
        ({"a": "1"}, {"a/b": FOLDER}, ["a", "a/b"]),
        ({"a": FOLDER, "a/b": "1"}, {"a": "now a file"}, ["a", "a/b"]),
        ({"a/b": FOLDER}, {"a": ""}, ["a", "a/b"]),
    ],
)
def test_a_folder_and_a_file_of_its_name_are_a_conflict(before, staged, clash):
    manifest = Manifest()
    commit(manifest, before)
    with pytest.raises(PushConflict, match="'a' would be a file and a folder at once, since 'a/b' is below") as error:
        commit(manifest, staged)
    assert error.value.extra["paths"] == clash


def test_names_that_only_look_like_a_clash_are_taken():
    manifest = Manifest()
    commit(manifest, {"a": "1", "ab/c": "1", "a.b/c": "1"})
    assert commit(manifest, {"a-": "1", "ab/cd/e": "1", "a!/b": "1"}).added == 3


def test_content_is_found_after_its_file_is_gone():
    manifest = Manifest()
    commit(manifest, {"a": "wanted", "empty": ""})
    commit(manifest, {"b": "other"}, removed=["a"])
    found = manifest.find_content(entry("wanted").digest)
    assert (found.size, found.digest, found.mtime_ns) == (6, entry("wanted").digest, 0)
    assert manifest.find_content(entry("unknown").digest) is None
    assert manifest.find_content(entry("").digest) is None


def test_new_contents_are_told_once():
    manifest, told = Manifest(), []

    def note(digest, size):
        told.append((digest, size))

    manifest.commit(files({"a": "one", "b": "one", "c": ""}), [], "ada", "", DATE, new_content=note)
    manifest.commit(files({"d": "one", "e": "two!"}), [], "ada", "", DATE, new_content=note)
    assert told == [(entry("one").digest, 3), (entry("two!").digest, 4)]


def test_entry_is_stored_as_a_plain_tuple():
    with stored_manifest() as manifest:
        commit(manifest, {"a": "1", "b": "1"})
        commit(manifest, {"a": "2"})
        manifest._p_jar.transaction_manager.commit()
        manifest._p_jar.cacheMinimize()
        assert type(manifest._entries["a"]) is tuple
        assert type(manifest._entries["b"]) is tuple
        assert manifest.get("b") == entry("1")
        assert type(manifest.get("b")) is Entry


def test_commit_in_small_steps_gives_the_same(monkeypatch):
    monkeypatch.setattr(manifest_module, "GC_INTERVAL", 7)
    monkeypatch.setattr(manifest_module, "SAVEPOINT_INTERVAL", 21)
    first = {f"{n:04}": str(n) for n in range(500)}
    second = {f"{n:04}": str(n + 1) for n in range(250, 750)}
    with stored_manifest() as manifest:
        commit(manifest, first)
        manifest._p_jar.transaction_manager.commit()
        version = commit(manifest, second)
        manifest._p_jar.transaction_manager.commit()
        manifest._p_jar.cacheMinimize()
        assert (version.added, version.modified) == (250, 250)
        assert dict(manifest.items(version=1)) == dict(files(first))
        assert dict(manifest.items()) == dict(files(first | second))


def test_one_file_more_among_100_000_writes_few_records(tmp_path):
    storage = FileStorage(str(tmp_path / "Data.fs"))
    with stored_manifest(DB(storage)) as manifest:
        tree = OOBTree()
        for number in range(100_000):
            tree[f"scan/{number % 100:02}/{number:06}.nii"] = (
                None,
                number,
                1,
                number.to_bytes(32, "little"),
                1,
                "100644",
            )
        manifest.commit(tree, [], "ada", "", DATE)
        manifest._p_jar.transaction_manager.commit()
        size = storage.getSize()
        commit(manifest, {"scan/50/new.nii": "x"})
        manifest._p_jar.transaction_manager.commit()
        for last in storage.iterator():
            records = [record.oid for record in last]
        # the manifest, the version, what it replaced, its tree of versions, a bucket of entries and one of contents,
        # which may split in two, each with the node above
        assert len(records) <= 10
        assert storage.getSize() - size < 30_000
