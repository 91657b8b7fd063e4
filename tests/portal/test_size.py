"""Sizes as options have them."""

from __future__ import annotations

import argparse

import pytest

from Products.ERP5Wendelin.portal.size import size
from Products.ERP5Wendelin.protocol import KIB, MIB

SIZES = {
    "1": 1,
    "1000": 1000,
    " 3 ": 3,
    "7B": 7,
    "3KiB": 3 * KIB,
    "3 kb": 3 * KIB,
    "10k": 10 * KIB,
    "64M": 64 * MIB,
    "2GiB": 2048 * MIB,
    "1tb": 2**40,
}


@pytest.mark.parametrize("text", SIZES)
def test_sizes_have_units_of_1024(text: str) -> None:
    assert size(text) == SIZES[text]


@pytest.mark.parametrize("text", ["", "0", "-1", "1.5G", "1X", "G", "1  G", "٣"])
def test_what_is_no_size_is_wrong_usage(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError) as caught:
        size(text)
    assert str(caught.value) == f"{text!r} is no size, such as 512M or 2GiB"
