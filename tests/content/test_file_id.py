from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from Products.ERP5Wendelin.content.file_id import format_id, parse_id


@given(
    st.sampled_from(["3d9e0bbd1abbfff5", "my-set", "a-1-b"]), st.integers(1, 10**9), st.text(min_size=1, max_size=30)
)
def test_id_is_read_as_it_was_made(data_set_id, version, path):
    id = format_id(data_set_id, version, path)
    assert parse_id(id) == (data_set_id, version, path)
    assert id.isascii()
    assert not set(id) & set("/+=%")


@pytest.mark.parametrize(
    "id", ["", "log", "a-b", "a-x-YQ", "a-1-Y", "a-1-!!", "a-1-YR", "a-1-gA", "a-01-YQ", "a-1-YQ=="]
)
def test_other_ids_are_those_of_no_file(id):
    assert parse_id(id) is None
