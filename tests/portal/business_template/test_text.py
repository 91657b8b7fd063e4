"""Objects as text, and differences of them."""

from __future__ import annotations

import hashlib

import pytest

from Products.ERP5Wendelin.portal.business_template.text import difference, text_of

SCRIPT = {
    "source": 'if x:\n\n    return "é"\n',
    "class": "PythonScript",
    "title": None,
    "parameters": ["x", 1],
    "roles": (),
    "states": {"draft": {"View": ("Owner",)}, 2: True},
    "files": [b"a\nb", b"\xff\x00"],
}

TEXT = f"""\
class: "PythonScript"
roles: []
title: null
files:
  - |-
    a
    b
  - 2 bytes, sha-256 {hashlib.sha256(bytes((255, 0))).hexdigest()}
parameters:
  - "x"
  - 1
source: |
  if x:

      return "é"
states:
  2: true
  draft:
    View:
      - "Owner"
"""


def test_object_as_text_has_its_plain_properties_first_and_texts_as_they_are():
    assert text_of(SCRIPT) == TEXT


@pytest.mark.parametrize(
    ("data", "text"), [(None, ""), (True, "true\n"), ("a", '"a"\n'), ("a\nb\n", "a\nb\n"), ({}, "{}\n"), (0.5, "0.5\n")]
)
def test_data_of_other_shapes_has_a_text_too(data, text):
    assert text_of(data) == text


def test_difference_is_a_unified_diff_from_the_site_to_the_template():
    site = {"source": "one\ntwo\nthree\n", "title": "T"}
    assert difference("portal_skins/x/a", site, {**site, "source": "one\n2\nthree\n"}) == (
        "--- site/portal_skins/x/a\n"
        "+++ template/portal_skins/x/a\n"
        "@@ -1,5 +1,5 @@\n"
        ' title: "T"\n'
        " source: |\n"
        "   one\n"
        "-  two\n"
        "+  2\n"
        "   three\n"
    )


def test_difference_from_or_to_nothing_names_no_file_there():
    assert difference("a", None, {"x": 1}) == "--- /dev/null\n+++ template/a\n@@ -0,0 +1 @@\n+x: 1\n"
    assert difference("a", {"x": 1}, None) == "--- site/a\n+++ /dev/null\n@@ -1 +0,0 @@\n-x: 1\n"
    assert difference("a", {"x": 1}, {"x": 1}) == ""
