"""`wendelin array`, as an operator meets it; an import that is killed, and is run again."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import numpy
import pytest
import zarr

from Products.ERP5Wendelin.compute.imports.perform import choose, import_array
from Products.ERP5Wendelin.errors import NotFound
from Products.ERP5Wendelin.portal import command_array
from Products.ERP5Wendelin.portal.command import main
from Products.ERP5Wendelin.protocol import MIB
from support.array_files import npy, pushed
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


def test_an_import_that_was_killed_goes_on_where_it_was(prepared: Prepared) -> None:
    assert prepared.imported.stdout.splitlines() == [
        "Going on behind the first 16.0 MiB of 48.0 MiB.",
        "Imported big/table.npy: 3x2097152 <i8, 50331648 bytes",
    ]
    assert prepared.imported.stderr == ""


def test_arrays_are_listed_by_their_references(prepared: Prepared) -> None:
    assert [line.split("\t") for line in wendelin("array", "list", prepared.directory).stdout.splitlines()] == [
        ["big/table.npy", "validated", "3x2097152", "<i8", "50331648"],
        ["not yet", "draft", "-", "-", "0"],
        ["records", "draft", "7", "time:<M8[s],value:<f4", "84"],
    ]


def test_an_array_is_shown_with_what_it_was_made_from(site: Any) -> None:
    document = import_array(choose(pushed(site, {"table.npy": npy(numpy.zeros((3, 2)))}), "table.npy", version=1))
    document.edit(title="A table")
    lines = dict(
        line.split(": ", 1) for line in command_array.facts(command_array.array_of(site, "brain_mri/table.npy"))
    )
    assert lines.pop("modified").endswith("Z")
    assert len(lines.pop("from digest")) == len("sha-256:") + 64
    assert lines == {
        "reference": "brain_mri/table.npy",
        "title": "A table",
        "state": "validated",
        "shape": "3x2",
        "dtype": "<f8",
        "bytes": "48",
        "from data_set": "brain_mri",
        "from version": "1",
        "from path": "table.npy",
        "from format": "npy",
    }
    with pytest.raises(NotFound, match=r"^There is no Data Array 'none'\. `wendelin array list DIR` names them\.$"):
        command_array.array_of(site, "none")


def test_a_view_is_listed_and_shown_as_well(site: Any) -> None:
    view = site.data_array_module.newContent("Data Array View", reference="columns")
    assert [command_array.described(each) for each in command_array.arrays(site)] == ["columns\tdraft\t-\t-\t0"]
    assert "state: draft" in command_array.facts(view)


def test_an_array_is_exported_as_it_was_imported(prepared: Prepared, tmp_path: Path) -> None:
    options = ("--slice", "1:,::-1000", "--chunks", "1,500")
    done = wendelin("array", "export", prepared.directory, "big/table.npy", tmp_path / "table.zarr", *options)
    assert done.stdout == f"Wrote {tmp_path}/table.zarr: 2x2098 <i8, 33568 bytes\n"
    found = zarr.open(str(tmp_path / "table.zarr"), mode="r")
    assert found.chunks == (1, 500)
    assert numpy.array_equal(found[...], VALUES[1:, ::-1000])


def test_arguments_that_make_no_sense_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    for options, message in (
        (("--slice", "a"), "'a' is no part of a slice"),
        (("--chunks", "1,x"), "'1,x' are no lengths of chunks: write whole numbers with commas, as in 100,512,512."),
    ):
        assert main(["array", "export", "lake", "big/table.npy", "x.npy", *options]) == 1
        assert message in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["array", "import", "lake", "big", "table.npy", "--format", "tiff"])
    assert "invalid choice: 'tiff'" in capsys.readouterr().err
