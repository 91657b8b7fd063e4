import pytest

from ebulk.local import folder as folders
from ebulk.remote.credentials import Basic
from ebulk.remote.lake import Lake
from ebulk.verbs.pull import pull
from ebulk.verbs.push import push
from support.folders import write_files
from support.lake import PASSWORD, served_lake


@pytest.fixture(scope="session")
def served(tmp_path_factory):
    """A lake that is being served, with the contributors ada and bob and the downloader dora."""
    with served_lake(tmp_path_factory.mktemp("lake")) as lake:
        for name, role in (("ada", "contributor"), ("bob", "contributor"), ("dora", "downloader")):
            lake.add_user(name, role)
        yield lake


@pytest.fixture
def lake(served):
    """The lake as ada sees it."""
    lake = Lake(served.url, Basic("ada", PASSWORD))
    yield lake
    lake.close()


@pytest.fixture
def make_folder(tmp_path, request):
    """Makes data set folders of one data set, named after the test: `make_folder("mine", {"a": "text"})`."""
    reference = request.node.name[:200].replace("/", " ").replace("\\", " ")

    def make(name, files=None):
        folder = folders.create(tmp_path / name, reference)
        write_files(folder.root, files or {})
        return folder

    return make


@pytest.fixture
def up_to_date(lake, make_folder):
    """Makes two folders of one data set with some files: pushed from one, pulled into the other."""

    def make(files):
        mine, yours = make_folder("mine", files), make_folder("yours")
        push(mine, lake)
        pull(yours, lake)
        return mine, yours

    return make
