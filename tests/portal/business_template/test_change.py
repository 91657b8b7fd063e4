"""The three-way comparison, over all that can be the case."""

from __future__ import annotations

import itertools

import pytest

from Products.ERP5Wendelin.portal.business_template.change import (
    Action,
    Change,
    Key,
    compare,
    plan,
    take_the_template_s,
)
from Products.ERP5Wendelin.portal.business_template.template import Item

KEY = Key("NoteTemplateItem", "a")

TABLE = [
    (None, None, "n", Action.MADE),
    (None, "n", "n", Action.ADOPTED),
    (None, "s", "n", Action.CONFLICT),
    ("b", "b", "b", Action.SAME),
    ("b", "b", "n", Action.UPDATED),
    ("b", "b", None, Action.REMOVED),
    ("b", "s", "b", Action.KEPT),
    ("b", None, "b", Action.KEPT),
    ("b", "n", "n", Action.SAME),
    ("b", "s", "n", Action.CONFLICT),
    ("b", None, "n", Action.CONFLICT),
    ("b", "s", None, Action.LEFT),
    ("b", None, None, Action.SAME),
]


@pytest.mark.parametrize(("base", "site", "new", "action"), TABLE)
def test_three_versions_of_an_object_say_what_becomes_of_it(base, site, new, action):
    assert compare(base, site, new) is action


def test_what_an_administrator_has_is_never_changed_without_being_told_to():
    for base, site, new in itertools.product((None, "a", "b"), repeat=3):
        if (base, new) != (None, None) and site not in (base, new):
            assert compare(base, site, new) in (Action.KEPT, Action.CONFLICT, Action.LEFT)


@pytest.mark.parametrize(
    ("action", "site", "new", "taken"),
    [
        (Action.KEPT, "s", "b", Action.UPDATED),
        (Action.KEPT, None, "b", Action.MADE),
        (Action.CONFLICT, "s", "n", Action.UPDATED),
        (Action.CONFLICT, None, "n", Action.MADE),
        (Action.LEFT, "s", None, Action.REMOVED),
        (Action.SAME, "b", "b", Action.SAME),
        (Action.UPDATED, "b", "n", Action.UPDATED),
    ],
)
def test_taking_the_template_s_overrules_the_administrator(action, site, new, taken):
    assert take_the_template_s(Change(action, KEY, site, new)) == Change(taken, KEY, site, new)


def test_what_is_not_the_template_s_alone_stays_even_then():
    change = Change(Action.LEFT, KEY, "s", None, "it is in erp5_b, too")
    assert take_the_template_s(change) == change


def test_plan_has_the_template_s_order_and_takes_away_in_the_reverse_of_the_old_one():
    base = {Key("K", name): name for name in ("gone 1", "stays", "gone 2", "shared")}
    site = {**base, Key("K", "stays"): "changed", Key("K", "gone 1"): "changed"}
    new = [Item("K", "new", "new", ""), Item("K", "stays", "stays", "")]
    asked = []

    def takes(change):
        asked.append(change.key.path)
        return change.key.path == "gone 1"

    changes = plan(base, new, site.get, lambda key: "others" if key.path == "shared" else "", takes)
    assert [(change.key.path, change.action, change.reason) for change in changes] == [
        ("new", Action.MADE, ""),
        ("stays", Action.KEPT, ""),
        ("shared", Action.LEFT, "others"),
        ("gone 2", Action.REMOVED, ""),
        ("gone 1", Action.REMOVED, ""),
    ]
    assert asked == ["new", "stays", "shared", "gone 2", "gone 1"]
