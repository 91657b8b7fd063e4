"""Installing, upgrading and removing, with templates of notes (see support.notes)."""

from __future__ import annotations

import re
from functools import partial

import pytest
import transaction
from transaction.interfaces import DoomedTransaction

from Products.ERP5Wendelin.errors import Conflict, NotFound
from Products.ERP5Wendelin.portal.business_template import install as installer
from Products.ERP5Wendelin.portal.business_template.template import Dependency, TemplateError
from Products.ERP5Wendelin.portal.business_template.tool import installed_templates
from support.notes import NOTES, notes, template

install, upgrade, remove, changed_objects, differences = (
    partial(getattr(installer, name), kinds=NOTES)
    for name in ("install", "upgrade", "remove", "changed_objects", "differences")
)

A1 = template("a", "1.0", same="s", box="b", box__in="i", updated="old", gone="g")
A2 = template("a", "2.0", same="s", box="b", box__in="i", updated="new", added="n")


@pytest.fixture
def site(lake):
    with lake.open("system") as site:
        yield site


def told(results):
    """What was done, as {template: {action: [path]}}."""
    done = {}
    for result in results:
        for change in result.changes:
            done.setdefault(result.name, {}).setdefault(change.action.value, []).append(change.key.path)
    return done


def installed(site):
    """Which notes each template is known to have brought, or only to have."""
    return {
        name: {key.path: item.brought for key, item in document.installed_items().items()}
        for name, document in installed_templates(site).items()
        if any(key.kind == "NoteTemplateItem" for key in document.installed_items())
    }


def test_installation_makes_what_is_not_there_and_adopts_what_is(site):
    notes(site).update(same="s")
    results = install(site, [A1])
    assert told(results) == {"a": {"adopted": ["same"], "made": ["box", "box/in", "updated", "gone"]}}
    assert [(result.before, result.after) for result in results] == [(None, "1.0")]
    assert dict(notes(site)) == {"same": "s", "box": "b", "box/in": "i", "updated": "old", "gone": "g"}
    assert installed(site) == {"a": {"same": False, "box": True, "box/in": True, "updated": True, "gone": True}}


def test_installing_again_writes_nothing(lake):
    with lake.open("system") as site:
        install(site, [A1])
        transaction.commit()
    with lake.open("system") as site:
        notes(site)["same"] = "mine"
        transaction.commit()
        before = lake.db.lastTransaction()
        assert told(install(site, [A1])) == {"a": {"kept": ["same"], "same": ["box", "box/in", "updated", "gone"]}}
        transaction.commit()
        assert lake.db.lastTransaction() == before


def test_installing_another_version_is_refused(site):
    install(site, [A1])
    for other, version in ((A2, "2.0"), (template("a", "1.0", same="other"), "1.0")):
        with pytest.raises(Conflict) as caught:
            install(site, [other])
        assert str(caught.value) == (
            f"a 1.0 is installed, and is not the same as {version}. To change to that: wendelin bt5 upgrade DIR a"
        )


def test_what_is_there_and_different_is_kept_and_reported(site):
    notes(site)["updated"] = "mine"
    (result,) = install(site, [A1])
    assert told([result])["a"]["conflict"] == ["updated"]
    assert notes(site)["updated"] == "mine"


def test_what_is_there_and_different_becomes_the_template_s_if_told_so_and_stays_when_it_goes(site):
    notes(site)["updated"] = "mine"
    assert told(install(site, [A1], theirs=True))["a"]["updated"] == ["updated"]
    assert notes(site)["updated"] == "old"
    assert told(remove(site, ["a"]))["a"]["left"] == ["updated"]
    assert dict(notes(site)) == {"updated": "old"}


def test_templates_that_others_need_are_installed_first_whatever_the_order_they_are_named_in(site):
    lower = template("lower", box="b", provides="boxes")
    upper = template("upper", needs="boxes", box__a="in it")
    assert [result.name for result in install(site, [upper, lower])] == ["lower", "upper"]


def test_template_that_needs_one_that_is_not_there_is_refused(site):
    with pytest.raises(TemplateError, match=r"^upper/bt/dependency_list: It needs boxes, which is not there\. Install"):
        install(site, [template("upper", needs="boxes")])
    assert "upper" not in installed_templates(site)


def test_templates_that_need_each_other_are_refused(site):
    circle = [template("x", needs="y"), template("y", needs="z"), template("z", needs="x")]
    with pytest.raises(TemplateError, match=r"^Templates need each other: x > y > z > x\.$"):
        install(site, circle)


def test_an_object_that_cannot_be_installed_leaves_the_site_as_it_was(site):
    notes(site)["before"] = "b"
    transaction.commit()
    with pytest.raises(TemplateError) as caught:
        install(site, [template("a", first="1"), template("b", second="2", box__a="no box")])
    assert str(caught.value) == "b/NoteTemplateItem/box__a: box/a can't be installed: there is no box."
    with pytest.raises(DoomedTransaction):
        transaction.commit()
    transaction.abort()
    assert dict(notes(site)) == {"before": "b"}
    assert installed(site) == {}


def test_an_object_that_is_not_what_the_template_says_is_refused(site):
    with pytest.raises(TemplateError) as caught:
        install(site, [template("a", note="trailing ")])
    assert str(caught.value) == (
        "a/NoteTemplateItem/note: note is, once installed, not what the template says:\n"
        '--- site/note\n+++ template/note\n@@ -1 +1 @@\n-"trailing"\n+"trailing "\n'
    )


def test_upgrade_brings_what_is_new_and_takes_away_what_is_no_more(site):
    install(site, [A1])
    (result,) = upgrade(site, [A2])
    assert told([result]) == {
        "a": {"same": ["same", "box", "box/in"], "updated": ["updated"], "made": ["added"], "removed": ["gone"]}
    }
    assert (result.before, result.after) == ("1.0", "2.0")
    assert dict(notes(site)) == {"same": "s", "box": "b", "box/in": "i", "updated": "new", "added": "n"}
    assert changed_objects(site, installed_templates(site)["a"]) == []


def test_upgrade_keeps_what_an_administrator_changed_and_reports_it(site):
    install(site, [A1])
    notes(site).update(same="mine", updated="mine", gone="mine", added="mine")
    del notes(site)["box/in"]
    (result,) = upgrade(site, [A2])
    assert told([result]) == {
        "a": {"same": ["box"], "kept": ["same", "box/in"], "conflict": ["updated", "added"], "left": ["gone"]}
    }
    assert dict(notes(site)) == {"same": "mine", "box": "b", "updated": "mine", "gone": "mine", "added": "mine"}
    paths = [key.path for key in changed_objects(site, installed_templates(site)["a"])]
    assert paths == ["same", "box/in", "updated", "added"]


def test_upgrade_takes_the_template_s_where_both_changed_if_told_so(site):
    install(site, [A1])
    notes(site).update(same="mine", updated="mine", gone="mine")
    assert told(upgrade(site, [A2], theirs=True)) == {
        "a": {
            "kept": ["same"],
            "same": ["box", "box/in"],
            "updated": ["updated"],
            "made": ["added"],
            "removed": ["gone"],
        }
    }
    assert dict(notes(site)) == {"same": "mine", "box": "b", "box/in": "i", "updated": "new", "added": "n"}


def test_objects_that_are_named_become_the_template_s(site):
    install(site, [A1])
    notes(site).update(same="mine", updated="mine")
    del notes(site)["box/in"]
    assert told(upgrade(site, [A1], reinstall=["box", "updated"]))["a"] == {
        "kept": ["same"],
        "same": ["box", "gone"],
        "made": ["box/in"],
        "updated": ["updated"],
    }
    with pytest.raises(NotFound, match=r"^There is no object nowhere in a\.$"):
        upgrade(site, [A1], reinstall=["nowhere"])


def test_upgrade_to_an_older_version_is_refused_unless_told_so(site):
    install(site, [template("a", "0.10", note="new")])
    older = template("a", "0.9", note="old")
    with pytest.raises(Conflict) as caught:
        upgrade(site, [older])
    assert str(caught.value) == "a 0.10 is installed, and 0.9 is older. To go back to that, add --downgrade."
    upgrade(site, [older], downgrade=True)
    assert dict(notes(site)) == {"note": "old"}


def test_what_is_not_installed_can_neither_be_upgraded_nor_removed(site):
    names = ", ".join(installed_templates(site))
    for verb, advice in (
        (lambda: upgrade(site, [template("b")]), " To install it: wendelin bt5 install DIR b"),
        (lambda: remove(site, ["b"]), ""),
    ):
        with pytest.raises(NotFound) as caught:
            verb()
        assert str(caught.value) == f"b is not installed. Installed are: {names}.{advice}"


def test_upgrade_that_another_template_could_not_do_with_is_refused(site):
    install(site, [template("lower", provides="boxes"), template("upper", needs="boxes")])
    with pytest.raises(Conflict, match=r"^Nothing was changed\. upper needs boxes\.$"):
        upgrade(site, [template("lower", "2.0")])
    upgrade(site, [template("lower", "2.0"), template("upper", "2.0", needs="lower")])


def test_removal_takes_away_what_the_template_brought_and_nothing_else(site):
    notes(site).update(mine="m", same="s")
    install(site, [A1])
    notes(site)["updated"] = "mine"
    (result,) = remove(site, ["a"])
    assert told([result]) == {"a": {"left": ["updated", "same"], "removed": ["gone", "box/in", "box"]}}
    assert [change.reason for change in result.changes if change.reason] == ["it was there before the template"]
    assert (result.before, result.after) == ("1.0", None)
    assert dict(notes(site)) == {"mine": "m", "same": "s", "updated": "mine"}
    assert installed(site) == {}


def test_removal_takes_what_an_administrator_changed_only_by_force(site):
    notes(site).update(same="s")
    install(site, [A1])
    notes(site).update(updated="mine", same="mine")
    assert told(remove(site, ["a"], force=True))["a"]["left"] == ["same"]
    assert dict(notes(site)) == {"same": "mine"}


def test_what_holds_something_that_stays_stays_too(site):
    install(site, [A1])
    notes(site)["box/in"] = "mine"
    (result,) = remove(site, ["a"])
    left = [(change.key.path, change.reason) for change in result.changes if change.action.value == "left"]
    assert left == [("box/in", ""), ("box", "what stays is in it")]
    assert dict(notes(site)) == {"box": "b", "box/in": "mine"}


def test_removal_that_other_templates_could_not_do_with_is_refused_with_all_of_them(site):
    install(site, [A1, template("x"), template("y", needs="a"), template("z", needs="a x")])
    with pytest.raises(Conflict, match=r"^Nothing was changed\. y needs a\. z needs a\. z needs x\.$"):
        remove(site, ["a", "x"], force=True)


def test_removal_that_would_lose_data_is_refused_with_all_reasons(site):
    install(site, [A1, template("x", chest="c")])
    notes(site).update({"box/mine": "m", "chest/mine": "m"})
    transaction.commit()
    before = dict(notes(site))
    with pytest.raises(Conflict) as caught:
        remove(site, ["a", "x"], force=True)
    assert str(caught.value) == "Nothing was changed. chest has 1 notes. box has 1 notes."
    transaction.abort()
    assert dict(notes(site)) == before
    assert set(installed(site)) == {"a", "x"}


def test_templates_that_need_each_other_go_together(site):
    install(site, [A1, template("upper", needs="a", box__out="o")])
    assert [result.name for result in remove(site, ["a", "upper"])] == ["upper", "a"]
    assert dict(notes(site)) == {}


def test_an_object_of_two_templates_goes_with_the_last_of_them(site):
    install(site, [template("a", note="n"), template("b", note="n")])
    (result,) = remove(site, ["a"])
    assert [(change.action.value, change.reason) for change in result.changes] == [("left", "it is in b, too")]
    assert told(remove(site, ["b"])) == {"b": {"removed": ["note"]}}
    assert dict(notes(site)) == {}


def test_an_object_that_another_template_has_differently_is_refused(site):
    install(site, [template("a", note="n")])
    message = "Nothing was changed. Both a and b have note (NoteTemplateItem), but differently."
    with pytest.raises(Conflict, match=f"^{re.escape(message)}$"):
        install(site, [template("b", note="other")])


@pytest.mark.parametrize("order", ["ab", "ba"])
def test_an_object_may_move_from_one_template_to_another_with_what_an_administrator_made_of_it(site, order):
    install(site, [template("a", box="b", note="n"), template("b")])
    notes(site).update({"note": "mine", "box/mine": "m"})
    later = {"a": template("a", "2"), "b": template("b", "2", box="b", note="n")}
    done = told(upgrade(site, [later[name] for name in order]))
    assert done == {"a": {"left": ["note", "box"]}, "b": {"same": ["box"], "kept": ["note"]}}
    assert installed(site) == {"b": {"box": True, "note": True}}


def test_differences_are_shown_from_the_site_to_the_template(site):
    install(site, [A1])
    notes(site)["same"] = "mine"
    assert list(differences(site, A1.items)) == [
        '--- site/NoteTemplateItem/same\n+++ template/NoteTemplateItem/same\n@@ -1 +1 @@\n-"mine"\n+"s"\n'
    ]


def test_an_installed_template_is_a_document_of_the_template_tool(site):
    install(site, [template("lower", provides="boxes"), template("upper", "1.2", needs="lower boxes", note="n")])
    tool = site.portal_templates
    assert tool.getPortalType() == "Template Tool"
    assert {"lower", "upper"} <= set(tool.getInstalledBusinessTemplateTitleList())
    assert tool.getInstalledBusinessTemplate("other") is None
    document = tool.getInstalledBusinessTemplate("upper")
    assert document in tool.getInstalledBusinessTemplateList()
    assert document.getPortalType() == "Business Template"
    assert (document.getTitle(), document.getVersion()) == ("upper", "1.2")
    assert document.getDependencyList() == ["lower", "boxes"]
    assert tool["lower"].getProvisionList() == ["boxes"]
    assert document.getInstallationState() == "installed"
    assert document.metadata().dependency_list == (Dependency("lower"), Dependency("boxes"))
