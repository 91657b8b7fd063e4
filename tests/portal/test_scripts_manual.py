"""docs/scripts.rst is true: its examples run at the prompt."""

from __future__ import annotations

import doctest
from pathlib import Path

import msgpack
import numpy

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
