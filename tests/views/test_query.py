"""The query of a URL: parameters by type."""

from __future__ import annotations

import pytest

from Products.ERP5Wendelin.errors import BadInput
from Products.ERP5Wendelin.views.query import Query


def test_parameters_are_decoded_and_absent_ones_have_their_default():
    query = Query("search=na%C3%AFve+scan&limit=10")
    assert query.text("search") == "naïve scan"
    assert query.integer("limit", 100, 1000) == 10
    assert query.text("state") == ""
    assert query.integer("version", 7) == 7


def test_unescaped_utf_8_is_taken_as_well():
    assert Query("prefix=é".encode().decode("latin-1")).text("prefix") == "é"


@pytest.mark.parametrize("text", ["0", "-1", "1.5", "ten", "1001", "9" * 5000, "\uff11"])
def test_number_out_of_its_range_is_refused(text):
    with pytest.raises(BadInput, match=r"^limit must be a whole number from 1 to 1000.$"):
        Query(f"limit={text}".encode().decode("latin-1")).integer("limit", 100, 1000)


def test_parameter_given_twice_is_refused():
    with pytest.raises(BadInput, match=r"^The query of the URL has 'version' more than once.$"):
        Query("version=1&version=2")


@pytest.mark.parametrize("query_string", ["prefix=%ff", "prefix=\xff", "&".join(f"p{i}=" for i in range(101))])
def test_query_that_is_not_utf_8_or_endless_is_refused(query_string):
    with pytest.raises(
        BadInput, match=r"^The query of the URL cannot be read: it must be UTF-8, percent-encoded, at most 100"
    ):
        Query(query_string)
