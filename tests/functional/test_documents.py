"""Everything written in reStructuredText parses without a warning, and what it links to is there."""

from __future__ import annotations

import re
from pathlib import Path

import docutils.core
import docutils.nodes
import pytest

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted(
    path.relative_to(ROOT)
    for pattern in ("*.rst", "*/*.rst")
    for path in ROOT.glob(pattern)
    if not path.relative_to(ROOT).parts[0].startswith(".")
)


def test_the_documents_are_found() -> None:
    assert {"README.rst", "CONTRIBUTING.rst", "ebulk/README.rst", "docs/protocol.rst", "news/README.rst"} <= set(
        map(str, DOCUMENTS)
    )


@pytest.mark.parametrize("name", DOCUMENTS, ids=str)
def test_document_parses_without_a_warning_and_links_to_files_that_exist(name: Path) -> None:
    path = ROOT / name
    # Anything from level 2 (warning) up is raised.
    document = docutils.core.publish_doctree(
        path.read_text(encoding="utf-8"), str(path), settings_overrides={"halt_level": 2, "report_level": 2}
    )
    for link in document.findall(docutils.nodes.reference):
        target = link.get("refuri", "")
        if target and not re.match(r"[a-z]+:", target):
            assert (path.parent / target).exists(), f"{name} links to {target}"


def test_each_manual_is_reached_by_links_from_the_readme() -> None:
    reached, found = set(), [ROOT / "README.rst"]
    while found:
        path = found.pop()
        if path not in reached:
            reached.add(path)
            targets = re.findall(r"<([\w./]+\.rst)>`_", path.read_text(encoding="utf-8"))
            found += [(path.parent / target).resolve() for target in targets]
    assert {ROOT / name for name in DOCUMENTS if name.parts[0] == "docs"} <= reached
