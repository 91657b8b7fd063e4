"""Business templates of notes: kinds small enough to see through, for the tests of what installs them.

A site's notes are text in `site.notes`, a dictionary; NOTES is the kind. A note 'box/…' needs the box, which refuses to
go while a note is in it that no template brought, as a module of documents does.
"""

from __future__ import annotations

from typing import Any

from persistent.mapping import PersistentMapping

from Products.ERP5Wendelin.errors import BadInput
from Products.ERP5Wendelin.portal.business_template.template import Dependency, Item, Metadata, Template


class NoteKind:
    """Notes by path."""

    name = "NoteTemplateItem"

    def read(self, site: Any, path: str) -> str | None:
        return notes(site).get(path)

    def install(self, site: Any, path: str, data: str, old: str | None) -> None:
        assert notes(site).get(path) == old
        if "/" in path and path.partition("/")[0] not in notes(site):
            raise BadInput(f"there is no {path.partition('/')[0]}.")
        notes(site)[path] = data.rstrip()  # so that a note can be made that is not what was asked for

    def remove(self, site: Any, path: str, data: str) -> None:
        del notes(site)[path]

    def refusal(self, site: Any, path: str) -> str | None:
        inside = [note for note in notes(site) if note.startswith(path + "/")]
        return f"{path} has {len(inside)} notes." if inside else None


NOTES = {NoteKind.name: NoteKind()}


def notes(site: Any) -> PersistentMapping:
    """The notes of a site, changeable."""
    if not hasattr(site.aq_base, "notes"):
        site.notes = PersistentMapping()
    return site.notes


def template(name: str, version: str = "1.0", /, needs: str = "", provides: str = "", **texts: str) -> Template:
    """A template of notes; `box__a` is the note box/a."""
    items = [
        Item("NoteTemplateItem", path.replace("__", "/"), text, f"{name}/NoteTemplateItem/{path}")
        for path, text in texts.items()
    ]
    dependencies = tuple(Dependency(needed) for needed in needs.split())
    metadata = Metadata(name, version, dependency_list=dependencies, provision_list=tuple(provides.split()))
    return Template(name, metadata, tuple(items))
