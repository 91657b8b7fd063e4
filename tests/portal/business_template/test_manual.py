"""docs/business_templates.rst shows a whole template, and the kinds of objects that there are."""

from __future__ import annotations

import re
from pathlib import Path

import docutils.core
import docutils.nodes
import pytest

from Products.ERP5Wendelin.portal.business_template.install import install
from Products.ERP5Wendelin.portal.business_template.kinds import KINDS
from Products.ERP5Wendelin.portal.business_template.shipped import DEFAULT_TEMPLATES, load
from support.site import as_user

MANUAL = (Path(__file__).parents[3] / "docs" / "business_templates.rst").read_text()


@pytest.fixture
def hospital_lake(tmp_path: Path) -> Path:
    """The template of the manual: each literal block behind a paragraph that names its file."""
    document = docutils.core.publish_doctree(MANUAL, settings_overrides={"report_level": 2})
    for block in document.findall(docutils.nodes.literal_block):
        before = block.parent[block.parent.index(block) - 1].astext()
        if re.fullmatch(r"hospital_lake/\S+:", before):
            file = tmp_path / before.removesuffix(":")
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(block.astext())
    return tmp_path / "hospital_lake"


def test_template_of_the_manual_can_be_installed_and_does_what_it_says(site, hospital_lake):
    with as_user(site, "system"):
        (result,) = install(site, [load(str(hospital_lake))])
    assert [change.key.path for change in result.changes] == [
        "portal_skins/hospital_lake",
        "portal_skins/hospital_lake/DataSet_getCaption",
        "portal_categories/use/clinical",
    ]
    data_set = site.data_set_module.newDataSet("brain", title="Brains")
    assert data_set.DataSet_getCaption() == "brain: Brains"
    assert site.portal_categories.use.clinical.getTitle() == "Clinical"


def test_manual_names_all_kinds_and_the_default_templates():
    assert re.findall(r"^(\w+TemplateItem) ", MANUAL, re.MULTILINE) == list(KINDS)
    assert re.findall(r"^``(erp5_\w+)`` ", MANUAL, re.MULTILINE) == list(DEFAULT_TEMPLATES)
