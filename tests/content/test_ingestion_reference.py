from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from Products.ERP5Wendelin.content.ingestion_reference import (
    check_new_reference,
    parse,
    parse_ingestion_reference,
    reference_of,
)
from Products.ERP5Wendelin.errors import BadInput, BadPath


@pytest.mark.parametrize(
    ("text", "path", "ingestion_reference"),
    [
        ("lab/brain/a/txt/END//", "a.txt", "brain/a/txt"),
        ("lab/brain/a/none///", "a", "brain/a/none"),
        ("lab/brain/scans/2026/1/nii/001//", "scans/2026/1.nii", "brain/scans/2026/1/nii"),
        ("lab/brain/a.tar/gz/EOF//", "a.tar.gz", "brain/a.tar/gz"),
        ("lab/brain/a/tar.gz/EOF//", "a.tar.gz", "brain/a/tar.gz"),
        ("lab/brain/two words é/txt/END/12/abc", "two words é.txt", "brain/two words é/txt"),
        ("/brain/.profile/none/END//", ".profile", "brain/.profile/none"),
    ],
)
def test_reference_stands_for_a_path(text, path, ingestion_reference):
    reference = parse(text)
    assert (reference.path, reference.ingestion_reference) == (path, ingestion_reference)
    assert parse_ingestion_reference(ingestion_reference) == ("brain", path)


@pytest.mark.parametrize(
    ("eof", "is_whole", "is_last"),
    [("", True, False), ("END", True, False), ("EOF", False, True), ("002", False, False)],
)
def test_eof_says_what_of_the_file_it_is(eof, is_whole, is_last):
    reference = parse(f"lab/brain/a/txt/{eof}//")
    assert (reference.is_whole, reference.is_last) == (is_whole, is_last)


def test_pieces_have_numbers_and_sizes():
    reference = parse("lab/brain/a/txt/1000/12/")
    assert (reference.number, reference.full_size) == (1000, 12)
    assert parse("lab/brain/a/txt/001//").full_size is None


@pytest.mark.parametrize("character", ["&", ";", "#", "%", '"', "+"])
def test_forbidden_character_is_refused_with_the_character(character):
    text = f"lab/brain/a{character}b/txt/END//"
    message = f'has the character {character!r}. Forbidden in references are & ; # % " +.'
    with pytest.raises(BadInput) as caught:
        parse(text)
    assert str(caught.value) == f"The reference {text!r} {message}"
    with pytest.raises(BadInput, match="has the character"):
        check_new_reference(f"brain/a{character}b/txt")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (
            "lab/brain/a/txt/END/",
            "The reference 'lab/brain/a/txt/END/' has 6 parts, and must have at least 7: "
            "supplier/data_set/name/extension/eof/size/hash.",
        ),
        (
            "lab/brain/a/txt/000//",
            "The reference 'lab/brain/a/txt/000//' has '000' where a whole file has nothing or END, and a piece its "
            "number, from 001, or EOF.",
        ),
        (
            "lab/brain/a/txt/END/1.5/",
            "The reference 'lab/brain/a/txt/END/1.5/' has the size '1.5': it must be a number of bytes or empty.",
        ),
        ("lab//a/txt/END//", "The reference '' is empty."),
    ],
)
def test_malformed_reference_is_refused_with_the_reason(text, problem):
    with pytest.raises(BadInput) as caught:
        parse(text)
    assert str(caught.value) == problem


@pytest.mark.parametrize("name", ["../a", "a//b", "/a", "./a", "a\\b", "e\u0301"])
def test_path_that_no_data_set_may_hold_is_refused(name):
    with pytest.raises(BadPath, match="^The path "):
        parse(f"lab/brain/{name}/txt/END//")


def test_ingestion_reference_has_three_parts():
    with pytest.raises(BadInput, match=r"^The reference 'brain/a' must be of the form data_set/name/extension\.$"):
        parse_ingestion_reference("brain/a")


@pytest.mark.parametrize(
    ("path", "reference"),
    [
        ("a/b.tar.gz", "x/a/b.tar/gz"),
        ("a.b/c", "x/a.b/c/none"),
        (".hidden", "x/.hidden/none"),
        ("a.none", "x/a.none/none"),
        ("a.", "x/a./none"),
    ],
)
def test_path_has_a_reference(path, reference):
    assert reference_of("x", path) == reference
    assert parse_ingestion_reference(reference) == ("x", path)


@given(
    st.lists(st.text("ab.é ", min_size=1, max_size=5).filter(lambda s: s not in (".", "..")), min_size=1, max_size=3)
)
def test_reference_of_any_path_stands_for_it_again(segments):
    path = "/".join(segments)
    assert parse_ingestion_reference(reference_of("x", path)) == ("x", path)
