"""The lists that `tools/bt5` writes."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from lxml import etree

from Products.ERP5Wendelin.portal.business_template.lists import main, written
from support.exports import export, write_template

ROOT = Path(__file__).parents[3]
SUPPLY = "PathTemplateItem/data_supply_module/default"
FILES = {
    "bt/version": "1.0",
    "bt/description": "Bits & pieces <of it>",
    "bt/license": "GPL",
    "bt/dependency_list": "b (>= 1.0)\nc",
    "bt/provision_list": "d",
    "bt/copyright_list": "Ada",
    "bt/template_role_list": "Stale",
    "bt/template_skin_id_list": "stale",
    f"{SUPPLY}.xml": export("Data Supply", {"id": "default"}),
    f"{SUPPLY}/1.xml": export("Data Supply Line", {"id": "1"}),
    "RoleTemplateItem/role_list.xml": "<role_list><role>Brewer</role><role>Baker</role></role_list>",
}


@pytest.fixture
def bt5(tmp_path, monkeypatch):
    """A folder with one template, seen from the folder that it is in."""
    monkeypatch.chdir(tmp_path)
    write_template(tmp_path / "bt5" / "a", FILES)
    return tmp_path / "bt5"


def test_lists_of_our_templates_are_those_that_would_be_written():
    found = subprocess.run(["sh", "tools/bt5", "--check"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (found.returncode, found.stdout, found.stderr) == (0, "", ""), "run tools/bt5"


def test_lists_name_the_items_and_the_templates(bt5):
    lists = {path.relative_to(bt5).as_posix(): text for path, text in written(bt5).items()}
    described = lists.pop("bt5list")
    assert lists == {
        "a/bt/template_path_list": "data_supply_module/default\ndata_supply_module/default/**\n",
        "a/bt/template_role_list": "Baker\nBrewer\n",
    }
    (template,) = etree.fromstring(described.encode())
    assert template.get("id") == "a"
    assert [(element.tag, element.text) for element in template] == [
        ("copyright", "Ada"),
        ("dependency", "b (>= 1.0)"),
        ("dependency", "c"),
        ("description", "Bits & pieces <of it>"),
        ("license", "GPL"),
        ("provision", "d"),
        ("title", "a"),
        ("version", "1.0"),
    ]


def test_check_names_what_would_change_and_changes_nothing(bt5, capsys):
    assert main(["--check"]) == 1
    assert capsys.readouterr().out.split() == [
        "bt5/a/bt/template_path_list",
        "bt5/a/bt/template_role_list",
        "bt5/a/bt/template_skin_id_list",
        "bt5/bt5list",
    ]
    assert (bt5 / "a/bt/template_role_list").read_text() == "Stale"


def test_lists_are_written_once_and_stale_ones_go(bt5, capsys):
    assert main([]) == 0
    assert not (bt5 / "a/bt/template_skin_id_list").exists()
    assert (bt5 / "a/bt/template_role_list").read_text() == "Baker\nBrewer\n"
    capsys.readouterr()
    assert main(["--check"]) == 0
    assert capsys.readouterr().out == ""


def test_template_that_cannot_be_read_is_named(bt5, capsys):
    (bt5 / "a/RoleTemplateItem/role_list.xml").write_text("<roles/>")
    assert main([]) == 1
    assert capsys.readouterr().err == "a/RoleTemplateItem/role_list.xml, line 1, <roles>: Expected <role_list>.\n"
