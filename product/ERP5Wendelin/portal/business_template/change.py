"""What becomes of each object of a template: a comparison of three versions of it.

*base* is the object as the template's last installation left it, *site* as it is now, *new* as the template has it, and
a dash where it is not there. What nobody but the template has changed follows the template; what an administrator has
changed stays::

    base   site   new
    -      -      n      MADE
    -      n      n      ADOPTED    it was there already, just so
    -      s      n      CONFLICT   it was there already, and is different
    b      b      b      SAME
    b      b      n      UPDATED
    b      b      -      REMOVED    or LEFT, where it is not the template's alone, or holds what is LEFT
    b      s      b      KEPT       changed or removed by an administrator, and the template has nothing new
    b      n      n      SAME       both made the same change
    b      s      n      CONFLICT   changed by both
    b      s      -      LEFT       the template has it no more, but an administrator has changed it

What is KEPT, LEFT or in CONFLICT stays as it is on the site, unless told to take the template's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from enum import Enum
from typing import NamedTuple

from Products.ERP5Wendelin.portal.business_template.template import Data, Item


class Key(NamedTuple):
    """Which object it is."""

    kind: str
    path: str


class Action(Enum):
    """What happens to an object; the value is the word that tells of it."""

    SAME = "same"
    MADE = "made"
    ADOPTED = "adopted"
    UPDATED = "updated"
    REMOVED = "removed"
    KEPT = "kept"
    CONFLICT = "conflict"
    LEFT = "left"


@dataclass(frozen=True)
class Change:
    """What happens to one object, with it as it was on the site and as the template has it."""

    action: Action
    key: Key
    site: Data
    new: Data
    reason: str = ""
    """Why it stays although the template has it no more, where that is not for an administrator to say."""


def compare(base: Data, site: Data, new: Data) -> Action:
    """What becomes of an object, by the table above."""
    if site == new:
        return Action.ADOPTED if base is None else Action.SAME
    if site == base:
        if base is None:
            return Action.MADE
        return Action.REMOVED if new is None else Action.UPDATED
    if new is None:
        return Action.LEFT
    return Action.KEPT if new == base else Action.CONFLICT


def take_the_template_s(change: Change) -> Change:
    """The change that makes the site what the template says, whatever an administrator did."""
    if change.action not in (Action.KEPT, Action.CONFLICT, Action.LEFT) or change.reason:
        return change
    if change.new is None:
        return replace(change, action=Action.REMOVED)
    return replace(change, action=Action.MADE if change.site is None else Action.UPDATED)


def plan(
    base: Mapping[Key, Data],
    new: Iterable[Item],
    read: Callable[[Key], Data],
    stays: Callable[[Key], str],
    takes: Callable[[Change], bool],
) -> Iterator[Change]:
    """The changes that lead from one installation of a template to the next, in the order in which to make them.

    `base`: the objects of the last installation, in its order. `new`: those of the template. `read(key)`: an object as
    it is on the site. `stays(key)`: why an object stays that the template has no more, or ''. `takes(change)`: whether
    to take the template's for what would stay as it is.
    """

    def chosen(change: Change) -> Change:
        return take_the_template_s(change) if takes(change) else change

    items = {Key(item.kind, item.path): item.data for item in new}
    for key, data in items.items():
        site = read(key)
        yield chosen(Change(compare(base.get(key), site, data), key, site, data))
    staying: list[str] = []
    for key in reversed([key for key in base if key not in items]):
        reason = stays(key)
        if not reason and any(path.startswith(f"{key.path}/") for path in staying):
            reason = "what stays is in it"
        change = chosen(_departure(base[key], key, read(key), reason))
        if change.action is Action.LEFT:
            staying.append(key.path)
        yield change


def _departure(base: Data, key: Key, site: Data, reason: str) -> Change:
    """What becomes of an object that the template has no more."""
    action = compare(base, site, None)
    if action is Action.REMOVED and reason:
        action = Action.LEFT
    return Change(action, key, site, None, reason)
