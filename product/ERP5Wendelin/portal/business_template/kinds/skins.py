"""SkinTemplateItem: folders of `portal_skins` and what is in them: scripts, page templates and files.

Files: `SkinTemplateItem/portal_skins/FOLDER.xml` and `…/FOLDER/ID.xml`, with sources beside them (`sources`). Data of a
folder: {'title': …, 'priority': 0.0}; folders may hold folders. A folder at the top is a layer of every skin selection:
the layer `custom`, an administrator's own, comes first, and then those of greater priority; among equals the one
that was installed last. ERP5's property of a folder is `business_template_skin_layer_priority`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from Acquisition import aq_base
from OFS.Folder import Folder

from Products.ERP5Wendelin.content.scripts import CUSTOM, SKINS
from Products.ERP5Wendelin.errors import BadInput
from Products.ERP5Wendelin.portal.business_template.kinds.kind import Source, check_id, find, number, take, text
from Products.ERP5Wendelin.portal.business_template.kinds.sources import (
    install_object,
    is_source,
    read_object,
    read_source,
)
from Products.ERP5Wendelin.portal.business_template.template import Data, Item
from Products.ERP5Wendelin.portal.business_template.xml import Global, Record

PRIORITY = "business_template_skin_layer_priority"
_FOLDER = Global("OFS.Folder", "Folder")


class SkinKind:
    """Folders of skins, and the objects in them."""

    name = "SkinTemplateItem"
    list_name = "template_skin_id_list"

    def items(self, source: Source) -> Iterator[Item]:
        folders = set()
        # a folder's file comes before those of its contents: '.' is less than '/'
        for path, record in sorted(source.exported(self.name), key=lambda found: found[0].split("/")):
            file = f"{self.name}/{path}.xml"
            parent, _, id = path.rpartition("/")
            if parent != SKINS and parent not in folders:
                raise record.error(f"It is in {parent}, which has no file.")
            if path == f"{SKINS}/{CUSTOM}":
                raise record.error(f"The layer {CUSTOM} is the site's own.")
            if record.kind == _FOLDER:
                folders.add(path)
                check_id(record, id)
                yield Item(self.name, path, _folder_data(record), source.files.name(file))
            elif is_source(record) and parent != SKINS:
                yield Item(self.name, path, read_source(source, file, record), source.files.name(file))
            else:
                raise record.error(f"Objects of the class {record.kind} are not read from templates here.")

    def listed(self, path: str) -> str:
        return path.split("/")[1]

    def read(self, site: Any, path: str) -> Data | None:
        found = find(site, path)
        if found is None:
            return None
        if isinstance(aq_base(found), Folder):
            return {"title": found.title, "priority": _priority(found)}
        # what is neither of ours is in the way of ours, and not to be written over unasked
        return read_object(found) or {"class": type(aq_base(found)).__name__}

    def install(self, site: Any, path: str, data: Data, old: Data | None) -> None:
        parent, _, id = path.rpartition("/")
        container = find(site, parent)
        if container is None:
            raise BadInput(f"There is no folder {parent} for {id}.")
        if "class" in data:
            install_object(container, id, data)
        else:
            _install_folder(site, container, id, data)

    def remove(self, site: Any, path: str, data: Data) -> None:
        parent, _, id = path.rpartition("/")
        if find(site, path) is not None:
            find(site, parent)._delObject(id)
            if parent == SKINS:
                _set_layers(site, lambda layers: [layer for layer in layers if layer != id])

    def refusal(self, site: Any, path: str) -> str | None:
        found = find(site, path)
        if found is None or not isinstance(aq_base(found), Folder) or not found.objectIds():
            return None
        some = ", ".join(sorted(found.objectIds())[:5])
        return f"{path} has objects that no template brought: {some}. Remove them first."


def _folder_data(record: Record) -> Data:
    taken = take(record, {"title": text, PRIORITY: number}, frozenset({"business_template_registered_skin_selections"}))
    return {"title": taken.get("title", ""), "priority": taken.get(PRIORITY, 0.0)}


def _install_folder(site: Any, container: Any, id: str, data: Data) -> None:
    folder = container._getOb(id, None)
    if folder is None:
        container._setObject(id, Folder(id))
        folder = container._getOb(id)
    folder.title = data["title"]
    if data["priority"] or hasattr(aq_base(folder), PRIORITY):
        setattr(folder, PRIORITY, data["priority"])
    if container.getId() == SKINS:
        _set_layers(site, lambda layers: _with_layer(site, layers, id, data["priority"]))


def _with_layer(site: Any, layers: list[str], id: str, priority: float) -> list[str]:
    """The layers of a selection with a folder among them: where it is, or in the place of its priority."""
    if id in layers:
        return layers
    skins = site.portal_skins
    later = (
        number
        for number, layer in enumerate(layers)
        if layer != CUSTOM and _priority(skins._getOb(layer, None)) <= priority
    )
    place = next(later, len(layers))
    return [*layers[:place], id, *layers[place:]]


def _priority(folder: Any) -> float:
    return float(getattr(aq_base(folder), PRIORITY, 0.0))


def _set_layers(site: Any, change: Any) -> None:
    skins = site.portal_skins
    for name, path in skins.getSkinPaths():
        layers = [layer.strip() for layer in path.split(",") if layer.strip()]
        skins.addSkinSelection(name, ",".join(change(layers)))
