"""docs/scripts.rst is true: its examples run at the prompt."""

from __future__ import annotations

import doctest
import textwrap
from pathlib import Path

import msgpack
import numpy
import transaction

from Products.ERP5Wendelin.compute.batch import Batch
from Products.ERP5Wendelin.portal.command_shell import Shell

MANUAL = Path(__file__).parents[2] / "docs" / "scripts.rst"


def test_the_examples_are_what_the_prompt_shows(lake):
    with lake.open("system") as site:
        names = {**Shell(site.aq_parent, False).names, "msgpack": msgpack, "numpy": numpy}
        options = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
        failed, tried = doctest.testfile(
            str(MANUAL), module_relative=False, globs=names, optionflags=options, encoding="utf-8"
        )
    assert tried > 20
    assert failed == 0


def test_the_script_that_runs_for_long_does_what_it_says(lake, capsys):
    text = MANUAL.read_text(encoding="utf-8")
    _, _, rest = text.partition("second array of a first one, and counts::\n\n")
    script = textwrap.dedent(rest.partition("\n\nHowever it ends")[0])
    with lake.open("system") as site:
        source = site.data_array_module.newDataArray("readings")
        source.initArray((1000,), "i8")[:] = numpy.arange(1000)
        transaction.commit()
        batch = Batch(site, "rescale.py")
        exec(script, {**Shell(site.aq_parent, False).names, "batch": batch})
        batch.finish()
        scaled = site.data_array_module.getDataArray("readings.scaled")
        assert scaled.getArraySlice(0, 1000).tolist() == (numpy.arange(1000) / 1000).astype("f4").tolist()
    assert capsys.readouterr().out == "1000 rows\n"
