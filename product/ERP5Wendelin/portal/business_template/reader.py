"""Reading a business template: a folder of ERP5's format becomes a `Template` of plain data, or a TemplateError.

::

    erp5_wendelin/
      bt/title, version, description, dependency_list, …      one text file a property
      bt/template_…_list                                      the items by kind (`tools/bt5` writes these lists)
      <Kind>TemplateItem/….xml                                objects, and lists of names
      <Kind>TemplateItem/….py, .zpt, .css, .js, …             the source text of the object beside it

What each kind's files may hold is said in `kinds`. Every file must be that of an item, and each item in its list.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from Products.ERP5Wendelin.portal.business_template.files import Files
from Products.ERP5Wendelin.portal.business_template.kinds import KINDS
from Products.ERP5Wendelin.portal.business_template.kinds.kind import Kind, Source
from Products.ERP5Wendelin.portal.business_template.metadata import read_metadata
from Products.ERP5Wendelin.portal.business_template.template import Item, Metadata, Template, TemplateError


def read(directory: Path) -> Template:
    """The template in a folder. TemplateError, which names file and element: it is anything but what it should be."""
    if not (directory / "bt").is_dir():
        raise TemplateError("There is no business template: it has no folder 'bt'.", str(directory))
    files = Files(directory)
    metadata = read_metadata(files, (kind.list_name for kind in KINDS.values()))
    if metadata.title != directory.name:
        raise TemplateError(
            f"The title is {metadata.title!r}, but the folder {directory.name!r}.", files.name("bt/title")
        )
    for folder in sorted(files.folders() - {"bt"} - KINDS.keys()):
        raise TemplateError(f"There is no such kind of items. Kinds are: {', '.join(KINDS)}.", files.name(folder))
    items = read_items(files)
    for path in files.unread():
        raise TemplateError("It belongs to no object.", files.name(path))
    for kind in KINDS.values():
        _check_list(kind, [item for item in items if item.kind == kind.name], metadata, directory.name)
    return Template(metadata.title, metadata, items)


def read_items(files: Files) -> tuple[Item, ...]:
    """The items in a template's files, in the order of their installation. TemplateError: two of them are the same."""
    source = Source(files)
    items: dict[tuple[str, str], Item] = {}
    for kind in KINDS.values():
        for item in kind.items(source):
            if (item.kind, item.path) in items:
                raise TemplateError(f"{item.path!r} is there twice.", item.file)
            items[item.kind, item.path] = item
    return tuple(items.values())


def lines_of(kind: Kind, items: Iterable[Item]) -> dict[str, Item]:
    """The lines of a kind's list that items need; `**` stands for the documents in a document."""
    lines = {}
    for item in items:
        line = kind.listed(item.path)
        lines[line] = item
        if isinstance(item.data, dict) and item.data.get("documents"):
            lines[f"{line}/**"] = item
    return lines


def _check_list(kind: Kind, items: list[Item], metadata: Metadata, name: str) -> None:
    """TemplateError for an item that its list does not name, and for a line that names none."""
    listed = set(metadata.item_lists.get(kind.list_name, ()))
    needed = lines_of(kind, items)
    for line, item in needed.items():
        if not any(_matches(pattern, line) for pattern in listed):
            raise TemplateError(f"It is not listed in bt/{kind.list_name}: {line!r}.", item.file)
    for pattern in sorted(listed):
        if not any(_matches(pattern, line) for line in needed):
            raise TemplateError(f"{pattern!r} is listed, but there is no file of it.", f"{name}/bt/{kind.list_name}")


def _matches(pattern: str, path: str) -> bool:
    """Whether a line of ERP5's lists names a path: `*` stands for one name, `**` for all that is below."""
    if "*" not in pattern or pattern == path:
        return pattern == path
    expression = re.escape(pattern).replace(r"\*\*", ".+").replace(r"\*", "[^/]+")
    return re.fullmatch(expression, path) is not None
