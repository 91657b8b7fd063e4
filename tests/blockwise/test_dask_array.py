"""Arrays as dask's and xarray's, computed by worker processes that open the database by themselves."""

import os
import pickle
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import dask
import dask.array
import distributed
import numpy
import pytest
import xarray
from ZODB import DB
from ZODB.MappingStorage import MappingStorage

from Products.ERP5Wendelin import errors
from Products.ERP5Wendelin.blockwise import dask_array
from Products.ERP5Wendelin.blockwise.dask_array import Stored, _basic, default_chunks, to_dask, to_xarray
from Products.ERP5Wendelin.blockwise.snapshot import Snapshot
from Products.ERP5Wendelin.storage.array import Array
from Products.ERP5Wendelin.storage.block import BLOCK_SIZE
from Products.ERP5Wendelin.storage.database import note_uri, open_database
from Products.ERP5Wendelin.storage.transaction import separate_connection
from support.databases import Unavailable, neo_cluster, zeo_server
from support.shared_storage import Place

DEADLINE = 120
"""Seconds that a computation, or the start of a worker, may take on a busy machine."""

VALUES = numpy.arange(3 * BLOCK_SIZE // 8, dtype=numpy.float64).reshape(-1, 4)
"""Of three blocks."""

RECORDS = numpy.zeros(1000, [("n", "<i4"), ("xy", "<f8", (2,))])
RECORDS["n"] = numpy.arange(1000)
RECORDS["xy"] = numpy.arange(2000).reshape(-1, 2)


@pytest.fixture(scope="module")
def client() -> Iterator[distributed.Client]:
    """Two worker processes, which know nothing of any database before the first task."""
    settings = {"distributed.comm.timeouts.connect": DEADLINE}
    options = {"n_workers": 2, "threads_per_worker": 1, "processes": True, "dashboard_address": "127.0.0.1:0"}
    if neo := os.environ.get("NEO_PATH"):
        sys.path.insert(0, neo)  # which the workers get when they start
        options["preload"] = ["neo.client"]
    with (
        dask.config.set(settings),
        distributed.LocalCluster(**options) as cluster,
        distributed.Client(cluster, timeout=DEADLINE, set_as_default=False) as client,
    ):
        client.wait_for_workers(2, timeout=DEADLINE)
        yield client


def compute(client: distributed.Client, collection):
    return client.compute(collection).result(timeout=DEADLINE)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[DB]:
    database = open_database(f"file://{tmp_path}/Data.fs")
    yield database
    database.close()


def store(database: DB, values: numpy.ndarray) -> bytes:
    """Commit a new array, and return its object id."""
    with separate_connection(database) as connection:
        array = Array(values.shape, values.dtype)
        connection.add(array)
        connection.root()[len(connection.root())] = array
        array[...] = values
        connection.transaction_manager.commit()
        return array._p_oid


def write(database: DB, oid: bytes, values) -> None:
    with separate_connection(database) as connection:
        connection.get(oid)[...] = values
        connection.transaction_manager.commit()


def graph_of(database: DB, oid: bytes, chunks=None) -> dask.array.Array:
    with separate_connection(database) as connection:
        return to_dask(connection.get(oid), chunks)


def process_ids(values: numpy.ndarray) -> numpy.ndarray:
    return numpy.full((1,) * values.ndim, os.getpid())


# on a cluster of processes


class Suite:
    """What holds over each storage; a subclass has the fixture `database`."""

    def test_workers_compute_what_numpy_does(self, database: DB, client: distributed.Client) -> None:
        array = graph_of(database, store(database, VALUES), (len(VALUES) // 6, 4))
        assert isinstance(array, dask.array.Array)
        results = compute(client, dask.delayed([array.mean(axis=0), array.std(), (array[1::3] ** 2).sum(), array[7]]))
        expected = [VALUES.mean(axis=0), VALUES.std(), (VALUES[1::3] ** 2).sum(), VALUES[7]]
        for result, value in zip(results, expected, strict=True):
            numpy.testing.assert_allclose(result, value, rtol=1e-12)

    def test_each_worker_reads_for_itself(self, database: DB, client: distributed.Client) -> None:
        array = graph_of(database, store(database, VALUES), (len(VALUES) // 16, 4))
        parts = array.map_blocks(process_ids, dtype=int, chunks=(1, 1)).to_delayed().ravel()
        workers = list(client.scheduler_info()["workers"])
        futures = [
            client.compute(part, workers=[workers[number % 2]], allow_other_workers=False)
            for number, part in enumerate(parts)
        ]
        found = {int(result[0, 0]) for result in client.gather(futures)}
        assert len(found) == 2
        assert os.getpid() not in found

    def test_what_others_commit_does_not_show_in_a_graph_that_was_built_before(
        self, database: DB, client: distributed.Client
    ) -> None:
        oid = store(database, VALUES)
        before = graph_of(database, oid)
        write(database, oid, 1.0)
        after = graph_of(database, oid)
        assert compute(client, before.sum()) == VALUES.sum()
        assert compute(client, after.sum()) == VALUES.size
        assert compute(client, before.max()) == VALUES.max()

    def test_columns_are_read_as_columns(self, database: DB, client: distributed.Client) -> None:
        array = graph_of(database, store(database, RECORDS), 100)
        assert array.dtype == RECORDS.dtype
        assert compute(client, array["n"].sum()) == RECORDS["n"].sum()
        numpy.testing.assert_array_equal(compute(client, array[5:250:7]), RECORDS[5:250:7])


class TestServedFileStorage(Suite):
    """A FileStorage that one process serves, seen by a guest of it: workers read the file beside them."""

    @pytest.fixture
    @staticmethod
    def database(tmp_path: Path) -> Iterator[DB]:
        host = Place(tmp_path).serve()
        guest = DB(Place(tmp_path).open())
        note_uri(guest.storage, Place(tmp_path).uri)
        yield guest
        guest.close()
        host.close()


class TestZEO(Suite):
    @pytest.fixture(scope="class")
    @staticmethod
    def uri(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
        with zeo_server(tmp_path_factory.mktemp("zeo")) as uri:
            yield uri

    @pytest.fixture
    @staticmethod
    def database(uri: str) -> Iterator[DB]:
        database = open_database(uri)
        yield database
        database.close()


class TestRelStorage(Suite):
    """In the files of a folder, by SQLite."""

    @pytest.fixture
    @staticmethod
    def database(tmp_path: Path) -> Iterator[DB]:
        pytest.importorskip("relstorage", reason="RelStorage is not installed: install erp5-wendelin[relstorage]")
        database = open_database(f"sqlite://{tmp_path}/relstorage")
        yield database
        database.close()


# NEO's client ends its thread by SystemExit, which pytest reports.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
class TestNEO(Suite):
    """A cluster of one master and one storage node."""

    @pytest.fixture(scope="class")
    @staticmethod
    def uri(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
        try:
            with neo_cluster(tmp_path_factory.mktemp("neo")) as uri:
                yield uri
        except Unavailable as reason:
            pytest.skip(str(reason))

    @pytest.fixture
    @staticmethod
    def database(uri: str) -> Iterator[DB]:
        database = open_database(uri)
        yield database
        database.close()

    def test_a_thread_that_cannot_load_neo_is_told_who_can(self, database: DB) -> None:
        code = (
            "import sys, threading\n"
            "from Products.ERP5Wendelin.storage.database import open_database\n"
            "def run():\n"
            "    try: open_database(sys.argv[1])\n"
            "    except Exception as error: print(error)\n"
            "threading.Thread(target=run).start()"
        )
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", code, "neo://lake@127.0.0.1:9"],
            capture_output=True,
            text=True,
            check=True,
            timeout=DEADLINE,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        )
        assert done.stdout == (
            "NEO cannot be loaded in this thread: signal only works in main thread of the main interpreter. Import "
            "neo.client before, in the main thread; workers of dask do that when they are started by `dask worker "
            "--preload neo.client`.\n"
        )


def test_a_snapshot_that_is_gone_fails_the_computation_and_says_what_to_do(tmp_path, client):
    database = open_database(f"file://{tmp_path}/Data.fs")
    oid = store(database, VALUES)
    array = graph_of(database, oid)
    for value in (1.0, 2.0):
        write(database, oid, value)
    database.pack()
    database.close()
    with pytest.raises(errors.Gone, match="no longer has all of snapshot .*: it was packed since.* Begin anew"):
        compute(client, array.sum())


# the graph


@pytest.fixture
def reads(monkeypatch):
    """The slices of the database that tasks of this process ask for."""
    asked = []
    read = Stored.__getitem__

    def note(self, index):
        asked.append(index)
        return read(self, index)

    monkeypatch.setattr(Stored, "__getitem__", note)
    with dask.config.set(scheduler="synchronous"):
        yield asked


def test_nothing_is_read_until_it_is_computed_and_then_only_what_is_needed(database, reads):
    array = graph_of(database, store(database, VALUES), (1000, 4))
    part = array[2500:2600, 1:3] + 1
    assert reads == []
    numpy.testing.assert_array_equal(part.compute(), VALUES[2500:2600, 1:3] + 1)
    assert reads == [(slice(2500, 2600, None), slice(1, 3, None))]


SELECTIONS = {
    "an element": lambda x: x[1234, 1],
    "a row": lambda x: x[-1],
    "steps": lambda x: x[10:5000:777, ::2],
    "steps back": lambda x: x[5000:10:-777, ::-1],
    "slices of slices": lambda x: x[100:4000][7:][::50][1:, 2],
    "positions": lambda x: x[[5, 4321, 2, 2, -1]],
    "positions of a part": lambda x: x[1000:3000][:, [3, 0]],
    "a mask": lambda x: x[x[:, 0] > 1000][:, 1],
    "a mask of known length": lambda x: x[numpy.arange(len(VALUES)) % 1000 == 3],
    "an added axis": lambda x: x[None, 20:30, None, 1],
    "no elements": lambda x: x[5:5],
    "points": lambda x: x.vindex[[1, 2000, 3], [0, 3, 1]] if hasattr(x, "vindex") else x[[1, 2000, 3], [0, 3, 1]],
    "a transposed part": lambda x: x.T[1:3, 990:1010],
}


@pytest.mark.parametrize("select", SELECTIONS.values(), ids=SELECTIONS)
def test_each_selection_is_numpys(database, reads, select):
    array = graph_of(database, store(database, VALUES), (1000, 4))
    numpy.testing.assert_array_equal(select(array).compute(), select(VALUES))
    assert all(isinstance(part, int | slice) for index in reads for part in _basic(index)[0])


@pytest.mark.parametrize(
    ("index", "basic", "axis", "positions"),
    [
        (5, (5,), 0, None),
        ((slice(2, 4), 1), (slice(2, 4), 1), 0, None),
        (([7, 3, 7], 0), (slice(3, 8), 0), 0, [4, 0, 4]),
        ((2, slice(None), [1, 0]), (2, slice(None), slice(0, 2)), 1, [1, 0]),
        (([False, True, False, True],), (slice(1, 4),), 0, [0, 2]),
        ((numpy.array([], int),), (slice(0, 0),), 0, []),
    ],
)
def test_a_list_of_positions_is_taken_out_of_what_is_read(index, basic, axis, positions):
    made = _basic(index)
    assert made[:2] == (basic, axis)
    assert (made[2] if made[2] is None else made[2].tolist()) == positions


def test_a_graph_has_no_elements_and_goes_into_a_kilobyte_a_chunk(database):
    array = graph_of(database, store(database, VALUES), (len(VALUES) // 10 + 1, 4))
    assert array.npartitions == 10
    assert len(pickle.dumps(array)) < 10 * 1024


def test_a_worker_holds_no_more_than_its_chunk(tmp_path):
    database = open_database(f"file://{tmp_path}/Data.fs")
    oid = store(database, numpy.ones(24 * BLOCK_SIZE // 8))
    array = graph_of(database, oid, BLOCK_SIZE // 8)
    database.close()
    (tmp_path / "graph").write_bytes(pickle.dumps(array.sum()))
    code = (
        "import dask, pickle, resource, sys\n"
        "import dask.array, Products.ERP5Wendelin.blockwise.dask_array\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "total = pickle.load(open(sys.argv[1], 'rb')).compute(scheduler='synchronous')\n"
        "print(int(total), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)\n"
    )
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code, tmp_path / "graph"],
        capture_output=True,
        text=True,
        check=True,
        timeout=DEADLINE,
    )
    total, growth = map(int, done.stdout.split())
    assert total == 24 * BLOCK_SIZE // 8
    assert growth * 1024 < 12 * BLOCK_SIZE  # the array has 24 blocks


def test_equal_states_have_one_name_and_others_another(database):
    oid = store(database, VALUES)
    first, same = graph_of(database, oid), graph_of(database, oid)
    assert first.name == same.name
    assert graph_of(database, oid, 1000).name != first.name
    write(database, oid, 0.0)
    assert graph_of(database, oid).name != first.name


def test_changes_that_are_not_committed_are_refused(database):
    oid = store(database, VALUES)
    said = "^The array has changes that are not committed, .* Commit first.$"
    with separate_connection(database) as connection:
        array = connection.get(oid)
        to_dask(array)
        array[5, 1] = 7.0
        with pytest.raises(errors.Conflict, match=said):
            to_dask(array)
        connection.transaction_manager.commit()
        assert float(to_dask(array)[5, 1].compute(scheduler="synchronous")) == 7.0
        connection.root()["new"] = new = Array((3,), "f8")
        with pytest.raises(errors.Conflict, match=said):
            to_dask(new)
        to_dask(array)  # it is another one that changed


def test_a_database_in_memory_cannot_be_read_by_others():
    database = DB(MappingStorage())
    array = graph_of(database, store(database, VALUES))
    assert array.sum().compute(scheduler="threads") == VALUES.sum()
    code = "import pickle, sys; pickle.load(sys.stdin.buffer).compute(scheduler='synchronous')"
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code],
        input=pickle.dumps(array),
        capture_output=True,
        check=False,
        timeout=DEADLINE,
    )
    assert b"A snapshot of a database in memory cannot be read in another process." in done.stderr
    database.close()


def test_without_dask_or_xarray_the_way_to_them_is_told(database, monkeypatch):
    oid = store(database, VALUES)
    with separate_connection(database) as connection:
        array = connection.get(oid)
        for module, ask in (("xarray", to_xarray), ("dask.array", to_dask)):
            monkeypatch.setitem(sys.modules, module, None)
            with pytest.raises(errors.BadInput) as caught:
                ask(array)
            name = module.partition(".")[0]
            assert str(caught.value) == (
                f"{name} is not installed here, and arrays become its own by it. Install erp5-wendelin[{name}]."
            )


# chunks

MIB = 1 << 20


@pytest.mark.parametrize(
    ("shape", "itemsize", "most", "chunks"),
    [
        ((10**9,), 8, 128 * MIB, (16 * MIB,)),
        ((1000,), 8, 128 * MIB, (1000,)),
        ((10**6, 4), 8, 5 * MIB, (2 * BLOCK_SIZE // 32, 4)),
        ((10**6, 1000), 8, 128 * MIB, (128 * MIB // 8000, 1000)),
        ((10, 512, 512), 8, 4 * MIB, (2, 512, 512)),
        ((10, 512, 512), 8, MIB, (1, 256, 512)),
        ((3, 10**9), 8, MIB, (1, MIB // 8)),
        ((0,), 8, MIB, (1,)),
        ((5, 0), 8, MIB, (5, 1)),
        ((4,), 3 * MIB, MIB, (1,)),
    ],
)
def test_chunks_are_contiguous_and_end_with_blocks_where_rows_allow_it(shape, itemsize, most, chunks):
    assert default_chunks(shape, itemsize, most) == chunks


def test_the_size_of_chunks_is_as_dask_is_configured(database):
    oid = store(database, VALUES)
    assert graph_of(database, oid).numblocks == (1, 1)
    with dask.config.set({"array.chunk-size": "2 MiB"}):
        array = graph_of(database, oid)
    assert array.chunks == ((BLOCK_SIZE // 32,) * 3, (4,))


@pytest.mark.parametrize("shape", [(0,), (0, 3), (5, 0)])
def test_an_array_without_elements_has_a_graph_too(database, shape):
    array = graph_of(database, store(database, numpy.zeros(shape)))
    assert array.shape == shape
    assert array.sum().compute(scheduler="synchronous") == 0


# xarray


def test_xarray_has_the_names_that_are_given(database, reads):
    oid = store(database, VALUES[:6])
    with separate_connection(database) as connection:
        array = connection.get(oid)
        made = to_xarray(array, dims=("time", "sensor"), coords={"sensor": list("abcd")}, name="heat", attrs={"a": 1})
        state = Snapshot.of(connection).text
    assert isinstance(made, xarray.DataArray)
    assert (made.name, made.dims, made.attrs) == ("heat", ("time", "sensor"), {"a": 1, "snapshot": state})
    assert reads == []
    assert float(made.sel(sensor="c").mean()) == VALUES[:6, 2].mean()


def test_xarray_gets_a_variable_for_each_column(database, reads):
    oid = store(database, RECORDS)
    with separate_connection(database) as connection:
        made = to_xarray(connection.get(oid), dims=["time"])
    assert isinstance(made, xarray.Dataset)
    assert {name: variable.dims for name, variable in made.items()} == {"n": ("time",), "xy": ("time", "xy_0")}
    assert made["n"][3:6].values.tolist() == [3, 4, 5]


def test_axes_have_xarrays_names_unless_they_are_given_each_its_own(database):
    oid = store(database, VALUES[:6])
    with separate_connection(database) as connection:
        array = connection.get(oid)
        assert to_xarray(array).dims == ("dim_0", "dim_1")
        with pytest.raises(errors.BadInput, match=r"^1 names were given for the 2 axes of the array: \['time'\].$"):
            to_xarray(array, dims=["time"])


def test_the_module_is_loaded_without_dask():
    code = "import sys; import Products.ERP5Wendelin.blockwise.dask_array; print('dask' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, check=True, timeout=DEADLINE
    )
    assert done.stdout == "False\n"
    assert dask_array.__doc__
