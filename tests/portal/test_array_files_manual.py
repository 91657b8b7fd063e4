"""docs/array_files.rst is true: its examples run at the prompt."""

from __future__ import annotations

import doctest
import gzip
from pathlib import Path

import nibabel
import numpy

from Products.ERP5Wendelin.portal.session import Session
from support.array_files import pushed

MANUAL = Path(__file__).parents[2] / "docs" / "array_files.rst"


def image() -> bytes:
    """A small scan, compressed, whose values are scaled."""
    scan = nibabel.Nifti1Image(numpy.arange(6_000, dtype="i2").reshape(20, 30, 10), numpy.diag([2, 2, 2.5, 1]))
    scan.header.set_slope_inter(0.5, 1)
    scan.header.set_xyzt_units("mm")
    return gzip.compress(scan.to_bytes())


def test_the_examples_are_what_the_prompt_shows(lake):
    with lake.open("system") as site:
        pushed(site, {"scans/ada.nii.gz": image()})
        names = {**Session(site.aq_parent, False).names, "numpy": numpy}
        options = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
        failed, tried = doctest.testfile(
            str(MANUAL), module_relative=False, globs=names, optionflags=options, encoding="utf-8"
        )
    assert tried > 8
    assert failed == 0
