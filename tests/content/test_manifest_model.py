"""A manifest against a model of it: a plain dict of files for each version."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from Products.ERP5Wendelin.errors import PushConflict
from support.manifests import commit, entry, stored_manifest

# few names, so that commits meet; some sort between 'a' and 'a/'
segments = st.sampled_from(["a", "b", "a-", "a.b", "ab"])
paths = st.lists(segments, min_size=1, max_size=3).map("/".join)
FOLDER = entry("", mode="040000")
contents = st.sampled_from([FOLDER, *map(entry, ("", "x", "yy", "zzz"))])
commits = st.tuples(st.dictionaries(paths, contents, max_size=6), st.sets(paths, max_size=4))


def has_clash(files):
    return any(other.startswith(path + "/") for path, found in files.items() if found != FOLDER for other in files)


@given(st.lists(commits, max_size=8), st.sampled_from(["", "a", "a/", "a-", "b/a"]), paths)
@settings(max_examples=150, deadline=None)
def test_every_version_reads_as_the_model_says(history, prefix, after):
    versions = [{}]
    changes = []
    with stored_manifest() as manifest:
        manager = manifest._p_jar.transaction_manager
        for staged, removed in history:
            old = versions[-1]
            new = {path: found for path, found in old.items() if path not in removed} | staged
            if has_clash(new):
                with pytest.raises(PushConflict) as error:
                    commit(manifest, staged, removed)
                assert has_clash({path: new[path] for path in error.value.extra["paths"]})
                manager.abort()
                continue
            version = commit(manifest, staged, removed)
            manager.commit()
            changed = {path for path in old.keys() | new.keys() if old.get(path) != new.get(path)}
            if not changed:
                assert version is None
                continue
            versions.append(new)
            changes.append(changed)
            assert (version.added, version.removed) == (len(new.keys() - old.keys()), len(old.keys() - new.keys()))
            assert version.modified == len(changed) - version.added - version.removed
            assert (version.file_count, version.size) == (len(new), sum(found.size for found in new.values()))
        manifest._p_jar.cacheMinimize()
        assert manifest.version == len(versions) - 1
        for number, files in enumerate(versions):
            assert list(manifest.items(version=number)) == sorted(files.items())
            assert list(manifest.items(prefix, after, number)) == [
                item for item in sorted(files.items()) if item[0].startswith(prefix) and item[0] > after
            ]
            for path in {path for version in versions for path in version} | {after}:
                assert manifest.get(path, number) == files.get(path)
            assert list(manifest.changed_since(number)) == sorted(set().union(*changes[number:]))
        for found in {found for version in versions for found in version.values() if found.size}:
            assert manifest.find_content(found.digest).size == found.size
