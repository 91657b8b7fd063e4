"""What the files in `bt/` say, and which templates need which."""

from __future__ import annotations

from dataclasses import fields

import pytest
from hypothesis import given
from hypothesis import strategies as st

from Products.ERP5Wendelin.portal.business_template.files import Files
from Products.ERP5Wendelin.portal.business_template.metadata import (
    DEPENDENCIES,
    LISTS,
    TEXTS,
    check_dependencies,
    read_metadata,
    version_key,
)
from Products.ERP5Wendelin.portal.business_template.template import Dependency, Metadata, Template, TemplateError
from support.exports import write_template


def read(tmp_path, **properties):
    files = {f"bt/{name}": text for name, text in properties.items()}
    return read_metadata(Files(write_template(tmp_path / "t", files)), ["template_path_list"])


def test_properties_are_read_from_their_files(tmp_path):
    assert read(
        tmp_path,
        version="1.2\n",
        description="Two\nlines.\n",
        license="GPL",
        copyright_list="Ada\nEve",
        dependency_list="erp5_base\nerp5_wendelin (>= 1.0)\n\n",
        provision_list="a_lake\n",
        template_path_list="b\na\nb\n",
        template_keep_path_list="ignored\n",
        template_format_version="3",
    ) == Metadata(
        "t",
        "1.2",
        "Two\nlines.",
        "GPL",
        copyright_list=("Ada", "Eve"),
        dependency_list=(Dependency("erp5_base"), Dependency("erp5_wendelin", ">=", "1.0")),
        provision_list=("a_lake",),
        template_format_version="3",
        item_lists={"template_path_list": ("b", "a")},
    )


def test_every_property_of_a_template_is_read_from_a_file():
    assert {field.name for field in fields(Metadata)} == {*TEXTS, *LISTS, *DEPENDENCIES, "item_lists"}


@pytest.mark.parametrize(
    ("properties", "message"),
    [
        ({"title": " \n"}, "t/bt/title: A template needs a title."),
        (
            {"template_test_id_list": "x"},
            "t/bt/template_test_id_list: Templates have no such property, or this lake does not support the objects it "
            "lists.",
        ),
        (
            {"template_format_version": "2"},
            "t/bt/template_format_version: Format '2' is not supported; there are: 1, 3.",
        ),
        (
            {"dependency_list": "erp5_base >= 1"},
            "t/bt/dependency_list: 'erp5_base >= 1' is not a dependency; write them as `name` or `name (>= 1.0)`.",
        ),
    ],
)
def test_what_is_no_property_is_refused(tmp_path, properties, message):
    with pytest.raises(TemplateError) as caught:
        read(tmp_path, **properties)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("dependency", "met"),
    [
        ("a", True),
        ("b", False),
        ("provided", True),
        ("a (>= 1.10)", True),
        ("a (>= 1.11)", False),
        ("a (> 1.9)", True),
        ("a (= 1.10)", True),
        ("a (< 1.10)", False),
        ("a (<= 1.10)", True),
        ("a (<< 2)", True),
        ("a (>> 1.10)", False),
    ],
)
def test_dependency_is_met_by_name_version_or_provision(tmp_path, dependency, met):
    template = Template("t", read(tmp_path, dependency_list=dependency), ())
    available = [Metadata("a", "1.10"), Metadata("c", provision_list=("provided",))]
    if met:
        check_dependencies(template, available)
    else:
        with pytest.raises(TemplateError) as caught:
            check_dependencies(template, available)
        needed = template.metadata.dependency_list[0]
        what = "and here is 1.10" if needed.name == "a" else "which is not there"
        assert str(caught.value) == f"t/bt/dependency_list: It needs {needed}, {what}. Install that first."
        assert str(needed) == dependency


VERSIONS = ["", "1.0rc1", "0.1", "0.9", "0.10", "1.0", "1.0.1", "5.4.5", "5.4.5-a"]


@given(st.permutations(VERSIONS))
def test_versions_are_compared_by_their_numbers(versions):
    assert sorted(versions, key=version_key) == sorted(VERSIONS, key=version_key)
    numbers = [version for version in sorted(versions, key=version_key) if version.replace(".", "").isdigit()]
    assert numbers == ["0.1", "0.9", "0.10", "1.0", "1.0.1", "5.4.5"]
