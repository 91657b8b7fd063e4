"""docs/arrays.rst is true: its examples run at the prompt."""

from __future__ import annotations

import doctest
from pathlib import Path

from Products.ERP5Wendelin.portal.session import Session

MANUAL = Path(__file__).parents[2] / "docs" / "arrays.rst"


def test_the_examples_are_what_the_prompt_shows(lake):
    with lake.open("system") as site:
        options = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
        failed, tried = doctest.testfile(
            str(MANUAL),
            module_relative=False,
            globs=Session(site.aq_parent, False).names,
            optionflags=options,
            encoding="utf-8",
        )
    assert tried > 20
    assert failed == 0
