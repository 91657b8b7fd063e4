"""`wendelin bt5` as an administrator uses it: real commands, on an instance that is being served."""

from __future__ import annotations

import http.client
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from Products.ERP5Wendelin.portal.business_template.apply import Result
from Products.ERP5Wendelin.portal.business_template.change import Action, Change, Key
from Products.ERP5Wendelin.portal.business_template.shipped import SHIPPED
from Products.ERP5Wendelin.portal.command_bt5 import result_lines, template_lines
from support.lake import ServedLake, served_lake, wendelin
from support.site import as_user

UI = "erp5_wendelin_data_lake_ui"
PAGE = f"portal_skins/{UI}/ERP5Site_viewFrontPage"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedLake]:
    with served_lake(tmp_path_factory.mktemp("lake")) as lake:
        yield lake


@pytest.fixture
def newer_ui(tmp_path: Path) -> Path:
    """The template of the front page in another version, with another page."""
    folder = tmp_path / UI
    shutil.copytree(SHIPPED / UI, folder)
    (folder / "bt" / "version").write_text("9.0")
    page = folder / "SkinTemplateItem" / f"{PAGE}.zpt"
    page.write_text(page.read_text().replace("This is a data lake.", "This is our data lake."))
    return folder


def bt5(served: ServedLake, verb: str, *arguments: str | Path, code: int = 0) -> list[str]:
    """Lines that a command prints, on stdout or, if it fails, on stderr."""
    done = wendelin("bt5", verb, served.directory, *arguments, code=code)
    return (done.stderr if code else done.stdout).splitlines()


def front_page(served: ServedLake) -> tuple[int, str]:
    """Status and text of the page at the site's address."""
    connection = http.client.HTTPConnection(served.address, timeout=60)
    connection.request("GET", "/erp5")
    answer = connection.getresponse()
    text = answer.read().decode()
    connection.close()
    return answer.status, text


def test_templates_come_go_and_change_while_the_lake_is_served(served: ServedLake, newer_ui: Path) -> None:
    """The life of a template, in as few commands as show it."""
    assert "This is a data lake." in front_page(served)[1]
    assert bt5(served, "remove", UI) == [
        f"{UI} 0.1.0: removed; 3 removed",
        f"  removed   portal_skins/{UI}/erp5_wendelin_data_lake.css (SkinTemplateItem)",
        f"  removed   {PAGE} (SkinTemplateItem)",
        f"  removed   portal_skins/{UI} (SkinTemplateItem)",
    ]
    assert front_page(served)[0] == 404

    assert bt5(served, "install", UI, "--dry-run")[:2] == [
        "Nothing was changed. This is what would be:",
        f"{UI} 0.1.0: installed; 3 made",
    ]
    assert f"{UI}\t-\t0.1.0 available" in bt5(served, "list")

    assert bt5(served, "install", newer_ui)[0] == f"{UI} 9.0: installed; 3 made"
    assert "This is our data lake." in front_page(served)[1]

    diff = bt5(served, "diff", UI)
    assert diff[:2] == [f"--- site/SkinTemplateItem/{PAGE}", f"+++ template/SkinTemplateItem/{PAGE}"]
    assert "-      <h1>This is our data lake.</h1>" in diff
    assert "+      <h1>This is a data lake.</h1>" in diff

    assert bt5(served, "upgrade", UI, "--downgrade") == [
        f"{UI} 0.1.0: replaces 9.0; 2 same, 1 updated",
        f"  updated   {PAGE} (SkinTemplateItem)",
    ]
    assert "This is a data lake." in front_page(served)[1]


def test_what_is_not_installed_is_an_error_in_one_line(served: ServedLake) -> None:
    (line,) = bt5(served, "remove", "erp5_base", code=1)
    assert line.startswith("wendelin: erp5_base is not installed. Installed are: ")


def test_conflicts_are_shown_with_what_differs() -> None:
    changes = (
        Change(Action.SAME, Key("K", "same"), 1, 1),
        Change(Action.KEPT, Key("K", "mine"), 2, 1),
        Change(Action.CONFLICT, Key("K", "both"), {"title": "mine"}, {"title": "theirs"}),
        Change(Action.CONFLICT, Key("K", "gone"), None, 1),
        Change(Action.LEFT, Key("K", "old"), 1, None, "it is in erp5_b, too"),
        Change(Action.LEFT, Key("K", "changed"), 1, None),
    )
    assert list(result_lines(Result("erp5_a", "1.0", "2.0", changes))) == [
        "erp5_a 2.0: replaces 1.0; 1 same, 1 kept, 2 in conflict, 2 left",
        "  kept      mine (K)",
        "  conflict  both (K)",
        "            --- site/both\n            +++ template/both\n            @@ -1 +1 @@\n"
        '            -title: "mine"\n            +title: "theirs"',
        "  conflict  gone (K)",
        "            --- /dev/null\n            +++ template/gone\n            @@ -0,0 +1 @@\n            +1",
        "  left      old (K): it is in erp5_b, too",
        "  left      changed (K)",
    ]


def test_list_counts_what_was_changed_and_tells_of_newer_versions(site: Any) -> None:
    with as_user(site, "boss"):
        site.portal_skins[UI].manage_delObjects(["ERP5Site_viewFrontPage"])
        site.portal_templates[UI].version = "0.0.9"
        assert f"{UI}\t0.0.9\t1 object changed, 0.1.0 available" in list(template_lines(site))
