"""`wendelin array`, as an operator meets it; an import that is killed, and is run again."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import numpy
import pytest
import zarr

from Products.ERP5Wendelin.portal.command import main
from Products.ERP5Wendelin.protocol import MIB
from support.lake import START_TIMEOUT, wendelin

VALUES = numpy.arange(6 * 2**20).reshape(3, -1)  # 48 MiB: three slices

PREPARE = """
import sys, threading, numpy, transaction
from Products.ERP5Wendelin.compute.imports.perform import choose, import_array
from Products.ERP5Wendelin.content.site import enter_site
from Products.ERP5Wendelin.portal.instance import find, opened
from support.array_files import npy
from support import pushes

values = numpy.arange(6 * 2**20).reshape(3, -1)
with opened(find(sys.argv[1])) as app:
    site = enter_site(app)
    data_set = site.data_set_module.newDataSet("big")
    transaction.commit()
    ingestion = pushes.start(data_set)
    content = npy(values)
    pushes.plan(ingestion, {"table.npy": content})
    pushes.send_large(ingestion, "table.npy", content)
    pushes.stop(ingestion)
    document = site.data_array_module.newContent(portal_type="Data Array", reference="records", title="A few")
    document.initArray((7,), [("time", "M8[s]"), ("value", "f4")])
    site.data_array_module.newContent(portal_type="Data Array", reference="not yet")
    transaction.commit()

    def on_progress(done, total):
        print(done, flush=True)
        if done == 2**25:
            threading.Event().wait()

    import_array(choose(data_set, "table.npy"), on_progress=on_progress)
"""
"""Makes a data set, imports a file of it, and waits to be killed before the second slice is committed."""


class Prepared(NamedTuple):
    """An instance, and what an import has printed that had been killed before."""

    directory: Path
    imported: subprocess.CompletedProcess[str]


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    home = tmp_path_factory.mktemp("arrays")
    (home / "password").write_text("correct horse\n")
    wendelin("init", home / "lake", "--admin-password-file", home / "password")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", PREPARE, home / "lake"],
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
    ) as child:
        assert [int(child.stdout.readline()) for _ in range(3)] == [0, 16 * MIB, 32 * MIB]
        child.kill()
        child.wait(START_TIMEOUT)
    imported = wendelin("array", "import", home / "lake", "big", "table.npy", "--user", "admin")
    return Prepared(home / "lake", imported)


@pytest.fixture
def lake(prepared: Prepared) -> Path:
    """The instance, with the array that was imported, one of records, and one that was not initialised."""
    return prepared.directory


def test_an_import_that_was_killed_goes_on_where_it_was(prepared: Prepared) -> None:
    assert prepared.imported.stdout.splitlines() == [
        "Going on behind the first 16.0 MiB of 48.0 MiB.",
        "Imported big/table.npy: 3x2097152 <i8, 50331648 bytes",
    ]
    assert prepared.imported.stderr == ""


def test_arrays_are_listed_by_their_references(lake: Path) -> None:
    assert [line.split("\t") for line in wendelin("array", "list", lake).stdout.splitlines()] == [
        ["big/table.npy", "validated", "3x2097152", "<i8", "50331648"],
        ["not yet", "draft", "-", "-", "0"],
        ["records", "draft", "7", "time:<M8[s],value:<f4", "84"],
    ]


def test_an_array_is_shown_with_what_it_was_made_from(lake: Path) -> None:
    shown = dict(line.split(": ", 1) for line in wendelin("array", "show", lake, "big/table.npy").stdout.splitlines())
    assert shown.pop("modified").endswith("Z")
    assert len(shown.pop("from digest")) == len("sha-256:") + 64
    assert shown == {
        "reference": "big/table.npy",
        "state": "validated",
        "shape": "3x2097152",
        "dtype": "<i8",
        "bytes": "50331648",
        "from data_set": "big",
        "from version": "1",
        "from path": "table.npy",
        "from format": "npy",
    }


def test_an_array_is_exported_to_a_file_and_to_zarr(lake: Path, tmp_path: Path) -> None:
    done = wendelin("array", "export", lake, "big/table.npy", tmp_path / "table.npy")
    assert done.stdout == f"Wrote {tmp_path}/table.npy: 3x2097152 <i8, 50331648 bytes\n"
    assert numpy.array_equal(numpy.load(tmp_path / "table.npy", mmap_mode="r"), VALUES)
    options = ("--slice", "1:,::-1000", "--chunks", "1,500")
    wendelin("array", "export", lake, "big/table.npy", tmp_path / "table.zarr", *options)
    found = zarr.open(str(tmp_path / "table.zarr"), mode="r")
    assert found.chunks == (1, 500)
    assert numpy.array_equal(found[...], VALUES[1:, ::-1000])


def test_what_is_not_there_is_named(lake: Path) -> None:
    done = wendelin("array", "show", lake, "none", code=1)
    assert done.stderr == "wendelin: There is no Data Array 'none'. `wendelin array list DIR` names them.\n"


def test_arguments_that_make_no_sense_are_told(lake: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for options, message in (
        (("--slice", "a"), "'a' is no part of a slice"),
        (("--chunks", "1,x"), "'1,x' are no lengths of chunks: write whole numbers with commas, as in 100,512,512."),
    ):
        assert main(["array", "export", str(lake), "big/table.npy", "x.npy", *options]) == 1
        assert message in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["array", "import", str(lake), "big", "table.npy", "--format", "tiff"])
    assert "invalid choice: 'tiff'" in capsys.readouterr().err
