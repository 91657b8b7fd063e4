from __future__ import annotations

import re

import pytest

from Products.ERP5Wendelin.content.path import check_path, check_reference
from Products.ERP5Wendelin.errors import BadInput, BadPath


@pytest.mark.parametrize(
    "path",
    [
        "a",
        "a/b/c.nii.gz",
        " leading and trailing ",
        "...",
        ".hidden/..x",
        "C:",
        "été/脳/🧠",
        "a\u200db",  # a joiner is no control character: Persian and emoji need it
        "x" * 255,
        "é" * 127,
        "/".join(["x" * 255] * 16),
    ],
)
def test_path_that_any_system_could_hold_is_returned(path):
    assert check_path(path) == path


@pytest.mark.parametrize(
    ("path", "problem"),
    [
        ("", "The path '' is empty."),
        (None, "The path None is not text."),
        (b"a", "The path b'a' is not text."),
        ("/etc/passwd", "The path '/etc/passwd' begins with '/'; paths are relative to the data set."),
        ("../x", "The path '../x' has the segment '..', which no file can be named."),
        ("a/../../x", "The path 'a/../../x' has the segment '..', which no file can be named."),
        ("a/./b", "The path 'a/./b' has the segment '.', which no file can be named."),
        ("a//b", "The path 'a//b' has the segment '', which no file can be named."),
        ("a/", "The path 'a/' has the segment '', which no file can be named."),
        ("a\\b", "The path 'a\\\\b' has a backslash; segments are separated by '/'."),
        ("a\0b", r"The path 'a\x00b' has a control character."),
        ("a\nb", r"The path 'a\nb' has a control character."),
        ("a\x85b", r"The path 'a\x85b' has a control character."),
        ("e\u0301", "The path 'e\u0301' is not in Unicode normal form C (NFC)."),
        ("\ud800", r"The path '\ud800' is not valid Unicode."),
        ("é" * 128, "has a segment longer than 255 bytes in UTF-8."),
        ("/".join(["x" * 255] * 16) + "/y", "is longer than 4096 bytes in UTF-8."),
    ],
)
def test_other_path_is_refused_with_the_reason(path, problem):
    with pytest.raises(BadPath, match=re.escape(problem) + "$"):
        check_path(path)


def test_long_name_is_cut_in_the_message():
    with pytest.raises(BadPath) as error:
        check_path("x" * 5000)
    assert len(str(error.value)) < 200


@pytest.mark.parametrize("reference", ["brain_mri", "a", "été 2026: 脳", "..x", "x" * 200])
def test_reference_is_returned(reference):
    assert check_reference(reference) == reference


@pytest.mark.parametrize(
    ("reference", "problem"),
    [
        ("", "The reference '' is empty."),
        (7, "The reference 7 is not text."),
        ("a/b", "The reference 'a/b' has a slash or a backslash."),
        ("a\\b", "The reference 'a\\\\b' has a slash or a backslash."),
        (".", "The reference '.' is a name that folders keep for themselves."),
        ("..", "The reference '..' is a name that folders keep for themselves."),
        ("a\tb", r"The reference 'a\tb' has a control character."),
        (" a", "The reference ' a' begins or ends with white space."),
        ("a ", "The reference 'a ' begins or ends with white space."),
        ("e\u0301", "The reference 'e\u0301' is not in Unicode normal form C (NFC)."),
        ("\ud800", r"The reference '\ud800' is not valid Unicode."),
        ("x" * 201, "is longer than 200 characters."),
    ],
)
def test_other_reference_is_refused_with_the_reason(reference, problem):
    with pytest.raises(BadInput, match=re.escape(problem) + "$"):
        check_reference(reference)
