"""docs/erp5.rst is true: its examples run at the prompt, and its tables say what is there and what is not."""

from __future__ import annotations

import doctest
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import docutils.core
import docutils.nodes
import pytest
from DateTime import DateTime

from Products.ERP5Wendelin.errors import BadInput
from Products.ERP5Wendelin.portal.command_shell import Shell
from support.site import Lake

MANUAL = Path(__file__).parents[2] / "docs" / "erp5.rst"
NAME = re.compile(r"([A-Za-z][\w.]*)(\(.*\))?")
"""What a name in a table is, if it is one of a method or of a tool."""


@pytest.fixture
def shell(lake: Lake) -> Iterator[Shell]:
    """A shell on a fresh site."""
    with lake.open("system") as site:
        yield Shell(site.aq_parent, False)


def test_the_examples_are_what_the_prompt_shows(shell: Shell) -> None:
    failed, tried = doctest.testfile(
        str(MANUAL), module_relative=False, globs=shell.names, optionflags=doctest.ELLIPSIS, encoding="utf-8"
    )
    assert tried > 40
    assert failed == 0


def line(portal: Any) -> Any:
    return portal.data_ingestion_module.newContent(reference="x").newContent(reference="out_stream")


def policy(portal: Any) -> Any:
    return portal.portal_ingestion_policies.default


def array_view_line(portal: Any) -> Any:
    return portal.data_array_module.newContent("Data Array View").newContent()


SUBJECTS: dict[str, Callable[[Any], Any]] = {
    "portal": lambda portal: portal,
    "all documents": lambda portal: portal.data_product_module.default,
    "data_set_module and the others": lambda portal: portal.data_supply_module,
    "a base category, here aggregate": line,
    "portal_catalog": lambda portal: portal.portal_catalog,
    "documents with a validation_state": lambda portal: portal.data_product_module.default,
    "documents with a simulation_state": lambda portal: portal.data_ingestion_module.newContent(reference="x"),
    "Data Stream": lambda portal: portal.data_stream_module.newContent("Data Stream"),
    "Data Bucket Stream": lambda portal: portal.data_stream_module.newContent("Data Bucket Stream"),
    "Data Array": lambda portal: portal.data_array_module.newContent("Data Array"),
    "Data Array Line and Data Array View Line": array_view_line,
    "Progress Indicator": lambda portal: portal.progress_indicator_module.newContent("Progress Indicator"),
    "Data Set": lambda portal: portal.data_set_module.newDataSet("x"),
    "Data Ingestion Line and Data Supply Line": line,
    "scripts": lambda portal: portal,
    "scripts of the original ebulk's addresses": lambda portal: portal,
    "portal_ingestion_policies and Ingestion Policy": policy,
    "Data Analysis": lambda portal: portal.data_analysis_module.newContent("Data Analysis"),
    "portal_alarms": lambda portal: portal.portal_alarms.wendelin_compute_md5,
    "portal_templates": lambda portal: portal.portal_templates,
}
"""How the title of a table begins -> what its methods are those of."""


def rows() -> Iterator[tuple[str, str, str]]:
    """(title of the table, name, 'same', 'different' or 'absent') for each name of the tables."""
    source = MANUAL.read_text(encoding="utf-8")
    document = docutils.core.publish_doctree(source, str(MANUAL), settings_overrides={"report_level": 2})
    for table in document.findall(docutils.nodes.table):
        title = next(iter(table.findall(docutils.nodes.title))).astext()
        for row in table.findall(docutils.nodes.row):
            names, how, *_ = row.children
            for name in names.findall(docutils.nodes.literal):
                yield title, name.astext(), how.astext()


ROWS = list(rows())


def test_every_table_and_every_row_says_what_it_is_about() -> None:
    assert [name for _, name, how in ROWS if how not in ("same", "different", "absent")] == []
    titles = {title for title, _, _ in ROWS}
    assert len(titles) == len(SUBJECTS)
    assert all(any(title.startswith(subject) for subject in SUBJECTS) for title in titles)


def subject_of(title: str) -> str:
    return max((subject for subject in SUBJECTS if title.startswith(subject)), key=len)


def test_what_a_table_calls_same_or_different_is_there_and_what_is_absent_is_not(shell: Shell) -> None:
    subjects = {subject: make(shell.site) for subject, make in SUBJECTS.items()}
    methods = [(subjects[subject_of(title)], NAME.fullmatch(name), how, name) for title, name, how in ROWS]
    there = [(how, name, has(subject, found[1])) for subject, found, how, name in methods if found]
    assert len(there) > 150
    assert [name for how, name, is_there in there if is_there == (how == "absent")] == []


def test_the_catalogue_takes_the_keywords_that_are_there_and_refuses_those_that_are_absent(shell: Shell) -> None:
    keywords = [(name.removesuffix("="), how) for _, name, how in ROWS if re.fullmatch(r"\w+=", name)]
    taken = {name: how != "absent" for name, how in keywords}
    assert {"portal_type", "limit", "group_by"} <= set(taken)
    assert {name: takes(shell.site.portal_catalog, name) for name in taken} == taken


def takes(catalogue: Any, name: str) -> bool:
    """Whether it takes a keyword, with a value of its kind."""
    value = DateTime() if name.endswith("_date") else 1 if name == "limit" else "title"
    try:
        catalogue(**{name: value})
    except BadInput as error:
        return f"no index {name!r}" not in str(error)
    return True


def has(subject: Any, path: str) -> bool:
    """Whether there is an attribute of that path, acquired or not."""
    for name in path.split("."):
        subject = getattr(subject, name, None)
    return subject is not None
